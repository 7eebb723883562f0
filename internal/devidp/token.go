package devidp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A grant is what one sign-in allowed one client. Every token that came of it points to it, so that all end together.
type grant struct {
	client, subject, sid, acr string
	scope                     []string
	authTime                  time.Time
	refresh                   string // the one refresh token that is good now
	revoked                   bool
}

// A code is kept after its use, because a second use is a theft that has to be noticed (RFC 6749 section 4.1.2).
type code struct {
	grant                      *grant
	redirect, challenge, nonce string
	issued                     time.Time
	used                       bool
}

type access struct {
	grant   *grant
	expires time.Time
}

type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token"`
	Scope        string `json:"scope"`
}

// token is the token endpoint, RFC 6749 section 3.2.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	q, err := params(r)
	if err != nil || repeated(q) != "" || r.URL.RawQuery != "" {
		tokenError(w, &protocolError{"invalid_request", "The body is not a form, or repeats a parameter, or the address has a query."})
		return
	}
	client, refused := p.authenticate(r, q)
	if refused != nil {
		p.cfg.Log.Warn("token refused", "reason", refused.description)
		tokenError(w, refused)
		return
	}
	answer, refused := p.grantFor(client, q)
	if refused != nil {
		p.cfg.Log.Warn("token refused", "client", client, "reason", refused.description)
		tokenError(w, refused)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func tokenError(w http.ResponseWriter, e *protocolError) {
	status := http.StatusBadRequest
	switch e.code {
	case "invalid_client":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	case "server_error":
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, map[string]string{"error": e.code, "error_description": e.description})
}

// authenticate takes client_secret_basic or client_secret_post, never both (RFC 6749 section 2.3).
func (p *Provider) authenticate(r *http.Request, q url.Values) (string, *protocolError) {
	id, secret, basic := r.BasicAuth()
	switch {
	case basic && q.Has("client_secret"):
		return "", &protocolError{"invalid_request", "The client authenticates in two ways at once."}
	case basic:
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || q.Has("client_id") && q.Get("client_id") != id {
			return "", &protocolError{"invalid_client", "The client's authentication cannot be read, or contradicts the body."}
		}
	default:
		id, secret = q.Get("client_id"), q.Get("client_secret")
	}
	client, known := p.clients[id]
	want, got := sha256.Sum256([]byte(client.Secret)), sha256.Sum256([]byte(secret))
	if !same(string(want[:]), string(got[:])) || !known {
		return "", &protocolError{"invalid_client", "The client is not known, or its secret is wrong."}
	}
	return id, nil
}

func (p *Provider) grantFor(client string, q url.Values) (tokenResponse, *protocolError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch q.Get("grant_type") {
	case "authorization_code":
		return p.exchange(client, q)
	case "refresh_token":
		return p.renew(client, q)
	default:
		return tokenResponse{}, &protocolError{"unsupported_grant_type", "Only codes and refresh tokens are exchanged here."}
	}
}

// exchange spends a code. Any presentation by any client spends it, and a second one revokes what the first one got.
func (p *Provider) exchange(client string, q url.Values) (tokenResponse, *protocolError) {
	no := func(why string) (tokenResponse, *protocolError) {
		return tokenResponse{}, &protocolError{"invalid_grant", why}
	}
	c, ok := p.codes.get(q.Get("code"))
	if !ok {
		return no("The code is not known.")
	}
	if c.used {
		c.grant.revoked = true
		return no("The code was used before; all that came of it is revoked.")
	}
	c.used = true
	sum := sha256.Sum256([]byte(q.Get("code_verifier")))
	switch {
	case p.cfg.Now().Sub(c.issued) > codeLife:
		return no("The code is too old.")
	case c.grant.client != client:
		return no("The code belongs to another client.")
	case q.Get("redirect_uri") != c.redirect:
		return no("The redirect_uri is not the one of the request.")
	case !verifierShape(q.Get("code_verifier")) || !same(base64.RawURLEncoding.EncodeToString(sum[:]), c.challenge):
		return no("The code_verifier does not fit.")
	}
	return p.issue(c.grant, c.nonce)
}

// verifierShape is RFC 7636 section 4.1.
func verifierShape(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// renew rotates a refresh token. It names its family, so that one which is not the family's newest is known to be a copy, and
// the family ends for the thief and the owner alike (SYSTEM I5, RFC 9700 section 4.14.2).
func (p *Provider) renew(client string, q url.Values) (tokenResponse, *protocolError) {
	no := func(why string) (tokenResponse, *protocolError) {
		return tokenResponse{}, &protocolError{"invalid_grant", why}
	}
	family, _, _ := strings.Cut(q.Get("refresh_token"), ".")
	g, ok := p.families.get(family)
	switch {
	case !ok || g.client != client || g.revoked:
		return no("The refresh token is not known.")
	case !same(g.refresh, q.Get("refresh_token")):
		g.revoked = true
		p.families.drop(family)
		return no("The refresh token was used before; its family is revoked.")
	}
	for _, scope := range strings.Fields(q.Get("scope")) {
		if !slices.Contains(g.scope, scope) {
			return tokenResponse{}, &protocolError{"invalid_scope", "The scope is wider than what was granted."}
		}
	}
	return p.issue(g, "")
}

// issue makes the tokens of a grant, as the person is now. A grant dies with its session. The caller holds the lock.
func (p *Provider) issue(g *grant, nonce string) (tokenResponse, *protocolError) {
	if _, ok := p.alive(g.sid); !ok {
		return tokenResponse{}, &protocolError{"invalid_grant", "The session has ended."}
	}
	now := p.cfg.Now()
	t := tokenResponse{AccessToken: random(), TokenType: "Bearer", ExpiresIn: int(accessLife.Seconds()), Scope: strings.Join(g.scope, " ")}
	claims := p.personClaims(g)
	for name, value := range map[string]any{
		"iss": p.cfg.Issuer, "aud": g.client, "iat": now.Unix(), "exp": now.Add(idLife).Unix(), "auth_time": g.authTime.Unix(),
		"at_hash": atHash(p.cfg.Algorithm, t.AccessToken), "sid": g.sid, "acr": g.acr, "amr": methods(g.acr),
	} {
		claims[name] = value
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	var err error
	if t.IDToken, err = p.sign(idToken, claims); err != nil {
		p.cfg.Log.Error("signing an ID token", "error", err)
		return tokenResponse{}, &protocolError{"server_error", "The ID token cannot be signed."}
	}
	p.access.put(t.AccessToken, access{g, now.Add(accessLife)})
	if slices.Contains(g.scope, "offline_access") {
		t.RefreshToken = p.rotate(g)
	}
	return t, nil
}

func (p *Provider) rotate(g *grant) string {
	family, _, _ := strings.Cut(g.refresh, ".")
	if family == "" {
		family = random()
	}
	g.refresh = family + "." + random()
	p.families.put(family, g)
	return g.refresh
}

// methods are the amr values of RFC 8176 that belong to a level.
func methods(acr string) []string {
	if acr == ACRTwoFactor {
		return []string{"pwd", "otp", "mfa"}
	}
	return []string{"pwd"}
}

// personClaims says who somebody is, as far as the scope goes (OpenID Connect Core 1.0 section 5.4). The caller holds the lock.
func (p *Provider) personClaims(g *grant) map[string]any {
	who := p.people[g.subject]
	claims := map[string]any{"sub": who.Subject}
	if slices.Contains(g.scope, "profile") {
		claims["name"] = who.Name
	}
	if slices.Contains(g.scope, "email") {
		claims["email"], claims["email_verified"] = who.Email, who.EmailVerified
	}
	if slices.Contains(g.scope, "groups") {
		claims["groups"] = slices.Concat([]string{}, who.Groups) // [] and not null for nobody's member
	}
	return claims
}

// userinfo is OpenID Connect Core 1.0 section 5.3. The token comes in the header alone (RFC 9700 section 2.6).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.mu.Lock()
	a, ok := p.access.get(value)
	good := ok && strings.EqualFold(scheme, "Bearer") && !a.grant.revoked && p.cfg.Now().Before(a.expires)
	var claims map[string]any
	if good {
		_, good = p.alive(a.grant.sid)
		claims = p.personClaims(a.grant)
	}
	p.mu.Unlock()
	if !good {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, claims)
}
