// Package devidp is a small, real OpenID Connect provider for development, tests and the drill. It exists so that signing in
// works on a machine with no network and no account, through the same protocol as in production (SYSTEM I1), and so that
// every hostile answer of a provider can be produced on demand. It has no passwords: a person is chosen from a list.
// Anyone who reaches it can become anyone, so it refuses an issuer that is not loopback, a request that comes from another
// machine, and a request for another host name. Never put it on a network.
//
// It speaks the authorization code flow alone, with PKCE S256 and exact redirect addresses: OpenID Connect Core 1.0,
// Discovery 1.0, RP-Initiated Logout 1.0, Back-Channel Logout 1.0, RFC 6749, RFC 7636 and RFC 9207.
package devidp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what the provider knows at its start. Everything else it remembers in memory, and forgets.
type Config struct {
	// Issuer is the provider's own address, such as "https://127.0.0.1:9000". It has no zero value, and its host must be
	// loopback: localhost, 127.0.0.0/8 or ::1.
	Issuer string
	// Clients are the relying parties; zero means that nobody can sign in anywhere.
	Clients []Client
	// People are those who can be chosen, in the order of the page; zero means an empty page.
	People []Person
	// Algorithm signs tokens: ES256 (zero), RS256 or EdDSA.
	Algorithm string
	// Now tells the time; zero means time.Now.
	Now func() time.Time
	// Log receives what happens, without tokens or codes; zero means nowhere.
	Log *slog.Logger
	// HTTP delivers back-channel logout tokens; zero means a client without proxies and redirects, and with a 5 s limit.
	HTTP *http.Client
}

// A Client is a relying party, registered by hand.
type Client struct {
	ID, Secret             string
	RedirectURIs           []string // compared byte for byte, RFC 9700 section 2.1
	PostLogoutRedirectURIs []string // compared byte for byte; zero means that signing out ends on the provider's own page
	BackchannelLogoutURI   string   // zero means that the client is not told of sign-outs
}

// A Person is someone whom one click makes you.
type Person struct {
	Subject, Email, Name string
	EmailVerified        bool
	Groups               []string
	Note                 string // shown on the page alone, such as "Acme · administrator"
}

// The limits of everything that is remembered; beyond them the oldest is forgotten.
const (
	maxClients  = 50
	maxPeople   = 200
	maxPending  = 1000 // sign-ins that wait for a click
	maxCodes    = 1000
	maxSessions = 1000
	maxFamilies = 1000 // chains of refresh tokens
	maxAccess   = 4000 // access tokens
	maxBody     = 64 << 10
	maxQuery    = 16 << 10

	pendingLife = 10 * time.Minute
	codeLife    = 60 * time.Second // RFC 6749 section 4.1.2 allows ten minutes; a browser needs a second
	accessLife  = 5 * time.Minute
	idLife      = 5 * time.Minute
	sessionLife = 12 * time.Hour
)

// A Provider is the identity provider, an http.Handler. Make it with New. It may be used concurrently.
type Provider struct {
	cfg     Config
	base    string // the issuer's path, without a slash at its end
	host    string // the only Host that is answered
	secure  bool   // the issuer is https, so cookies are Secure
	policy  string // the content security policy of pages
	clients map[string]Client
	mux     *http.ServeMux

	mu       sync.Mutex // guards all below
	people   map[string]Person
	keys     []signingKey // the last one signs
	hooks    map[string]func(*Token)
	pending  *shelf[pending]
	codes    *shelf[*code]
	sessions *shelf[session] // by sid
	cookies  *shelf[string]  // from cookie to sid
	families *shelf[*grant]
	access   *shelf[access]
}

