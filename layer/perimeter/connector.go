package perimeter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// ConnectorConfig says which edge an application dials, and what it serves there.
type ConnectorConfig struct {
	// Edge is the edge's address, "host:port". Required.
	Edge string
	// EdgeKeys are the keys by which the edge is known, current and next. At least one is required.
	EdgeKeys []Pin
	// Certificate is the connector's own towards the edge. Required.
	Certificate tls.Certificate
	// Handler serves the requests that come down the links: usually a Verifier's. Required.
	Handler http.Handler
	// Links is how many connections are kept to the edge; zero means DefaultLinks.
	Links int
	// Log receives the coming and going of links; nil discards it.
	Log *slog.Logger
}

// A Connector serves an application without listening: it opens no socket but those that it dials (SYSTEM P1).
type Connector struct {
	config  ConnectorConfig
	tls     *tls.Config
	times   timeouts
	conns   *handover
	ready   chan struct{}
	isReady sync.Once
}

// NewConnector checks the configuration and reports every problem at once.
func NewConnector(c ConnectorConfig) (*Connector, error) { return newConnector(c, defaultTimeouts) }

func newConnector(c ConnectorConfig, times timeouts) (*Connector, error) {
	problems := checkLink(c.Certificate, c.EdgeKeys)
	if host, port, err := net.SplitHostPort(c.Edge); err != nil || host == "" || port == "" {
		problems = append(problems, errors.New("the edge's address is not of the form host:port"))
	}
	if c.Handler == nil {
		problems = append(problems, errors.New("no handler is given"))
	}
	if c.Links < 0 || c.Links > MaxLinks {
		problems = append(problems, fmt.Errorf("the number of links is not between 0 and %d", MaxLinks))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring connector: %w", errors.Join(problems...))
	}
	if c.Links == 0 {
		c.Links = DefaultLinks
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Connector{
		config: c, tls: linkTLS(c.Certificate, c.EdgeKeys), times: times,
		conns: newHandover(), ready: make(chan struct{}),
	}, nil
}

// Ready is closed when the edge has accepted the first link.
func (c *Connector) Ready() <-chan struct{} { return c.ready }

// Run keeps the links up until ctx ends, whatever happens to the edge meanwhile. Then it takes no new request, finishes those
// in flight within DrainTimeout, and returns nil, or an error if some had to be cut. It may be called once.
func (c *Connector) Run(ctx context.Context) error {
	server := c.server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(c.conns) }()
	var links sync.WaitGroup
	for range c.config.Links {
		links.Go(func() { c.keep(ctx) })
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.times.drain)
	defer cancel()
	err := server.Shutdown(stop) // says GOAWAY on every link (RFC 9113 section 6.8); the edge then sends nothing new
	server.Close()
	c.conns.Close()
	links.Wait()
	<-served
	if err != nil {
		return fmt.Errorf("finishing requests in flight: %w", err)
	}
	return nil
}

func (c *Connector) server() *http.Server {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // within the link's own TLS
	return &http.Server{
		Handler:           c.config.Handler,
		Protocols:         &protocols,
		MaxHeaderBytes:    4 * MaxHeaderBytes, // HTTP/2 counts 32 bytes more per line, and the assertion is added
		ReadHeaderTimeout: c.times.header,
		ErrorLog:          quiet(c.config.Log),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          4 * DefaultMaxInFlight, // the edge's limit is the one that is meant to hold
			SendPingTimeout:               c.times.ping,
			PingTimeout:                   c.times.pong,
			WriteByteTimeout:              c.times.progress,
			MaxReceiveBufferPerStream:     1 << 20,
			MaxReceiveBufferPerConnection: 4<<20 - 1,
		},
	}
}

// keep holds one link up. It waits longer after each failure, by chance, so that many connectors do not return in step.
func (c *Connector) keep(ctx context.Context) {
	limit := MinBackoff
	for ctx.Err() == nil {
		began := time.Now()
		if err := c.link(ctx); err != nil && ctx.Err() == nil {
			c.config.Log.Warn("link down", "edge", c.config.Edge, "error", err.Error())
		}
		if time.Since(began) >= SteadyAfter {
			limit = MinBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(limit)):
		}
		limit = min(2*limit, MaxBackoff)
	}
}

// link dials, serves until the link is lost or drained, and says why it ended.
func (c *Connector) link(ctx context.Context) error {
	conn, first, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("dialling edge: %w", err)
	}
	served := &servedConn{Conn: conn, reader: io.MultiReader(bytes.NewReader(first), conn), done: make(chan struct{})}
	c.config.Log.Info("link up", "edge", c.config.Edge)
	c.isReady.Do(func() { close(c.ready) })
	c.conns.push(served)
	<-served.done // net/http closes what it serves, drained or dead
	return errors.New("the connection ended")
}

// dial returns a link that the edge has accepted. In TLS 1.3 the handshake ends for a client before its certificate is judged,
// so that only a first byte proves it.
func (c *Connector) dial(ctx context.Context) (net.Conn, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.times.handshake)
	defer cancel()
	dialer := tls.Dialer{Config: c.tls}
	conn, err := dialer.DialContext(ctx, "tcp", c.config.Edge)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	first := make([]byte, 1)
	_, err = io.ReadFull(conn, first)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("waiting to be accepted: %w", err)
	}
	return conn, first, nil
}

// A servedConn tells when net/http is done with it, and hides its type: on a *tls.Conn net/http would look for HTTP/2 by name.
type servedConn struct {
	net.Conn
	reader io.Reader
	done   chan struct{}
	once   sync.Once
}

func (c *servedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *servedConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}
