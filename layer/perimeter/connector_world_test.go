package perimeter_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// A farEnd is the other end of a connector's links: what of an edge concerns those, and nothing of the public.
type farEnd struct {
	*testing.T
	*enrol.Authority
	folder string
	addr   string
	log    *journal
	times  link.Config
	stop   func()

	mu    sync.Mutex
	links []*link.Conn
	peers map[*link.Conn]enrol.Peer
	seen  int // links that were ever accepted
}

type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *journal) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFarEnd(t *testing.T, changes ...func(*enrol.Config)) *farEnd {
	t.Helper()
	return farEndAt(t, t.TempDir(), "127.0.0.1:0", changes...)
}

// farEndAt listens at an address again, as an edge does that was started anew.
func farEndAt(t *testing.T, folder, addr string, changes ...func(*enrol.Config)) *farEnd {
	t.Helper()
	f, err := state.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	e := &farEnd{T: t, folder: folder, log: &journal{}, peers: map[*link.Conn]enrol.Peer{}}
	c := enrol.Config{Folder: f, Edge: "edge-1", Log: slog.New(slog.NewTextHandler(e.log, nil))}
	for _, change := range changes {
		change(&c)
	}
	if e.Authority, err = enrol.New(c); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	for range 100 { // its last connections may hold the port for a moment
		if l, err = net.Listen("tcp", addr); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { e.Watch(ctx, e.revoked) })
	all.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go e.greet(raw)
		}
	})
	e.stop = sync.OnceFunc(func() {
		cancel()
		l.Close()
		for _, l := range e.live() {
			l.Close()
		}
		all.Wait()
	})
	t.Cleanup(e.stop)
	return e
}

func (e *farEnd) greet(raw net.Conn) {
	conn := tls.Server(link.Cork(raw), e.TLS())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if conn.HandshakeContext(ctx) != nil {
		raw.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == enrol.Protocol {
		e.Enrol(context.Background(), conn)
		return
	}
	p, err := e.Peer(conn.ConnectionState())
	key, err2 := link.ExportKey(conn.ConnectionState())
	if err != nil || err2 != nil {
		conn.Close()
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.times
	c.Control = func(c *link.Conn, message []byte) {
		reply, err := e.Control(p, message)
		if err != nil || c.Control(reply) != nil {
			c.Close()
		}
	}
	c.Closed = e.remove
	l := link.Accept(conn, key, c)
	e.links, e.peers[l], e.seen = append(e.links, l), p, e.seen+1
	time.AfterFunc(time.Until(p.Expires), func() { l.Close() })
}

func (e *farEnd) remove(l *link.Conn, _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links = slices.DeleteFunc(e.links, func(x *link.Conn) bool { return x == l })
	delete(e.peers, l)
}

func (e *farEnd) revoked(id string) {
	for _, l := range e.live() {
		e.mu.Lock()
		its := e.peers[l].ID == id
		e.mu.Unlock()
		if its {
			l.Close()
		}
	}
}

func (e *farEnd) live() []*link.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.links)
}

// available are those that take a further request.
func (e *farEnd) available() (n int) {
	for _, l := range e.live() {
		if l.Available() {
			n++
		}
	}
	return n
}

func (e *farEnd) accepted() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

var errNoLink = errors.New("there is no link")

// get sends a request down the link that has least to do, and down another one if that one has not seen it.
func (e *farEnd) get(ctx context.Context, target string) (string, error) {
	err := errNoLink
	for range 5 {
		var best *link.Conn
		for _, l := range e.live() {
			if l.Available() && (best == nil || l.InFlight() < best.InFlight()) {
				best = l
			}
		}
		if best == nil {
			return "", err
		}
		var r *link.Response
		r, err = best.RoundTrip(ctx, &link.Request{
			Method: "GET", Scheme: "https", Host: "app.example", Target: target, Header: http.Header{}, Client: netip.MustParseAddr("192.0.2.1"), ID: "1",
		})
		if err == nil {
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			return string(body), err
		}
		if !link.Unprocessed(err) {
			return "", err
		}
	}
	return "", err
}

func (e *farEnd) provision(others ...string) *enrol.Credential {
	e.Helper()
	c, err := e.Provision("app", append([]string{e.addr}, others...))
	if err != nil {
		e.Fatal(err)
	}
	return c
}

// A running connector.
type running struct {
	*perimeter.Connector
	log  *journal
	stop func() error
}

func connect(t *testing.T, c *enrol.Credential, h http.Handler, changes ...func(*perimeter.ConnectorConfig)) *running {
	t.Helper()
	r := &running{log: &journal{}}
	config := perimeter.ConnectorConfig{Credential: c, Handler: h, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, change := range changes {
		change(&config)
	}
	var err error
	if r.Connector, err = perimeter.NewConnector(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { r.stop() })
	return r
}

// first is how the connector stands with its first edge.
func (r *running) first() perimeter.EdgeStatus {
	if s := r.Status(); len(s) > 0 {
		return s[0]
	}
	return perimeter.EdgeStatus{}
}

func within(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if ok() {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("after %v it is still not so that %s", limit, what)
	return 0
}

// A relay passes bytes on, to wherever to says, and can swallow them as a broken network does.
type relay struct {
	net.Listener
	to     atomic.Value
	silent atomic.Bool
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	r.to.Store(to)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(in)
		}
	}()
	return r
}

func (r *relay) addr() string { return r.Addr().String() }

func (r *relay) pass(in net.Conn) {
	defer in.Close()
	if r.silent.Load() {
		io.Copy(io.Discard, in) // nobody is there who would answer
		return
	}
	out, err := net.Dial("tcp", r.to.Load().(string))
	if err != nil {
		return
	}
	defer out.Close()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			defer func() { done <- struct{}{} }()
			b := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(b)
				if err != nil {
					return
				}
				if !r.silent.Load() {
					way[1].Write(b[:n])
				}
			}
		}()
	}
	<-done
}
