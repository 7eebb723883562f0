package perimeter

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// What forwards without Redoubt.

// pooled is a transport that keeps as many connections as there are requests at once; net/http keeps two for each server.
func pooled() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*MaxConnections, 2*MaxConnections
	t.DisableCompression = true
	t.WriteBufferSize, t.ReadBufferSize = 64<<10, 64<<10 // what suits a large transfer best
	return t
}

// reverseProxy forwards to an address. It is what a program of few lines would have in the place of the edge.
func reverseProxy(to string, by http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", to
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		Transport:  by,
		BufferPool: &buffers{},
		ErrorLog:   log.New(os.Stderr, "", log.LstdFlags),
	}
}

// buffers keeps the proxy's copying buffers.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 64<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// hops is how many connections the inverted HTTP/2 has, like the link.
const hops = 2

// unencrypted is HTTP/2 on a connection that is inside TLS already.
func unencrypted() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// windows are as large as net/http lets them be.
func windows() *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: 2 * MaxConnections, MaxReceiveBufferPerStream: 4<<20 - 1, MaxReceiveBufferPerConnection: 4<<20 - 1, MaxReadFrameSize: 64 << 10}
}

// An inversion forwards over connections that came from within, in turns.
type inversion struct {
	mu    sync.Mutex
	conns []*http.ClientConn
	turn  atomic.Uint64
}

var errNoHop = errors.New("no application has dialled")

// RoundTrip implements http.RoundTripper.
func (i *inversion) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	conns := i.conns
	i.mu.Unlock()
	if len(conns) == 0 {
		return nil, errNoHop
	}
	return conns[i.turn.Add(1)%uint64(len(conns))].RoundTrip(r)
}

// welcome makes a client of each connection that is dialled.
func (i *inversion) welcome(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		t := &http.Transport{
			Protocols: unencrypted(), HTTP2: windows(), DisableCompression: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return hidden{conn}, nil },
		}
		c, err := t.NewClientConn(context.Background(), "http", "application:80")
		if err != nil {
			conn.Close()
			continue
		}
		i.mu.Lock()
		i.conns = append(i.conns[:len(i.conns):len(i.conns)], c)
		i.mu.Unlock()
	}
}

// hidden hides a connection's type: on a *tls.Conn net/http would ask which protocol was agreed on.
type hidden struct{ net.Conn }

// outer listens twice: for the public, and for the application.
func (t task) outer() (ready, func(), error) {
	secure, err := t.Public.server()
	if err != nil {
		return ready{}, nil, err
	}
	hop, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ready{}, nil, err
	}
	i := &inversion{}
	go i.welcome(tls.NewListener(hop, secure))
	said, stop, err := t.public(reverseProxy("application", i))
	if err != nil {
		hop.Close()
		return ready{}, nil, err
	}
	said.Hop = hop.Addr().String()
	return said, func() { hop.Close(); stop() }, nil
}

// inner dials, and serves what comes.
func (t task) inner(ctx context.Context) (ready, func(), error) {
	secure, err := t.Public.client()
	if err != nil {
		return ready{}, nil, err
	}
	conns := make(dialled, hops)
	s := &http.Server{Handler: application(), Protocols: unencrypted(), HTTP2: windows(), IdleTimeout: 10 * time.Minute}
	for range hops {
		conn, err := (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", t.To)
		if err != nil {
			return ready{}, nil, err
		}
		conns <- hidden{conn}
	}
	go s.Serve(conns)
	return ready{}, func() { s.Close() }, nil
}

// dialled gives a server connections that exist already.
type dialled chan net.Conn

// Accept implements net.Listener; after the last connection, it waits for the end of the process.
func (d dialled) Accept() (net.Conn, error) {
	conn, more := <-d
	if !more {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close implements net.Listener. It is called once, by the server.
func (d dialled) Close() error { close(d); return nil }

// Addr implements net.Listener; nothing listens.
func (d dialled) Addr() net.Addr { return &net.TCPAddr{} }
