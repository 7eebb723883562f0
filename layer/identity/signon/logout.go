package signon

import (
	"context"
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
	SessionID string
	Subject   string
	TokenID   string // the jti; not a secret
}

// VerifyLogout verifies a back-channel logout token (SYSTEM I5, Back-Channel Logout 1.0 section 2.6). Anybody can post one, so
// every error is a *layer.Refusal whose Cause names the check. A token is heeded once, by this process.
func (p *Provider) VerifyLogout(ctx context.Context, token string) (Logout, error) {
	logout, err := p.verifyLogout(ctx, token)
	if err != nil {
		return Logout{}, refuse(err)
	}
	return logout, nil
}

func (p *Provider) verifyLogout(ctx context.Context, raw string) (Logout, error) {
	if len(raw) > maxLogoutToken {
		return Logout{}, ErrMalformed
	}
	m, err := p.open(ctx, raw, p.steadyKeys, "logout+jwt", "jwt")
	if err != nil {
		return Logout{}, err
	}
	issued, err := p.addressed(m)
	if err != nil {
		return Logout{}, err
	}
	logout := Logout{
		SessionID: m.text("sid", 255, fmt.Errorf("%w: sid", ErrMalformed)),
		Subject:   m.text("sub", maxSubject, ErrSubject),
		TokenID:   m.text("jti", 255, fmt.Errorf("%w: jti", ErrMalformed)),
	}
	if err := p.logoutEvent(m, logout, issued); err != nil {
		return Logout{}, err
	}
	if _, err := p.logouts.VerifyLogout(ctx, raw); err != nil {
		return Logout{}, ErrSecondOpinion
	}
	if !p.loggedOut.first(logout.TokenID, p.cfg.Now(), issued.Add(maxLogoutAge+skew)) {
		return Logout{}, ErrReplayed
	}
	return logout, nil
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
