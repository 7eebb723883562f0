package signon

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	maxAccess  = 16 << 10
	maxRefresh = 8 << 10
	maxLife    = 366 * 24 * time.Hour // of an access token; longer is not believed
)

// A grant is what the token endpoint gave.
type grant struct {
	idToken string // may be empty
	access  string
	refresh string    // may be empty
	expires time.Time // when access does; zero if the provider does not say
}

// redeem asks the token endpoint, RFC 6749 section 3.2, once. Nothing of its answer is repeated in an error.
func (p *Provider) redeem(ctx context.Context, meta metadata, form url.Values) (grant, error) {
	if meta.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", p.cfg.ClientID)
		form.Set("client_secret", p.cfg.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, meta.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, unreachable("token endpoint", errAnswer)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if meta.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInHeader { // RFC 6749 section 2.3.1 wants both escaped
		req.SetBasicAuth(url.QueryEscape(p.cfg.ClientID), url.QueryEscape(p.cfg.ClientSecret))
	}
	d, err := p.do(req, "token endpoint")
	switch {
	case err != nil:
		return grant{}, err
	case d.status >= 500 || d.status == http.StatusTooManyRequests:
		return grant{}, fmt.Errorf("%w: the token endpoint answers %d", ErrUnreachable, d.status)
	case d.status != http.StatusOK:
		return grant{}, refusedGrant(d)
	}
	return p.readGrant(d)
}

// refusedGrant reads an error of RFC 6749 section 5.2. Another page that says no, of a proxy perhaps, is not the provider's word.
func refusedGrant(d document) error {
	m, err := readMembers(d.body)
	if err != nil || !d.json() || d.status != http.StatusBadRequest && d.status != http.StatusUnauthorized && d.status != http.StatusForbidden {
		return fmt.Errorf("%w: it answers %d", ErrExchange, d.status)
	}
	code := m.text("error", 255, ErrExchange)
	if code == "" || m.err != nil {
		return fmt.Errorf("%w: it answers %d", ErrExchange, d.status)
	}
	return fmt.Errorf("%w: %w", ErrExchange, reported(code))
}

// readGrant reads an answer of RFC 6749 section 5.1, strictly.
func (p *Provider) readGrant(d document) (grant, error) {
	m, err := readMembers(d.body)
	if err != nil || !d.json() {
		return grant{}, ErrTokenResponse
	}
	g := grant{
		access:  m.text("access_token", maxAccess, ErrTokenResponse),
		refresh: m.text("refresh_token", maxRefresh, ErrTokenResponse),
	}
	m.read("id_token", &g.idToken, ErrNoIDToken) // whatever it is, parse has the word
	life, err := m.seconds("expires_in")
	if err != nil || g.access == "" || !strings.EqualFold(m.text("token_type", 16, ErrTokenResponse), "Bearer") {
		return grant{}, ErrTokenResponse
	}
	if life > 0 {
		g.expires = p.now().Add(life).UTC()
	}
	return g, m.err
}

// seconds reads a duration, which some providers put into quotes.
func (m *members) seconds(name string) (time.Duration, error) {
	var n float64
	if value, _ := m.find(name); value.Kind() == '"' {
		if _, err := fmt.Sscanf(m.text(name, 16, ErrTokenResponse), "%f", &n); err != nil {
			return 0, ErrTokenResponse
		}
	} else {
		m.read(name, &n, ErrTokenResponse)
	}
	if !(n >= 0 && n <= maxLife.Seconds()) {
		return 0, ErrTokenResponse
	}
	return time.Duration(n) * time.Second, nil
}
