package link_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
)

// inverted is net/http's own HTTP/2 on the same kind of connection with the roles turned around: the other protocol that could
// have been the link. It is what ours is compared with.
func inverted(t testing.TB, h http.Handler) *http.ClientConn {
	t.Helper()
	edge, app := tlsPair(t, false)
	return inverse(t, edge, app, h)
}

func inverse(t testing.TB, edge, app *tls.Conn, h http.Handler) *http.ClientConn {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	windows := &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 4<<20 - 1, MaxConcurrentStreams: 1000}
	server := &http.Server{Handler: h, Protocols: &protocols, HTTP2: windows, ErrorLog: log.New(io.Discard, "", 0)}
	l := &oneConn{conn: hidden{app}, done: make(chan struct{})}
	go server.Serve(l)
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true, HTTP2: windows,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return hidden{edge}, nil },
	}
	client, err := transport.NewClientConn(t.Context(), "http", "app.example:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		l.Close()
	})
	return client
}

// hidden keeps net/http from looking for HTTP/2 by TLS's name.
type hidden struct{ net.Conn }

// oneConn is a listener that accepts once.
type oneConn struct {
	conn  net.Conn
	taken sync.Once
	ended sync.Once
	done  chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	l.taken.Do(func() { c = l.conn })
	if c != nil {
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.ended.Do(func() { close(l.done) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
