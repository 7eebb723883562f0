package signon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// complete asks the userinfo endpoint for what an ID token leaves out (OpenID Connect Core 1.0 section 5.3), if Config says so and
// groups are what it leaves out. What the ID token says itself stands.
func (p *Provider) complete(ctx context.Context, meta metadata, idToken *members, c Claims, g grant) (Claims, error) {
	if !p.cfg.Userinfo || idToken.has(p.cfg.GroupsClaim) {
		return c, nil
	}
	m, err := p.userinfo(ctx, meta, g.access, idToken.text("sub", maxSubject, ErrSubject))
	if err != nil {
		return c, err
	}
	more := p.contact(m)
	if c.Email == "" { // an address and whether it is verified are one statement
		c.Email, c.EmailVerified = more.Email, more.EmailVerified
	}
	if c.Name == "" {
		c.Name = more.Name
	}
	c.Groups = more.Groups
	return c, m.err
}

// userinfo asks who the bearer of an access token is. The answer is nobody's until its sub is the expected one: the token might have
// been swapped for another person's (OpenID Connect Core 1.0 sections 5.3.2 and 16.11). A signed answer is verified like a token.
func (p *Provider) userinfo(ctx context.Context, meta metadata, access, sub string) (*members, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, meta.Userinfo, nil)
	if err != nil {
		return nil, unreachable("userinfo", errAnswer)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("Accept", "application/json, application/jwt")
	d, err := p.do(req, "userinfo")
	switch {
	case err != nil:
		return nil, err
	case d.status >= 500 || d.status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: userinfo answers %d", ErrUnreachable, d.status)
	case d.status != http.StatusOK:
		return nil, fmt.Errorf("%w: it answers %d", ErrUserinfo, d.status)
	}
	m, err := p.readUserinfo(ctx, d)
	if err != nil {
		return nil, err
	}
	if got := m.text("sub", maxSubject, ErrUserinfo); m.err != nil || got == "" || got != sub {
		return nil, ErrUserinfo
	}
	return m, nil
}

func (p *Provider) readUserinfo(ctx context.Context, d document) (*members, error) {
	if d.json() {
		m, err := readMembers(d.body)
		if err != nil {
			return nil, ErrUserinfo
		}
		return m, nil
	}
	if d.kind != "application/jwt" {
		return nil, ErrUserinfo
	}
	m, err := p.open(ctx, strings.TrimSpace(string(d.body)), 0, "jwt", "userinfo+jwt")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUserinfo, err)
	}
	// Signed, it says by whom and for whom. It need not say for how long: it was asked for just now.
	if m.text("iss", 2048, ErrIssuer) != p.issuer || !slices.Contains(m.audience(), p.cfg.ClientID) || m.err != nil || m.has("events") {
		return nil, ErrUserinfo
	}
	return m, nil
}
