package signon

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	maxCode  = 4096
	maxParam = 8192
)

// Finish takes the provider's answer, which came as the query of our callback, and says who has signed in. Every error is a
// *layer.Refusal by identity, whose Cause names the check. Answers are taken once.
func (p *Provider) Finish(ctx context.Context, pending Pending, query url.Values) (Claims, error) {
	meta, err := p.accept(ctx, pending, query)
	if err != nil {
		return Claims{}, refuse(err)
	}
	token, err := p.exchange(ctx, meta, query.Get("code"), pending.Verifier)
	if err != nil {
		return Claims{}, refuse(err)
	}
	claims, err := p.verify(ctx, pending, token)
	if err != nil {
		return Claims{}, refuse(err)
	}
	return claims, nil
}

// accept decides whether the answer is for this browser, from this provider, and new. The state comes first: until it fits, the
// query is a stranger's and reaches nobody.
func (p *Provider) accept(ctx context.Context, pending Pending, query url.Values) (metadata, error) {
	if err := p.live(pending); err != nil {
		return metadata{}, err
	}
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(query[name]) > 1 || len(query.Get(name)) > maxParam {
			return metadata{}, ErrQuery
		}
	}
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(pending.State)) != 1 {
		return metadata{}, ErrState
	}
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return metadata{}, err
	}
	// RFC 9207 section 2.4: a client that knows several providers must not send the code of one to another.
	if (meta.SendsIssuer || query.Has("iss")) && query.Get("iss") != p.cfg.Issuer {
		return metadata{}, ErrMixUp
	}
	if !p.spent.first(pending.State, p.cfg.Now(), pending.Begun.Add(pendingLife+skew)) {
		return metadata{}, ErrReplayed
	}
	if query.Has("error") {
		return metadata{}, reported(query.Get("error"))
	}
	if code := query.Get("code"); code == "" || len(code) > maxCode {
		return metadata{}, ErrCode
	}
	return meta, nil
}

// live refuses a pending sign-in that Begin did not make, above all the zero one, whose state an empty query would match.
func (p *Provider) live(pending Pending) error {
	if len(pending.State) != len(random()) || len(pending.Nonce) != len(random()) || len(pending.Verifier) != len(random()) {
		return ErrPending
	}
	age := p.cfg.Now().Sub(pending.Begun)
	if age > pendingLife || age < -skew {
		return ErrStale
	}
	return nil
}

// exchange trades the code for tokens, over the back channel. Errors of x/oauth2 repeat the answer's body, so they are not
// passed on.
func (p *Provider) exchange(ctx context.Context, meta metadata, code, verifier string) (*oauth2.Token, error) {
	ctx = oidc.ClientContext(ctx, p.cfg.HTTP)
	token, err := meta.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var answered *oauth2.RetrieveError
	var network *url.Error
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &answered) && answered.Response.StatusCode >= 500:
		return nil, fmt.Errorf("%w: the token endpoint answers %d", ErrUnreachable, answered.Response.StatusCode)
	case errors.As(err, &answered):
		return nil, fmt.Errorf("%w: %w", ErrExchange, reported(answered.ErrorCode))
	case errors.As(err, &network):
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, network)
	default:
		return nil, ErrTokenResponse
	}
}

// verify is OpenID Connect Core 1.0 section 3.1.3.7, twice: first here, where each check has a name, then by go-oidc.
func (p *Provider) verify(ctx context.Context, pending Pending, token *oauth2.Token) (Claims, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return Claims{}, ErrNoIDToken
	}
	m, err := p.open(ctx, raw, p.eagerKeys, "jwt")
	if err != nil {
		return Claims{}, err
	}
	issued, err := p.addressed(m)
	if err != nil {
		return Claims{}, err
	}
	claims := p.claims(m)
	claims.IDToken = raw
	nonce := m.text("nonce", 512, ErrNonce)
	switch {
	case m.err != nil:
		return Claims{}, m.err
	case m.has("events"): // a logout token that poses as an ID token
		return Claims{}, ErrType
	case subtle.ConstantTimeCompare([]byte(nonce), []byte(pending.Nonce)) != 1:
		return Claims{}, ErrNonce
	case issued.Before(pending.Begun.Add(-skew)):
		return Claims{}, ErrIssuedAt
	case !pending.AuthAfter.IsZero() && claims.AuthTime.Before(pending.AuthAfter.Add(-skew)),
		claims.AuthTime.After(p.cfg.Now().Add(skew)):
		return Claims{}, ErrAuthTime
	}
	return claims, p.secondOpinion(ctx, raw, token.AccessToken)
}

// secondOpinion asks go-oidc, which shares no line with the checks here but the keys. The at_hash is optional in the code flow
// (OpenID Connect Core 1.0 section 3.1.3.6) and the access token is used for nothing; one that is there has to be right.
func (p *Provider) secondOpinion(ctx context.Context, raw, accessToken string) error {
	token, err := p.idTokens.Verify(ctx, raw)
	if err != nil {
		return ErrSecondOpinion
	}
	if token.AccessTokenHash != "" && token.VerifyAccessToken(accessToken) != nil {
		return ErrAccessTokenHash
	}
	return nil
}

// fresh reports whether an instant is within d before now, give or take the skew.
func (p *Provider) fresh(at time.Time, d time.Duration) bool {
	age := p.cfg.Now().Sub(at)
	return age <= d+skew && age >= -skew
}
