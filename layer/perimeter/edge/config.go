package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// Config says which applications an Edge serves, to whom, and who may link.
type Config struct {
	// Applications are those behind the edge; entries of one Name share its links. At least one is required.
	Applications []Application
	// Gate decides who is let in. Required: without one nobody could be.
	Gate access.Gate
	// Signer makes the edge's word on whom it let in. Required.
	Signer Signer
	// Authority knows the connectors. Required.
	Authority Authority
	// GetCertificate gives the public certificate, for each handshake anew. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Expires tells when the first of the public certificates ends, for the metrics; nil leaves that out.
	Expires func() time.Time
	// NextProtos are further ALPN names whose connections end with the handshake, such as acme-tls/1; nil means none.
	NextProtos []string
	// PlainHandler may answer some requests to the plain port before they are redirected, as ACME asks; nil means none.
	PlainHandler func(next http.Handler) http.Handler
	// MinVersion is the oldest TLS version for the public: zero means TLS 1.3; only tls.VersionTLS12 is possible besides.
	MinVersion uint16
	// MaxConns bounds public connections at once; zero means DefaultMaxConns.
	MaxConns int
	// MaxPerAddress bounds those from one address; zero means DefaultMaxPerAddress.
	MaxPerAddress int
	// MaxInFlight bounds requests on one link at once; zero means DefaultMaxInFlight.
	MaxInFlight int
	// Budget bounds the memory for what arrives from all applications, in bytes; zero means DefaultBudget.
	Budget int64
	// Rate bounds the requests of one client address; the zero Rate bounds nothing.
	Rate Rate
	// AltSvc is told to clients by HTTP/1.1 and HTTP/2 (RFC 7838): where HTTP/3 is served; empty for nowhere.
	AltSvc string
	// Access receives a line of JSON per request, without queries or credentials; nil discards them. A slow writer loses lines, and
	// delays nobody.
	Access io.Writer
	// Log receives the coming and going of links, and what failed; nil discards it.
	Log *slog.Logger
}

// An Application is what the edge serves at one origin.
type Application struct {
	// Name is the application's in the deployment: whose connectors take its requests. Required.
	Name string
	// Origin is the one canonical address: "https://app.example" or "https://localhost:8443". Required.
	Origin string
	// Aliases are further origins, whose readers are sent to Origin; nil means none.
	Aliases []string
	// AssertionHeader adds the edge's word on each request in a header, for an application that does not use package perimeter.
	AssertionHeader bool
	// MaxBody bounds a request's body in bytes; zero means DefaultMaxBody, and -1 no limit: bodies are never kept, only passed on.
	MaxBody int64
	// Response bounds the time in which the application begins its answer; zero means ResponseTimeout.
	Response time.Duration
	// Standby is asked for each request whether a page says instead that the application is being worked on; nil means never.
	Standby func() (notice string, on bool)
}

// A Rate is a token bucket per client address (SYSTEM K1: each edge counts by itself).
type Rate struct {
	PerSecond float64 // zero bounds nothing
	Burst     int     // zero means one second's worth
}

// Signer is implemented by *assertion.Signer.
type Signer interface {
	// Token is the edge's word on whom it let in, for one application and one link.
	Token(application, link string, who assertion.SignOn) (string, error)
	// Header is that word on one request.
	Header(application string, r assertion.RequestFacts, who assertion.SignOn) (string, error)
	// JWKS are the keys that verify either.
	JWKS() ([]byte, error)
}

// Authority is implemented by *enrol.Authority.
type Authority interface {
	TLS() *tls.Config
	Peer(s tls.ConnectionState) (enrol.Peer, error)
	Enrol(ctx context.Context, conn *tls.Conn)
	Control(p enrol.Peer, message []byte) (answer []byte, err error)
	Watch(ctx context.Context, revoked func(id string))
}

func (c Config) check() (problems []error) {
	problem := func(is bool, text string) {
		if is {
			problems = append(problems, errors.New(text))
		}
	}
	problem(len(c.Applications) == 0, "no application is given")
	problem(c.Gate == nil, "no gate is given: nobody could be let in")
	problem(c.Signer == nil, "no signer is given")
	problem(c.Authority == nil, "no authority is given: nobody could link")
	problem(c.GetCertificate == nil, "no public certificate is given")
	problem(!tlsVersion(c.MinVersion), "the oldest TLS version may only be 1.2 or 1.3")
	problem(c.MaxConns < 0 || c.MaxPerAddress < 0 || c.MaxInFlight < 0 || c.Budget < 0, "a limit is negative")
	problem(c.Rate.PerSecond < 0 || c.Rate.Burst < 0, "the rate is negative")
	problem(c.Rate.PerSecond == 0 && c.Rate.Burst > 0, "the rate has a burst, but no requests per second")
	return append(problems, checkApplications(c.Applications)...)
}

func checkApplications(all []Application) (problems []error) {
	seen := map[string]bool{}
	for i, a := range all {
		problem := func(text string) { problems = append(problems, fmt.Errorf("application %d: %s", i+1, text)) }
		if a.Name == "" || len(a.Name) > 64 {
			problem("its name is missing or longer than 64 bytes")
		}
		for _, origin := range append([]string{a.Origin}, a.Aliases...) {
			host, ok := originHost(origin)
			if !ok {
				problem("an origin is not of the form https://host or https://host:port")
			} else if seen[host] {
				problem("its host is given twice")
			}
			seen[host] = true
		}
		if a.MaxBody < -1 || a.Response < 0 {
			problem("a limit is negative")
		}
	}
	return problems
}

// originHost is the host of an origin that is spelled as an origin must be.
func originHost(origin string) (host string, ok bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || origin != "https://"+u.Host {
		return "", false
	}
	return bareHost(u.Host), true
}

func (c Config) withDefaults() Config {
	c.MinVersion = or(c.MinVersion, tls.VersionTLS13)
	c.MaxConns = or(c.MaxConns, DefaultMaxConns)
	c.MaxPerAddress = or(c.MaxPerAddress, DefaultMaxPerAddress)
	c.MaxInFlight = or(c.MaxInFlight, DefaultMaxInFlight)
	c.Budget = or(c.Budget, DefaultBudget)
	c.Log = or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// or is the first of the two that is not zero.
func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}
