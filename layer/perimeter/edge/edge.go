package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// An Edge is the only part of Redoubt that listens. It serves once.
type Edge struct {
	config  Config
	times   timeouts
	log     *slog.Logger
	sites   map[string]*site // by host, as bareHost spells it; aliases too
	first   *site
	pools   map[string]*pool // by application
	budget  *link.Budget
	public  *http.Server
	plain   *http.Server
	conns   *handover
	places  *places
	rates   *rates
	watched watched
	lines   *lines
	counts  *counts

	greetings sync.WaitGroup
	enrolling chan struct{}
	began     time.Time
	closing   atomic.Bool
	stopped   chan struct{} // closed by Shutdown
	stop      sync.Once
}

// New checks the configuration and reports every problem at once.
func New(c Config) (*Edge, error) { return newEdge(c, defaultTimeouts) }

func newEdge(c Config, times timeouts) (*Edge, error) {
	if problems := c.check(); len(problems) > 0 {
		return nil, fmt.Errorf("configuring edge: %w", errors.Join(problems...))
	}
	c = c.withDefaults()
	e := &Edge{
		config: c, times: times, log: c.Log, budget: link.NewBudget(c.Budget),
		conns: newHandover(), places: newPlaces(c.MaxConns, c.MaxPerAddress), rates: newRates(c.Rate),
		watched: watched{all: map[*visit]struct{}{}}, lines: newLines(c.Access),
		enrolling: make(chan struct{}, MaxEnrolments), began: time.Now(), stopped: make(chan struct{}),
	}
	e.pools, e.sites, e.first = newSites(c, times)
	e.counts = newCounts(e)
	e.public, e.plain = e.publicServer(), e.plainServer()
	return e, nil
}

// Serve serves the public and connectors on public, where TLS has not begun yet, and redirects from plain, which may be nil.
// When ctx ends it stops as Shutdown does, and returns nil. It closes both listeners.
func (e *Edge) Serve(ctx context.Context, public, plain net.Listener) error {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go e.config.Authority.Watch(background, e.revoked)
	go e.watched.run(background, e.times)

	failed := make(chan error, 3)
	go func() { failed <- e.public.Serve(e.conns) }()
	if plain != nil {
		go func() { failed <- e.plain.Serve(newCrowd(plain, MaxPlain)) }()
	}
	accepted := make(chan error, 1)
	go func() { accepted <- e.accept(background, public) }()

	var err error
	select {
	case <-ctx.Done():
	case <-e.stopped:
	case err = <-accepted:
	case err = <-failed:
	}
	e.closing.Store(true)
	public.Close()
	drain, cancelDrain := context.WithTimeout(context.WithoutCancel(ctx), e.times.drain)
	defer cancelDrain()
	return errors.Join(ignoreClosed(err), e.Shutdown(drain))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown takes no new connection, waits for requests in flight until ctx ends, and then closes every connection and link. HTTP/2
// clients are told to go elsewhere (GOAWAY); event streams and WebSockets, which never finish by themselves, are ended at once, so
// that their clients come back at another edge. Serve does all this by itself when its context ends.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.closing.Store(true)
	e.stop.Do(func() { close(e.stopped) })
	defer e.lines.close()
	defer e.closeLinks()
	e.plain.Close()
	e.awaitGreetings(ctx)
	e.watched.leave()
	e.lastCall(ctx)
	e.watched.leave() // what has begun meanwhile
	if err := errors.Join(e.public.Shutdown(ctx), e.watched.empty(ctx)); err != nil {
		e.watched.cut()
		e.public.Close()
		return fmt.Errorf("waiting for requests in flight: %w", err)
	}
	return nil
}

// awaitGreetings lets handshakes finish: a client that was accepted is not turned away for having come last.
func (e *Edge) awaitGreetings(ctx context.Context) {
	done := make(chan struct{})
	go func() { e.greetings.Wait(); close(done) }() // ends: a handshake has a deadline
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// lastCall lets connections that are kept open ask once more, to be told then that they end. Closing them at once would cut off a
// request that is on its way, and its client could not know whether it was taken.
func (e *Edge) lastCall(ctx context.Context) {
	limit, tick := time.NewTimer(LastCall), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		if _, _, idle := e.places.counts(); idle == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (e *Edge) closeLinks() {
	for _, p := range e.pools {
		p.closeAll()
	}
}

// revoked ends what a connector has, as soon as it is shut out (SYSTEM P3).
func (e *Edge) revoked(id string) {
	for _, p := range e.pools {
		if p.drop(id) {
			e.log.Warn("connector revoked", "connector", id, "application", p.name)
		}
	}
}

// Handler answers public requests. It is what Serve serves by HTTP/1.1 and HTTP/2, and may be put behind an HTTP/3 server.
func (e *Edge) Handler() http.Handler { return http.HandlerFunc(e.serve) }

// Registry holds the edge's metrics. Others who serve the public with it may add theirs.
func (e *Edge) Registry() *prometheus.Registry { return e.counts.registry }

// Links is how many live links the application has.
func (e *Edge) Links(application string) int {
	if p, ok := e.pools[application]; ok {
		return p.count()
	}
	return 0
}

func (e *Edge) publicServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           e.Handler(),
		Protocols:         &protocols,
		MaxHeaderBytes:    MaxHeaderBytes - 4096, // net/http adds 4096
		ReadHeaderTimeout: e.times.header,
		IdleTimeout:       e.times.idle,
		ErrorLog:          quiet(e.log),
		ConnContext:       withCaller,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: MaxStreams, // a browser needs no more; the link's own limit is for all clients together
			SendPingTimeout:      e.times.progress,
			PingTimeout:          e.times.handshake,
			WriteByteTimeout:     e.times.progress,
		},
	}
}

// quiet makes a server's complaints about its clients visible to those who look for them: anyone can cause them.
func quiet(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

func tlsVersion(v uint16) bool { return v == 0 || v == tls.VersionTLS12 || v == tls.VersionTLS13 }