// New makes a provider, or returns every problem of cfg at once.
func New(cfg Config) (*Provider, error) {
	issuer, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("configuring the development provider: %w", err)
	}
	cfg = cfg.withDefaults()
	p := &Provider{
		cfg: cfg, base: issuer.Path, host: issuer.Host, secure: issuer.Scheme == "https", policy: pagePolicy(cfg.Clients),
		clients: map[string]Client{}, people: map[string]Person{}, hooks: map[string]func(*Token){},
		pending: newShelf[pending](maxPending), codes: newShelf[*code](maxCodes), sessions: newShelf[session](maxSessions),
		cookies: newShelf[string](maxSessions), families: newShelf[*grant](maxFamilies), access: newShelf[access](maxAccess),
	}
	for _, c := range cfg.Clients {
		p.clients[c.ID] = c
	}
	for _, one := range cfg.People {
		p.people[one.Subject] = one
	}
	if err := p.RotateKeys(false); err != nil {
		return nil, err
	}
	p.mux = p.routes()
	return p, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{
			Timeout:       deliveryTime,
			Transport:     &http.Transport{Proxy: nil, MaxIdleConns: 10, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return cfg
}

// check returns the issuer, parsed, or every problem.
func (cfg Config) check() (*url.URL, error) {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	issuer, err := url.Parse(cfg.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && issuer.Scheme != "http":
		wrong("Issuer is not an http or https address")
	case issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil || strings.HasSuffix(cfg.Issuer, "/"):
		wrong("Issuer has a query, a fragment, a user or a slash at its end")
	case !loopback(issuer.Hostname()):
		wrong("Issuer is not loopback: in this provider anyone can become anyone, so it serves its own machine only")
	}
	if !slices.Contains([]string{"", "ES256", "RS256", "EdDSA"}, cfg.Algorithm) {
		wrong("Algorithm is not ES256, RS256 or EdDSA")
	}
	problems = append(problems, checkClients(cfg.Clients)...)
	problems = append(problems, checkPeople(cfg.People)...)
	return issuer, errors.Join(problems...)
}

func checkClients(clients []Client) (problems []error) {
	if len(clients) > maxClients {
		problems = append(problems, fmt.Errorf("there are too many clients: %d, at most %d", len(clients), maxClients))
	}
	seen := map[string]bool{}
	for i, c := range clients {
		wrong := func(what string) { problems = append(problems, fmt.Errorf("client %d: %s", i, what)) }
		if c.ID == "" || seen[c.ID] {
			wrong("ID is empty or given twice")
		}
		seen[c.ID] = true
		if c.Secret == "" {
			wrong("Secret is empty")
		}
		if len(c.RedirectURIs) == 0 {
			wrong("RedirectURIs is empty")
		}
		for _, u := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs, []string{c.BackchannelLogoutURI}) {
			if u != "" && !webAddress(u) || u == "" && slices.Contains(slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs), "") {
				wrong("an address is not absolute http or https without a fragment")
			}
		}
	}
	return problems
}

func checkPeople(people []Person) (problems []error) {
	if len(people) > maxPeople {
		problems = append(problems, fmt.Errorf("there are too many people: %d, at most %d", len(people), maxPeople))
	}
	seen := map[string]bool{}
	for i, one := range people {
		if one.Subject == "" || len(one.Subject) > 255 || seen[one.Subject] {
			problems = append(problems, fmt.Errorf("person %d: Subject is empty, longer than 255 bytes or given twice", i))
		}
		seen[one.Subject] = true
		if one.Name == "" {
			problems = append(problems, fmt.Errorf("person %d: Name is empty", i))
		}
	}
	return problems
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && !strings.Contains(s, "#")
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// SetGroups changes a person's groups from the next token on, as an administrator of the provider would (SYSTEM I3).
func (p *Provider) SetGroups(subject string, groups []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.people[subject]
	if !ok {
		return errors.New("setting groups: there is no such person")
	}
	one.Groups = slices.Clone(groups)
	p.people[subject] = one
	return nil
}

func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+p.base+path, h)
	}
	// Only the provider's own pages may post to these, whatever their token says: the browser's word, then the token's.
	own := func(h http.HandlerFunc) http.HandlerFunc { return http.NewCrossOriginProtection().Handler(h).ServeHTTP }
	handle("GET /.well-known/openid-configuration", p.discovery)
	handle("GET /jwks", p.jwks)
	handle("GET /authorize", p.authorize)
	handle("POST /authorize", p.authorize)
	handle("POST /choose", own(p.choose))
	handle("POST /token", p.token)
	handle("GET /userinfo", p.userinfo)
	handle("POST /userinfo", p.userinfo)
	handle("GET /end_session", p.endSession)
	handle("POST /end_session", p.endSession)
	handle("POST /signout", own(p.signOut))
	handle("GET /assets/{file}", p.asset)
	handle("GET /{$}", p.home)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		p.notice(w, http.StatusNotFound, "There is no such page", "The address is not one of this provider.")
	})
	return mux
}

// ServeHTTP implements http.Handler. It answers this machine only, and only by its own name, so that neither a neighbour on
// the network nor a page that re-binds its name to 127.0.0.1 can become someone.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.headers(w)
	switch {
	case !local(r.RemoteAddr):
		p.notice(w, http.StatusForbidden, "Not from here", "Development sign-in answers its own machine only.")
	case r.Host != p.host:
		p.notice(w, http.StatusMisdirectedRequest, "Not by this name", "Development sign-in answers by its own address only.")
	case len(r.URL.RawQuery) > maxQuery:
		p.notice(w, http.StatusRequestURITooLong, "Too long", "The address is too long.")
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		p.mux.ServeHTTP(w, r)
	}
}

// local reports whether a peer is this machine. A peer without an address, such as a pipe, is within the process.
func local(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || addr.Unmap().IsLoopback()
}

// params returns the parameters of a request, from the query of a GET or the body of a POST, never mixed.
func params(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return url.ParseQuery(r.URL.RawQuery)
	}
	err := r.ParseForm()
	return r.PostForm, err
}

// repeated names a parameter that is given more than once, which RFC 6749 section 3.1 forbids; "" for none.
func repeated(q url.Values) string {
	for name, values := range q {
		if len(values) > 1 {
			return name
		}
	}
	return ""
}
