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
// Two implementations verify each token, this one and go-oidc, and either can refuse. Answers without end, redirects of the
// back channel and a provider that is down cost a bounded time.
//
// # What it does not stop
//
// A provider that is itself taken over, and a person who may sign in but should not have been invited: who is admitted is
// decided by package identity. Replay memory belongs to one process; nonce and single-use codes hold across several.
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
//	to, pending, err := sso.Begin(ctx)                        // seal pending into a cookie, send the browser to to
//	claims, err := sso.Finish(ctx, pending, r.URL.Query())    // at the callback, with the pending from the cookie
package signon

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config says which provider, and who we are to it.
type Config struct {
	// Issuer is the provider's exact issuer identifier. It has no zero value, and is https unless its host is loopback.
	Issuer string
	// ClientID and ClientSecret are our registration with the provider. They have no zero value.
	ClientID, ClientSecret string
	// RedirectURL is our callback, as registered. It has no zero value, and is https unless its host is loopback.
	RedirectURL string
	// HTTP reaches the provider; zero means a client with a 10 s limit and without proxies. In either case redirects are not
	// followed and an answer longer than 1 MiB is an error.
	HTTP *http.Client
	// Algorithms may sign tokens; zero means ES256, RS256, EdDSA and PS256. Symmetric ones and none are refused.
	Algorithms []string
	// GroupsClaim names the claim with the list of groups; zero means "groups".
	GroupsClaim string
	// Scopes are asked for; zero means openid, profile and email, and groups if the provider advertises it.
	Scopes []string
	// Now tells the time; zero means time.Now.
	Now func() time.Time
}

const (
	pendingLife = 10 * time.Minute
	skew        = 60 * time.Second // how far the provider's clock and ours may be apart
)

// A Provider is the relying party's side of one identity provider. Make it with New. It may be used concurrently.
type Provider struct {
	cfg        Config
	metadata   *lazy[metadata]
	keys       *lazy[keyList]
	idTokens   *oidc.IDTokenVerifier // the second opinion on ID tokens
	logouts    *oidc.IDTokenVerifier // the second opinion on logout tokens
	spent      *once                 // states that came back
	loggedOut  *once                 // logout tokens that were heeded
	eagerKeys  keySet                // fetches keys at once for a key identifier that is not known
	steadyKeys keySet                // fetches them at most every keyPatience
}

// New returns a provider without asking it anything, or every problem of cfg at once.
func New(cfg Config) (*Provider, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configuring sign-on: %w", err)
	}
	cfg = cfg.withDefaults()
	p := &Provider{cfg: cfg, spent: newOnce(maxRemembered), loggedOut: newOnce(maxRemembered)}
	p.metadata = newLazy(cfg.Now, p.discover)
	p.metadata.serveStale = true
	p.keys = newLazy(cfg.Now, p.fetchKeys)
	p.eagerKeys, p.steadyKeys = keySet{p, 0}, keySet{p, keyPatience}
	// go-oidc forgives no lateness; a clock that is slow by our skew forgives as much as we do.
	verify := &oidc.Config{ClientID: cfg.ClientID, SupportedSigningAlgs: cfg.Algorithms, Now: func() time.Time { return cfg.Now().Add(-skew) }}
	p.idTokens = oidc.NewVerifier(cfg.Issuer, p.eagerKeys, verify)
	p.logouts = oidc.NewVerifier(cfg.Issuer, p.steadyKeys, verify)
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
	for _, algorithm := range cfg.Algorithms {
		wrong(!slices.Contains(asymmetric, algorithm), "Algorithms has "+strconv.Quote(algorithm)+", which is not an asymmetric signature")
	}
	wrong(len(cfg.Scopes) > 0 && !slices.Contains(cfg.Scopes, oidc.ScopeOpenID), "Scopes has no openid")
	return errors.Join(problems...)
}

func (cfg Config) withDefaults() Config {
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{oidc.ES256, oidc.RS256, oidc.EdDSA, oidc.PS256}
	}
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.HTTP = boundedClient(cfg.HTTP)
	return cfg
}

// secure reports whether an address may carry codes and secrets: https, or http that does not leave the machine.
func secure(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// A Pending is a sign-in on its way. The caller seals it into a cookie of the browser that begins, and gives it back to Finish:
// that binds the answer to the browser. Its values are secrets, so it prints as its name alone.
type Pending struct {
	State     string    `json:"state"`
	Nonce     string    `json:"nonce"`
	Verifier  string    `json:"verifier"`
	Begun     time.Time `json:"begun"`
	AuthAfter time.Time `json:"auth_after,omitzero"` // the person must have proved themselves since; zero if that was not asked
}

// Format implements fmt.Formatter.
func (Pending) Format(f fmt.State, _ rune) { fmt.Fprint(f, "signon.Pending") }

// LogValue implements slog.LogValuer.
func (Pending) LogValue() slog.Value { return slog.StringValue("signon.Pending") }

// An Option asks the provider for more than a sign-in.
type Option func(*ask)

type ask struct {
	params map[string]string
	maxAge *time.Duration
}

// Prompt asks for "login", "none", "select_account" or "consent". The address passes through the person's hands, who could
// take "login" out of it; so it also asks for MaxAge(0), which Finish can check.
func Prompt(value string) Option {
	return func(a *ask) {
		a.params["prompt"] = value
		if value == "login" {
			MaxAge(0)(a)
		}
	}
}

// MaxAge asks that the person has proved who they are within d, for step-up (SYSTEM I6). Finish refuses a token that does not
// say so.
func MaxAge(d time.Duration) Option { return func(a *ask) { a.maxAge = &d } }

// ACRValues asks for one of several levels of assurance, best first. It is a wish: whoever needs one reads Claims.ACR.
func ACRValues(values string) Option { return func(a *ask) { a.params["acr_values"] = values } }

// Begin returns the address to send the browser to, and what Finish needs when it comes back.
func (p *Provider) Begin(ctx context.Context, options ...Option) (redirectURL string, pending Pending, err error) {
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return "", Pending{}, unavailable(err)
	}
	a := ask{params: map[string]string{}}
	for _, option := range options {
		option(&a)
	}
	pending = Pending{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Begun: p.cfg.Now().UTC()}
	if a.maxAge != nil {
		pending.AuthAfter = pending.Begun.Add(-*a.maxAge)
		a.params["max_age"] = strconv.FormatInt(int64(a.maxAge.Seconds()), 10)
	}
	params := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(pending.Verifier), oidc.Nonce(pending.Nonce)}
	for name, value := range a.params {
		params = append(params, oauth2.SetAuthURLParam(name, value))
	}
	return meta.oauth.AuthCodeURL(pending.State, params...), pending, nil
}

// LogoutURL returns the address that ends the person's session at the provider (RP-Initiated Logout 1.0). The refusal's cause is
// ErrNoLogout if the provider has none.
func (p *Provider) LogoutURL(ctx context.Context, idTokenHint, postLogoutRedirect, state string) (string, error) {
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

// random is 256 bits that nobody can guess.
func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: the program ends rather than go on without randomness
	return base64.RawURLEncoding.EncodeToString(b)
}
