// Package signon lets people in through an external OpenID Connect provider, and in no other way (SYSTEM I1). It exists so that
// the application holds no password and so that one careful piece of code, rather than every application, does the checks that
// the protocol leaves to the relying party.
//
// # What it assumes has failed
//
// Everything between the browser and this process: the query of a callback is an attacker's, a link may have been planted, a
// token may come from another provider, another client or last year. The provider is trusted to say who somebody is, once its
// token has passed; it is not trusted to be up, brief, or well formed.
//
// # What it stops
//
// Codes and tokens that were stolen, replayed, mixed up or forged: PKCE with S256, state, nonce, the iss of RFC 9207, pinned
// asymmetric algorithms, issuer, audience, azp, at_hash, times, auth_time (OpenID Connect Core 1.0 section 3.1.3.7, RFC 9700).
// Two implementations verify each token, this one and go-oidc, and either can refuse. A refreshed token is held against the
// sign-in that it continues, and proves nothing new. Answers without end, redirects of the back channel and a provider that is
// down or slow cost five seconds at most, and nobody who is signed in waits for it: keys and metadata are kept.
//
// Each refusal has a short name, of a closed vocabulary, for the audit trail (Name, Names).
//
// # What it does not stop
//
// A provider that is itself taken over, and a person who may sign in but should not have been invited: who is admitted is
// decided by package identity. The memory of answers that were taken belongs to one process; across several, nonce and single-use
// codes hold. That of logout tokens is the caller's, if it wants (Config.FirstLogout, CheckLogout).
//
// # How it is knocked out in a drill
//
// The drill gives identity a sign-on that believes whatever the provider's page says, and expects the perimeter's own sign-on,
// the session and the database's view of the person to refuse what it lets through.
//
// # Example
//
//	sso, err := signon.New(signon.Config{Issuer: issuer, ClientID: "shop", ClientSecret: secret, RedirectURL: base + "/callback"})
//	...
//	to, pending, err := sso.Begin(ctx, signon.BeginOptions{})  // seal pending into a cookie, send the browser to to
//	claims, err := sso.Finish(ctx, pending, r.URL.Query())    // at the callback, with the pending from the cookie
package signon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Config says which provider, and who we are to it.
type Config struct {
	// Issuer is the provider's exact issuer identifier. It has no zero value, and is https unless its host is loopback.
	Issuer string
	// ClientID and ClientSecret are our registration with the provider. They have no zero value.
	ClientID, ClientSecret string
	// RedirectURL is our callback, as registered. It has no zero value, and is https unless its host is loopback.
	RedirectURL string
	// HTTP reaches the provider; zero means a client without proxies, on TLS 1.2 or later. In either case redirects are not
	// followed, an answer longer than 1 MiB is an error, and so is one that is not there after five seconds.
	HTTP *http.Client
	// Algorithms may sign tokens; zero means ES256, RS256, EdDSA and PS256. Symmetric ones and none are refused.
	Algorithms []string
	// GroupsClaim names the claim with the list of groups; zero means "groups". This and the other names of claims may be an
	// address, such as "https://shop.example/groups", or, beginning with a slash, a JSON Pointer to a nested one, such as
	// "/realm_access/roles".
	GroupsClaim string
	// SubjectClaim names the claim by which a person is known for good; zero means "sub". Another one must be as stable and as
	// unique, and never be given to somebody else.
	SubjectClaim string
	// EmailClaim and NameClaim name the claims with the address and the name of a person; zero means "email" and "name".
	EmailClaim, NameClaim string
	// EmailVerifiedClaim names the claim that says whether the address was verified; zero means "email_verified".
	EmailVerifiedClaim string
	// Scopes are asked for; zero means openid, profile and email, and groups if the provider advertises it.
	Scopes []string
	// Refresh asks for a refresh token (offline_access), so that groups can be read again while a session lasts (SYSTEM I3); zero
	// means that they are those of the sign-in.
	Refresh bool
	// Consent asks for the person's consent with each sign-in that wants a refresh token, as OpenID Connect Core 1.0 section 11 has
	// it; zero leaves that to the provider, most of which do not need it.
	Consent bool
	// Userinfo asks the userinfo endpoint for groups, address and name that an ID token lacks; zero means that the token has all.
	Userinfo bool
	// Parameters are added to the address of a sign-in, for what only this provider knows, such as access_type=offline; zero means
	// none. Those of the protocol are refused.
	Parameters map[string]string
	// RequireIssuer refuses an answer that does not say of which provider it is (RFC 9207), even if the provider does not promise to
	// say so. It is needed where several providers share a RedirectURL (Distinct).
	RequireIssuer bool
	// FirstLogout remembers until then that a logout token was heeded, and reports whether it is for the first time; what it is given
	// as id is a digest that no two providers share. Zero means the memory of this process.
	FirstLogout func(ctx context.Context, id string, until time.Time) (bool, error)
	// Now tells the time; zero means time.Now.
	Now func() time.Time
}

const pendingLife = 10 * time.Minute

var defaultAlgorithms = []string{oidc.ES256, oidc.RS256, oidc.EdDSA, oidc.PS256}

