package signon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// refreshedLife bounds how old an ID token may be that answers a refresh. Its iat is the time of its making (OpenID Connect Core 1.0
// section 12.2).
const refreshedLife = 10 * time.Minute

// A renewal is what stands in Claims.RefreshToken: the provider's refresh token, and all that the next answer is held against. They
// are one value so that no caller can present a token for another person, or at another provider, than it was given for. It is
// as secret as the token in it.
type renewal struct {
	Provider  string   `json:"provider"` // the digest of a Pending
	Token     string   `json:"token"`
	Subject   string   `json:"subject"` // the sub, whatever Config.SubjectClaim says
	Nonce     string   `json:"nonce"`
	AuthTime  int64    `json:"auth_time,omitzero"` // Unix seconds
	ACR       string   `json:"acr,omitzero"`
	AMR       []string `json:"amr,omitzero"`
	SessionID string   `json:"sid,omitzero"`
}

const (
	renewalForm = "rdf1."
	maxRenewal  = 32 << 10
)

func (r renewal) seal() string {
	text, err := json.Marshal(r)
	if err != nil { // a text that is not valid UTF-8 did not get here
		return ""
	}
	return renewalForm + base64.RawURLEncoding.EncodeToString(text)
}

func readRenewal(s string) (r renewal, err error) {
	if len(s) > maxRenewal || len(s) < len(renewalForm) || s[:len(renewalForm)] != renewalForm {
		return r, ErrMalformed
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(s[len(renewalForm):])
	if err != nil || json.Unmarshal(text, &r, json.RejectUnknownMembers(true)) != nil || r.Token == "" || r.Subject == "" {
		return r, ErrMalformed
	}
	return r, nil
}

// renewable adds to claims what Refresh needs, if the provider gave a refresh token and Config asked for one.
func (p *Provider) renewable(c Claims, sub, nonce string, g grant) Claims {
	c.AccessExpires = g.expires
	if !p.cfg.Refresh || g.refresh == "" {
		return c
	}
	r := renewal{Provider: p.digest(), Token: g.refresh, Subject: sub, Nonce: nonce, ACR: c.ACR, AMR: c.AMR, SessionID: c.SessionID}
	if !c.AuthTime.IsZero() {
		r.AuthTime = c.AuthTime.Unix()
	}
	c.RefreshToken = r.seal()
	return c
}

// Refresh asks the provider whether the person may go on, and with which groups (SYSTEM I3, I5, OpenID Connect Core 1.0 section 12).
// refreshToken is the RefreshToken of the Claims that came last; it is good once, and that of the returned Claims takes its place.
//
// Every error is a *layer.Refusal of which exactly one is true: errors.Is(err, ErrRefused), the provider does not renew the sign-in,
// or answers about somebody else, and the session must end; errors.Is(err, ErrUnreachable), nothing was learnt, and the session goes
// on. With ErrUnreachable the Claims may hold a RefreshToken, and nothing else: the provider gave it and then fell silent, and the
// one before is spent.
//
// How and when the person proved themselves stays what it was at the sign-in, whatever the answer says: a refresh proves nothing.
func (p *Provider) Refresh(ctx context.Context, refreshToken string) (Claims, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	claims, err := p.refresh(ctx, refreshToken)
	if err != nil {
		return Claims{RefreshToken: claims.RefreshToken}, refuse(unrenewed(err))
	}
	return claims, nil
}

// unrenewed puts an error on one side or the other. Only a well-formed no ends a session: what a proxy says, or an answer that
// breaks off, is not the provider's word, and that our own secret is wrong says nothing about the person.
func unrenewed(err error) error {
	var code *ProviderError
	switch {
	case errors.Is(err, ErrUnreachable):
		return err
	case errors.As(err, &code):
		if slices.Contains([]string{"invalid_client", "server_error", "temporarily_unavailable"}, code.Code) {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	case errors.Is(err, ErrDiscovery), errors.Is(err, ErrExchange), errors.Is(err, ErrTokenResponse):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func (p *Provider) refresh(ctx context.Context, refreshToken string) (Claims, error) {
	before, err := readRenewal(refreshToken)
	if err != nil {
		return Claims{}, err
	}
	if before.Provider != p.digest() { // the token would be shown to a stranger
		return Claims{}, ErrMixUp
	}
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return Claims{}, err
	}
	// The keys first: an answer that cannot be verified has spent the token all the same.
	if _, err := p.keys.get(ctx, keysLife); err != nil {
		return Claims{}, err
	}
	g, err := p.redeem(ctx, meta, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.Token}})
	if err != nil {
		return Claims{}, err
	}
	return p.renewed(ctx, meta, before, g)
}

// renewed verifies the answer to a refresh. On error it returns the token that has taken the old one's place.
func (p *Provider) renewed(ctx context.Context, meta metadata, before renewal, g grant) (Claims, error) {
	next := before
	if g.refresh != "" {
		next.Token = g.refresh
	}
	claims, err := p.sameAs(ctx, meta, before, g)
	if err != nil {
		return Claims{RefreshToken: next.seal()}, err
	}
	claims.ACR, claims.AMR, claims.AuthTime = before.ACR, before.AMR, time.Time{}
	if before.AuthTime != 0 {
		claims.AuthTime = time.Unix(before.AuthTime, 0).UTC()
	}
	if claims.SessionID == "" {
		claims.SessionID = before.SessionID
	}
	next.SessionID = claims.SessionID
	claims.IDToken, claims.AccessExpires, claims.RefreshToken = g.idToken, g.expires, next.seal()
	return claims, nil
}

// sameAs is OpenID Connect Core 1.0 section 12.2. An ID token is optional there; without one the userinfo endpoint has to say who it
// is and which groups they have.
func (p *Provider) sameAs(ctx context.Context, meta metadata, before renewal, g grant) (Claims, error) {
	if g.idToken == "" {
		if !p.cfg.Userinfo {
			return Claims{}, ErrNoIDToken
		}
		m, err := p.userinfo(ctx, meta, g.access, before.Subject)
		if err != nil {
			return Claims{}, err
		}
		claims := p.claims(m)
		return claims, m.err
	}
	m, issued, err := p.openIDToken(ctx, g.idToken)
	if err != nil {
		return Claims{}, err
	}
	nonce, sub := m.text("nonce", 512, ErrNonce), m.text("sub", maxSubject, ErrSubject)
	claims := p.claims(m)
	switch {
	case m.err != nil:
		return Claims{}, m.err
	case sub != before.Subject:
		return Claims{}, ErrSubject
	case m.has("nonce") && nonce != before.Nonce:
		return Claims{}, ErrNonce
	case !p.fresh(issued, refreshedLife):
		return Claims{}, ErrIssuedAt
	case claims.AuthTime.After(p.now().Add(skew)):
		return Claims{}, ErrAuthTime
	}
	if err := p.secondOpinion(ctx, g); err != nil {
		return Claims{}, err
	}
	return p.complete(ctx, meta, m, claims, g)
}
