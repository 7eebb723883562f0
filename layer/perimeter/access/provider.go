package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// A Provider is an OpenID Connect provider where people sign on.
type Provider struct {
	// Name is what policies call it, as in Group::"okta/admins": lower case letters, digits and hyphens. Required.
	Name string
	// Title is what people call it; zero is Name.
	Title string
	// Issuer is its address, exactly as it says itself; http on loopback alone. Required.
	Issuer string
	// ClientID and ClientSecret are ours there. The redirect address to register is RedirectPath at each origin. Required.
	ClientID, ClientSecret string
	// Scopes are asked for besides openid, profile and email; zero is none. Some providers give groups for the scope "groups".
	Scopes []string
	// GroupsClaim names the claim that lists a person's groups; zero means that they have none.
	GroupsClaim string
	// HTTP speaks to it; nil means a client with limits. Redirects are not followed, and answers are bounded, either way.
	HTTP *http.Client
}

// RedirectPath is where a provider of that name sends browsers back to, at the origin of each application. Each provider has its own,
// so that an answer of one is never taken for another's (RFC 9700 section 4.4.2.2).
func RedirectPath(provider string) string { return Reserved + "callback/" + provider }

const (
	discoveryLife = time.Hour       // after which a provider's addresses are asked for again
	discoveryRest = 5 * time.Second // after an attempt that did not succeed
	providerTime  = 10 * time.Second
	maxAnswer     = 1 << 20 // bytes of one answer of a provider's
	maxExchanges  = 64      // with one provider at once
)

// algorithms are those that a token may be signed with: public keys alone, whatever a provider says (RFC 8725 section 3.1).
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// errRest means that the provider did not answer just now, and is not asked again yet.
var errRest = errors.New("the provider did not answer a moment ago")

// A provider learns its addresses when somebody first needs them, so that an edge starts, and serves services and sessions, while a
// provider is down.
type provider struct {
	Provider
	client *http.Client
	now    func() time.Time
	turn   chan struct{} // to ask for addresses
	places chan struct{} // to exchange codes

	found *discovered // by whoever has the turn
	tried time.Time
}

type discovered struct {
	op       *oidc.Provider
	verifier *oidc.IDTokenVerifier
	oauth    oauth2.Config
	says     bool // that it names itself in every answer (RFC 9207)
	at       time.Time
}

func (g *Guard) addProviders() (problems []error) {
	names, issuers := map[string]bool{}, map[string]bool{}
	if len(g.config.Providers) > MaxProviders {
		problems = append(problems, fmt.Errorf("there are more than %d providers", MaxProviders))
	}
	for _, p := range g.config.Providers {
		switch {
		case !nameForm.MatchString(p.Name):
			problems = append(problems, errors.New("a provider has no name of up to 32 lower case letters, digits and hyphens"))
		case names[p.Name] || issuers[p.Issuer+" "+p.ClientID]:
			problems = append(problems, fmt.Errorf("provider %s is given twice", p.Name))
		}
		names[p.Name], issuers[p.Issuer+" "+p.ClientID] = true, true
		if !safeIssuer(p.Issuer) {
			problems = append(problems, fmt.Errorf("the issuer of provider %s is no https address without query (http is for loopback alone)", p.Name))
		}
		if p.ClientID == "" || p.ClientSecret == "" {
			problems = append(problems, fmt.Errorf("provider %s has no client identifier or no client secret", p.Name))
		}
		if p.Title == "" {
			p.Title = p.Name
		}
		g.providers = append(g.providers, &provider{Provider: p, client: limited(p.HTTP), now: g.now, turn: make(chan struct{}, 1), places: make(chan struct{}, maxExchanges)})
	}
	return problems
}

func safeIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (g *Guard) provider(name string) *provider {
	i := slices.IndexFunc(g.providers, func(p *provider) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return g.providers[i]
}

// limited bounds what a provider can do to us by its answers.
func limited(c *http.Client) *http.Client {
	var out http.Client
	if c != nil {
		out = *c
	}
	through := out.Transport
	if through == nil {
		through = http.DefaultTransport
	}
	out.Transport = bounding{through}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if out.Timeout == 0 || out.Timeout > providerTime {
		out.Timeout = providerTime
	}
	return &out
}

type bounding struct{ through http.RoundTripper }

func (b bounding) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.through.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// discover returns what the provider says of itself (OpenID Connect Discovery 1.0). One asks at a time; an old answer outlives a
// provider that does not answer.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := p.now()
	switch {
	case p.found != nil && now.Sub(p.found.at) < discoveryLife:
		return p.found, nil
	case now.Sub(p.tried).Abs() < discoveryRest && p.found != nil:
		return p.found, nil
	case now.Sub(p.tried).Abs() < discoveryRest:
		return nil, errRest
	}
	p.tried = now
	found, err := p.ask(ctx)
	if err != nil && p.found != nil {
		return p.found, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking provider %s for its addresses: %w", p.Name, err)
	}
	p.found = found
	return found, nil
}

// ask does not end with the request that caused it: others wait for the answer.
func (p *provider) ask(ctx context.Context) (*discovered, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTime)
	defer cancel()
	op, err := oidc.NewProvider(p.context(ctx), p.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Says    bool     `json:"authorization_response_iss_parameter_supported"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := op.Claims(&more); err != nil {
		return nil, err
	}
	end := op.Endpoint()
	for _, address := range []string{end.AuthURL, end.TokenURL} {
		if !safeEndpoint(address, p.Issuer) {
			return nil, errors.New("an address is not https")
		}
	}
	end.AuthStyle = oauth2.AuthStyleInHeader // which is the default (OpenID Connect Discovery 1.0 section 3)
	if len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		end.AuthStyle = oauth2.AuthStyleInParams
	}
	return &discovered{
		op:       op,
		verifier: op.Verifier(&oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.now}),
		oauth: oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: end,
			Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, p.Scopes...)},
		says: more.Says,
		at:   p.now(),
	}, nil
}

func safeEndpoint(address, issuer string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || strings.HasPrefix(issuer, "http://") && safeIssuer(u.Scheme+"://"+u.Host))
}
