package signon

import (
	"context"
	"crypto/subtle"
	"net/url"
	"time"
)

const (
	maxCode  = 4096
	maxParam = 8192
)

// Finish takes the provider's answer, which came as the query of our callback, and says who has signed in. Every error is a
// *layer.Refusal by identity, whose Cause names the check. Answers are taken once.
func (p *Provider) Finish(ctx context.Context, pending Pending, query url.Values) (Claims, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	meta, err := p.accept(ctx, pending, query)
	if err != nil {
		return Claims{}, refuse(err)
	}
	g, err := p.redeem(ctx, meta, url.Values{"grant_type": {"authorization_code"}, "code": {query.Get("code")},
		"redirect_uri": {p.cfg.RedirectURL}, "code_verifier": {pending.Verifier}})
	if err != nil {
		return Claims{}, refuse(err)
	}
	claims, err := p.verify(ctx, meta, pending, g)
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
	if (meta.SendsIssuer || p.cfg.RequireIssuer || query.Has("iss")) && query.Get("iss") != p.cfg.Issuer {
		return metadata{}, ErrMixUp
	}
	if !p.spent.first(pending.State, p.now(), pending.Begun.Add(pendingLife+skew)) {
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
	if pending.Provider != p.digest() {
		return ErrMixUp
	}
	age := p.now().Sub(pending.Begun)
	if age > pendingLife || age < -skew {
		return ErrStale
	}
	return nil
}

// verify is OpenID Connect Core 1.0 section 3.1.3.7, twice: first here, where each check has a name, then by go-oidc.
func (p *Provider) verify(ctx context.Context, meta metadata, pending Pending, g grant) (Claims, error) {
	if g.idToken == "" {
		return Claims{}, ErrNoIDToken
	}
	m, issued, err := p.openIDToken(ctx, g.idToken)
	if err != nil {
		return Claims{}, err
	}
	nonce := m.text("nonce", 512, ErrNonce)
	claims := p.claims(m)
	switch {
	case m.err != nil:
		return Claims{}, m.err
	case subtle.ConstantTimeCompare([]byte(nonce), []byte(pending.Nonce)) != 1:
		return Claims{}, ErrNonce
	case issued.Before(pending.Begun.Add(-skew)):
		return Claims{}, ErrIssuedAt
	case !pending.AuthAfter.IsZero() && claims.AuthTime.Before(pending.AuthAfter.Add(-skew)),
		claims.AuthTime.After(p.now().Add(skew)):
		return Claims{}, ErrAuthTime
	}
	if err := p.secondOpinion(ctx, g); err != nil {
		return Claims{}, err
	}
	if claims, err = p.complete(ctx, meta, m, claims, g); err != nil {
		return Claims{}, err
	}
	claims.IDToken = g.idToken
	return p.renewable(claims, m.text("sub", maxSubject, ErrSubject), pending.Nonce, g), nil
}

// openIDToken verifies what all ID tokens have in common.
func (p *Provider) openIDToken(ctx context.Context, raw string) (*members, time.Time, error) {
	m, err := p.open(ctx, raw, 0, "jwt")
	if err != nil {
		return nil, time.Time{}, err
	}
	issued, err := p.addressed(m)
	if err == nil && m.has("events") { // a logout token that poses as an ID token
		err = ErrType
	}
	return m, issued, err
}

// secondOpinion asks go-oidc, which shares no line with the checks here but the keys. The at_hash is optional in the code flow
// (OpenID Connect Core 1.0 section 3.1.3.6); one that is there has to be right.
func (p *Provider) secondOpinion(ctx context.Context, g grant) error {
	token, err := p.idTokens.Verify(ctx, g.idToken)
	if err != nil {
		return ErrSecondOpinion
	}
	if token.AccessTokenHash != "" && token.VerifyAccessToken(g.access) != nil {
		return ErrAccessTokenHash
	}
	return nil
}

// fresh reports whether an instant is within d before now, give or take the skew.
func (p *Provider) fresh(at time.Time, d time.Duration) bool {
	age := p.now().Sub(at)
	return age <= d+skew && age >= -skew
}
