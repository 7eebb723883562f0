package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// tlsConfig serves browsers and connectors on one port. A connector says so by ALPN, before anything else is decided.
func (e *Edge) tlsConfig() *tls.Config {
	public := &tls.Config{
		MinVersion:     e.config.MinVersion,
		GetCertificate: e.config.GetCertificate,
		NextProtos:     append([]string{"h2", "http/1.1"}, e.config.NextProtos...),
	}
	public.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, link.Protocol) || slices.Contains(hello.SupportedProtos, enrol.Protocol) {
			return e.config.Authority.TLS(), nil
		}
		return nil, nil
	}
	return public
}

// accept takes connections until l is closed. A handshake holds up nobody: each has a goroutine, and their number is bounded by the
// places.
func (e *Edge) accept(ctx context.Context, l net.Listener) error {
	config := e.tlsConfig()
	var delay time.Duration
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || e.closing.Load() && err != nil {
			return nil
		}
		if err != nil {
			// Mostly the limit on open files, which passes; an edge that gives up does not.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			e.log.Warn("accepting", "error", err.Error())
			time.Sleep(delay)
			continue
		}
		delay = 0
		x := e.places.greet(conn)
		if x == nil {
			e.counts.turnedAway.WithLabelValues("address").Inc()
			conn.Close()
			continue
		}
		e.greetings.Go(func() { e.greet(ctx, conn, x, config) })
	}
}

// greet finishes the handshake and hands the connection to whom it is for.
func (e *Edge) greet(ctx context.Context, raw net.Conn, x *place, config *tls.Config) {
	steady := &steadyConn{Conn: raw, progress: e.times.progress, place: x}
	conn := tls.Server(link.Cork(steady), config)
	limit, cancel := context.WithTimeout(ctx, e.times.handshake)
	defer cancel()
	if err := conn.HandshakeContext(limit); err != nil {
		e.log.Debug("handshake refused", "client", raw.RemoteAddr().String(), "error", err.Error())
		steady.Close()
		return
	}
	switch protocol := conn.ConnectionState().NegotiatedProtocol; protocol {
	case link.Protocol:
		x.gone() // a connector takes nobody's place
		e.welcome(conn)
	case enrol.Protocol:
		x.gone()
		e.enrol(ctx, conn)
	case "h2", "http/1.1", "":
		if !x.welcome() {
			e.counts.turnedAway.WithLabelValues("full").Inc()
			steady.Close()
			return
		}
		if protocol == "h2" {
			e.conns.push(conn) // net/http knows the protocol by the type *tls.Conn
			return
		}
		e.conns.push(&guard{Conn: conn, refused: func(reason string) { e.recordRefused(conn, reason) }})
	default:
		steady.Close() // the handshake was all that was asked for
	}
}

// enrol serves a connection on which a connector is enrolled. It is no greeting that a stopping edge waits for.
func (e *Edge) enrol(ctx context.Context, conn *tls.Conn) {
	select {
	case e.enrolling <- struct{}{}:
	default:
		conn.Close()
		return
	}
	go func() {
		defer func() { <-e.enrolling }()
		ctx, cancel := context.WithTimeout(ctx, 2*e.times.handshake)
		defer cancel()
		e.config.Authority.Enrol(ctx, conn)
	}()
}

// A steadyConn ends a connection whose peer does not take what is written to it, and gives its place back when it is closed.
// It lies beneath TLS, so that it holds for every protocol above.
type steadyConn struct {
	net.Conn
	progress time.Duration
	place    *place
	bounded  atomic.Bool  // somebody above has set a write deadline of his own
	until    atomic.Int64 // the one that is set here
	once     sync.Once
}

// Write gives the peer at least progress. The deadline is moved only when it has come that near: that is dearer than to look at the clock.
func (c *steadyConn) Write(p []byte) (int, error) {
	if !c.bounded.Load() {
		now := time.Now()
		if until := c.until.Load(); until-now.UnixNano() < int64(c.progress) {
			until := now.Add(c.progress + c.progress/2)
			c.until.Store(until.UnixNano())
			c.Conn.SetWriteDeadline(until) // an error here is an error of the Write, too
		}
	}
	return c.Conn.Write(p)
}

func (c *steadyConn) SetWriteDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

func (c *steadyConn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	c.until.Store(0)
	return c.Conn.SetDeadline(t)
}

func (c *steadyConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.place.gone)
	return err
}

// A handover is a net.Listener without a socket: it gives net/http connections that exist already.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), done: make(chan struct{})}
}

// push gives conn to the server, or closes it if the server has stopped.
func (h *handover) push(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.done:
		conn.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is for net.Listener; nothing listens.
func (h *handover) Addr() net.Addr { return nowhere{} }

type nowhere struct{}

func (nowhere) Network() string { return "none" }
func (nowhere) String() string  { return "no socket" }
