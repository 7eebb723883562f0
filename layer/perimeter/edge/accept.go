package perimeter

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tlsConfig serves browsers and connectors on one port. A connector says so by ALPN, before anything else is decided.
func (e *Edge) tlsConfig() *tls.Config {
	links := linkTLS(e.config.Link, e.config.Connectors)
	public := &tls.Config{
		MinVersion:     e.config.MinVersion,
		GetCertificate: e.config.GetCertificate,
		NextProtos:     []string{"h2", "http/1.1"},
	}
	public.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, LinkProtocol) {
			return links, nil
		}
		return nil, nil
	}
	return public
}

// accept takes connections until l is closed. Handshakes have a number of their own: when all public connections are taken, a
// connector can still come in.
func (e *Edge) accept(l net.Listener) error {
	config := e.tlsConfig()
	handshakes := make(chan struct{}, MaxHandshakes)
	var delay time.Duration
	for {
		handshakes <- struct{}{}
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || e.closing.Load() {
			return nil
		}
		if err != nil {
			// Mostly the limit on open files, which passes; an edge that gives up does not.
			<-handshakes
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			e.log.Warn("accepting", "error", err.Error())
			time.Sleep(delay)
			continue
		}
		delay = 0
		go func() {
			defer func() { <-handshakes }()
			e.greet(conn, config)
		}()
	}
}

// greet finishes the handshake and hands the connection to whom it is for.
func (e *Edge) greet(raw net.Conn, config *tls.Config) {
	steady := &steadyConn{Conn: raw, progress: e.times.progress}
	conn := tls.Server(steady, config)
	ctx, cancel := context.WithTimeout(context.Background(), e.times.handshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		e.log.Debug("handshake refused", "client", raw.RemoteAddr().String(), "error", err.Error())
		raw.Close()
		return
	}
	protocol := conn.ConnectionState().NegotiatedProtocol
	if protocol == LinkProtocol {
		e.welcome(conn)
		return
	}
	select {
	case e.places <- struct{}{}:
		steady.closed = func() { <-e.places }
	default:
		e.log.Warn("too many connections", "client", raw.RemoteAddr().String())
		raw.Close()
		return
	}
	if protocol == "h2" {
		e.conns.push(conn) // net/http knows the protocol by the type *tls.Conn
		return
	}
	e.conns.push(&guard{Conn: conn, refused: func(reason string) { e.logRefusedConn(conn, reason) }})
}

// welcome makes a link of a connector's connection and keeps it until it dies.
func (e *Edge) welcome(conn *tls.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), e.times.handshake)
	defer cancel()
	l, err := inviteHTTP2(ctx, conn, e.times)
	if err != nil {
		conn.Close()
		return
	}
	if !e.pool.add(l) || e.closing.Load() {
		e.pool.remove(l)
		l.Close()
		return
	}
	e.log.Info("link up", "connector", conn.RemoteAddr().String(), "links", e.pool.count())
	var once sync.Once
	l.SetStateHook(func(c *http.ClientConn) {
		if c.Err() == nil {
			return
		}
		// Not in this goroutine: the hook may run inside Reserve, which the pool calls under its lock.
		once.Do(func() { go e.farewell(l, conn) })
	})
}

func (e *Edge) farewell(l *http.ClientConn, conn net.Conn) {
	e.pool.remove(l)
	conn.Close()
	e.log.Info("link down", "connector", conn.RemoteAddr().String(), "links", e.pool.count())
}

// A steadyConn ends a connection whose peer does not take what is written to it, and gives its place back when it is closed.
// It lies beneath TLS, so that it holds for every protocol above.
type steadyConn struct {
	net.Conn
	progress time.Duration
	bounded  atomic.Bool // somebody above has set a write deadline of his own
	closed   func()
	once     sync.Once
}

func (c *steadyConn) Write(p []byte) (int, error) {
	if !c.bounded.Load() {
		c.Conn.SetWriteDeadline(time.Now().Add(c.progress)) // an error here is an error of the Write, too
	}
	return c.Conn.Write(p)
}

func (c *steadyConn) SetWriteDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

func (c *steadyConn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

func (c *steadyConn) Close() error {
	err := c.Conn.Close()
	if c.closed != nil {
		c.once.Do(c.closed)
	}
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
