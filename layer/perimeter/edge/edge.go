package perimeter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
)

// EdgeConfig says which origin an Edge serves, and whom it lets link.
type EdgeConfig struct {
	// Origin is the one canonical address of the application: "https://app.example" or "https://localhost:8443". Required.
	Origin string
	// Audience is the application's name in assertions. Required.
	Audience string
	// Signer signs assertions. Required.
	Signer SigningKey
	// GetCertificate gives the public certificate, for each handshake anew. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Link is the edge's certificate towards connectors. Required.
	Link tls.Certificate
	// Connectors are the keys of those who may link, current and next. At least one is required.
	Connectors []Pin
	// MinVersion is the oldest TLS version for the public: zero means TLS 1.3; only tls.VersionTLS12 is possible besides.
	MinVersion uint16
	// MaxBody bounds a request's body in bytes; zero means DefaultMaxBody.
	MaxBody int64
	// MaxConns bounds public connections at once; zero means DefaultMaxConns.
	MaxConns int
	// MaxInFlight bounds requests on one link at once; zero means DefaultMaxInFlight.
	MaxInFlight int
	// Log receives a line per request, without queries or credentials, and the coming and going of links; nil discards it.
	Log *slog.Logger
}

// An Edge is the only part of Redoubt that listens. It serves once.
type Edge struct {
	config  EdgeConfig
	host    string // of Origin, as bareHost spells it
	times   timeouts
	log     *slog.Logger
	pool    *pool
	proxy   *httputil.ReverseProxy
	public  *http.Server
	plain   *http.Server
	conns   *handover
	places  chan struct{} // one for each public connection
	closing atomic.Bool
	stopped chan struct{} // closed by Shutdown
	stop    sync.Once
}

// NewEdge checks the configuration and reports every problem at once.
func NewEdge(c EdgeConfig) (*Edge, error) { return newEdge(c, defaultTimeouts) }

func newEdge(c EdgeConfig, times timeouts) (*Edge, error) {
	origin, problems := checkEdge(c)
	s, err := newSigner(c.Signer, c.Audience)
	if err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring edge: %w", errors.Join(problems...))
	}
	c = c.withDefaults()
	c.Origin = "https://" + bareHost(origin.Host)
	e := &Edge{
		config: c, host: bareHost(origin.Host), times: times, log: c.Log,
		pool:    &pool{maxInFlight: c.MaxInFlight, sign: s.sign},
		conns:   newHandover(),
		places:  make(chan struct{}, c.MaxConns),
		stopped: make(chan struct{}),
	}
	e.proxy, e.public, e.plain = e.newProxy(), e.publicServer(), e.plainServer()
	return e, nil
}

func checkEdge(c EdgeConfig) (*url.URL, []error) {
	problems := checkLink(c.Link, c.Connectors)
	origin, err := url.Parse(c.Origin)
	if err != nil || origin.Scheme != "https" || origin.Host == "" || origin.Hostname() == "" || c.Origin != "https://"+origin.Host {
		problems = append(problems, errors.New("the origin is not of the form https://host or https://host:port"))
	}
	if c.Audience == "" || len(c.Audience) > 64 {
		problems = append(problems, errors.New("the audience is missing or longer than 64 bytes"))
	}
	if c.GetCertificate == nil {
		problems = append(problems, errors.New("no public certificate is given"))
	}
	if c.MinVersion != 0 && c.MinVersion != tls.VersionTLS12 && c.MinVersion != tls.VersionTLS13 {
		problems = append(problems, errors.New("the oldest TLS version may only be 1.2 or 1.3"))
	}
	if c.MaxBody < 0 || c.MaxConns < 0 || c.MaxInFlight < 0 {
		problems = append(problems, errors.New("a limit is negative"))
	}
	return origin, problems
}

func (c EdgeConfig) withDefaults() EdgeConfig {
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS13
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Serve serves the public and connectors on public, where TLS has not begun yet, and redirects from plain, which may be nil.
// When ctx ends it stops as Shutdown does, and returns nil. It closes both listeners.
func (e *Edge) Serve(ctx context.Context, public, plain net.Listener) error {
	failed := make(chan error, 3)
	go func() { failed <- e.public.Serve(e.conns) }()
	if plain != nil {
		go func() { failed <- e.plain.Serve(newCrowd(plain, MaxPlain)) }()
	}
	accepted := make(chan error, 1)
	go func() { accepted <- e.accept(public) }()

	var err error
	select {
	case <-ctx.Done():
	case <-e.stopped:
	case err = <-accepted:
	case err = <-failed:
	}
	public.Close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.times.drain)
	defer cancel()
	return errors.Join(ignoreClosed(err), e.Shutdown(drain))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown takes no new request, waits for those in flight until ctx ends, and then closes every connection and link. Serve
// does this by itself when its context ends.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.closing.Store(true)
	e.stop.Do(func() { close(e.stopped) })
	defer e.pool.closeAll()
	e.plain.Close()
	if err := e.public.Shutdown(ctx); err != nil {
		e.public.Close()
		return fmt.Errorf("waiting for requests in flight: %w", err)
	}
	return nil
}

func (e *Edge) publicServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           http.HandlerFunc(e.serve),
		Protocols:         &protocols,
		MaxHeaderBytes:    MaxHeaderBytes - 4096, // net/http adds 4096
		ReadHeaderTimeout: e.times.header,
		IdleTimeout:       e.times.idle,
		ErrorLog:          quiet(e.log),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 128, // a browser needs no more; the link's own limit is for all clients together
			SendPingTimeout:      e.times.progress,
			PingTimeout:          e.times.pong,
			WriteByteTimeout:     e.times.progress,
		},
	}
}

// quiet makes a server's complaints about its clients visible to those who look for them: anyone can cause them.
func quiet(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }
