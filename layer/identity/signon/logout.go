package signon

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// maxLogoutAge bounds how long a logout token can be heeded, and so how long it has to be remembered. Back-Channel Logout 1.0
// section 2.4 recommends two minutes.
const (
	maxLogoutAge   = 10 * time.Minute
	maxLogoutToken = 16 << 10
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// A Logout is the provider's word that a session has ended. At least one of SessionID and Subject is set; without SessionID all
// of the person's sessions have ended.
type Logout struct {
	Issuer    string
	SessionID string
	Subject   string
	TokenID   string // the jti; not a secret
}

// VerifyLogout verifies a back-channel logout token (SYSTEM I5, Back-Channel Logout 1.0 section 2.6). Anybody can post one, so
// every error is a *layer.Refusal whose Cause names the check. A token is heeded once: by this process, or as far as
// Config.FirstLogout remembers.
func (p *Provider) VerifyLogout(ctx context.Context, token string) (Logout, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	logout, err := p.verifyLogout(ctx, token)
	if err != nil {
		return Logout{}, refuse(err)
	}
	return logout, nil
}

// CheckLogout is VerifyLogout without a memory, for a caller that has one: for several processes, and in the transaction that ends the
// sessions, so that a token of which nothing came can come again. TokenID has to be remembered for LogoutMemory.
func (p *Provider) CheckLogout(ctx context.Context, token string) (Logout, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	logout, _, err := p.checkLogout(ctx, token)
	if err != nil {
		return Logout{}, refuse(err)
	}
	return logout, nil
}

// LogoutMemory is how long a logout token could be taken for new.
const LogoutMemory = maxLogoutAge + 2*skew

func (p *Provider) verifyLogout(ctx context.Context, raw string) (Logout, error) {
	logout, issued, err := p.checkLogout(ctx, raw)
	if err != nil {
		return Logout{}, err
	}
	if err := p.firstLogout(ctx, logout.TokenID, issued.Add(maxLogoutAge+skew)); err != nil {
		return Logout{}, err
	}
	return logout, nil
}

func (p *Provider) checkLogout(ctx context.Context, raw string) (logout Logout, issued time.Time, err error) {
	if len(raw) > maxLogoutToken {
		return Logout{}, issued, ErrMalformed
	}
	m, err := p.open(ctx, raw, keyPatience, "logout+jwt", "jwt")
	if err != nil {
		return Logout{}, issued, err
	}
	issued, err = p.addressed(m)
	if err != nil {
		return Logout{}, issued, err
	}
	logout = Logout{
		Issuer:    p.issuer,
		SessionID: m.text("sid", 255, fmt.Errorf("%w: sid", ErrMalformed)),
		Subject:   m.text(p.cfg.SubjectClaim, maxSubject, ErrSubject),
		TokenID:   m.text("jti", 255, fmt.Errorf("%w: jti", ErrMalformed)),
	}
	if err := p.logoutEvent(m, logout, issued); err != nil {
		return Logout{}, issued, err
	}
	if _, err := p.logouts.VerifyLogout(ctx, raw); err != nil {
		return Logout{}, issued, ErrSecondOpinion
	}
	return logout, issued, nil
}

// firstLogout refuses a token that was heeded before. Its identifier is remembered as a digest with the issuer's: identifiers are the
// issuers' to choose, and one of them must not use up another's.
func (p *Provider) firstLogout(ctx context.Context, id string, until time.Time) error {
	sum := sha256.Sum256([]byte(p.issuer + "\x00" + id))
	first, err := p.cfg.FirstLogout(ctx, base64.RawURLEncoding.EncodeToString(sum[:]), until)
	switch {
	case err != nil:
		return ErrMemory
	case !first:
		return ErrReplayed
	}
	return nil
}

// logoutEvent tells a logout token from an ID token, which has a nonce and no event.
func (p *Provider) logoutEvent(m *members, logout Logout, issued time.Time) error {
	var events map[string]map[string]any
	m.read("events", &events, ErrEvent)
	_, told := events[logoutEvent]
	_, nonce := m.all["nonce"]
	switch {
	case m.err != nil:
		return m.err
	case !told || nonce:
		return ErrEvent
	case logout.TokenID == "":
		return fmt.Errorf("%w: jti", ErrMalformed)
	case logout.SessionID == "" && logout.Subject == "":
		return ErrSubject
	case !p.fresh(issued, maxLogoutAge):
		return ErrStale
	}
	return nil
}