// A Provider is the relying party's side of one identity provider. Make it with New. It may be used concurrently.
type Provider struct {
	*authority
	cfg       Config
	idTokens  *oidc.IDTokenVerifier // the second opinion on ID tokens; it fetches keys at once for an identifier that is not known
	logouts   *oidc.IDTokenVerifier // the second opinion on logout tokens; it fetches them at most every keyPatience
	spent     *once                 // states that came back
	loggedOut *once                 // logout tokens that were heeded
}

// New returns a provider without asking it anything, or every problem of cfg at once.
func New(cfg Config) (*Provider, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configuring sign-on: %w", err)
	}
	cfg = cfg.withDefaults()
	p := &Provider{cfg: cfg, spent: newOnce(maxRemembered), loggedOut: newOnce(maxRemembered)}
	if p.cfg.FirstLogout == nil {
		p.cfg.FirstLogout = func(_ context.Context, id string, until time.Time) (bool, error) {
			return p.loggedOut.first(id, cfg.Now(), until), nil
		}
	}
	p.authority = newAuthority(cfg.Issuer, cfg.HTTP, cfg.Algorithms, cfg.Now, p.checkMetadata)
	// go-oidc forgives no lateness; a clock that is slow by our skew forgives as much as we do.
	verify := &oidc.Config{ClientID: cfg.ClientID, SupportedSigningAlgs: cfg.Algorithms, Now: func() time.Time { return cfg.Now().Add(-skew) }}
	p.idTokens = oidc.NewVerifier(cfg.Issuer, keySet{p.authority, 0}, verify)
	p.logouts = oidc.NewVerifier(cfg.Issuer, keySet{p.authority, keyPatience}, verify)
	return p, nil
}

func (cfg Config) check() error {
	var problems []error
	wrong := func(bad bool, what string) {
		if bad {
			problems = append(problems, errors.New(what))
		}
	}
	wrong(!secure(cfg.Issuer), "Issuer is not https, or http on loopback")
	issuer, _ := url.Parse(cfg.Issuer)
	wrong(issuer != nil && (issuer.RawQuery != "" || issuer.ForceQuery), "Issuer has a query")
	wrong(cfg.ClientID == "", "ClientID is empty")
	wrong(cfg.ClientSecret == "", "ClientSecret is empty")
	wrong(!secure(cfg.RedirectURL), "RedirectURL is not https, or http on loopback")
	problems = append(problems, checkAlgorithms(cfg.Algorithms)...)
	for name := range cfg.Parameters {
		wrong(slices.Contains(ofTheProtocol, name), "Parameters has "+strconv.Quote(name)+", which is of the protocol")
	}
	wrong(cfg.Consent && !cfg.Refresh, "Consent is for Refresh alone")
	wrong(len(cfg.Scopes) > 0 && !slices.Contains(cfg.Scopes, oidc.ScopeOpenID), "Scopes has no openid")
	return errors.Join(problems...)
}

// ofTheProtocol are the parameters that Begin sets, or that would change what comes back.
var ofTheProtocol = []string{"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "acr_values", "login_hint", "request", "request_uri", "id_token_hint"}

func (cfg Config) withDefaults() Config {
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = defaultAlgorithms
	}
	for claim, name := range map[*string]string{&cfg.GroupsClaim: "groups", &cfg.SubjectClaim: "sub", &cfg.EmailClaim: "email",
		&cfg.NameClaim: "name", &cfg.EmailVerifiedClaim: "email_verified"} {
		if *claim == "" {
			*claim = name
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// Distinct reports every problem of several providers in one program: that two have one issuer, so that it would be unclear whose word
// counts, or that an answer could be brought to the wrong one because two share a RedirectURL and one of them may leave out the iss of
// RFC 9207 (the mix-up of RFC 9700 section 4.4).
func Distinct(providers ...*Provider) error {
	var problems []error
	for i, p := range providers {
		for _, other := range providers[:i] {
			if p.issuer == other.issuer {
				problems = append(problems, errors.New("two providers have one Issuer"))
			}
			if p.cfg.RedirectURL == other.cfg.RedirectURL && !(p.cfg.RequireIssuer && other.cfg.RequireIssuer) {
				problems = append(problems, errors.New("two providers share a RedirectURL, and not both have RequireIssuer"))
			}
		}
	}
	return errors.Join(problems...)
}

// LogoutURL returns the address that ends the person's session at the provider (RP-Initiated Logout 1.0). The refusal's cause is
// ErrNoLogout if the provider has none.
func (p *Provider) LogoutURL(ctx context.Context, idTokenHint, postLogoutRedirect, state string) (string, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return "", unavailable(err)
	}
	if meta.EndSession == "" {
		return "", unavailable(ErrNoLogout)
	}
	u, err := url.Parse(meta.EndSession)
	if err != nil {
		return "", unavailable(ErrDiscovery)
	}
	q := u.Query()
	for name, value := range map[string]string{"client_id": p.cfg.ClientID, "id_token_hint": idTokenHint,
		"post_logout_redirect_uri": postLogoutRedirect, "state": state} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Issuer is the provider's exact issuer identifier.
func (p *Provider) Issuer() string { return p.cfg.Issuer }
