package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"edge"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

var roots = sync.OnceValue(func() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)
	return pool
})

// tlsPair is a finished TLS 1.3 session over loopback, corked at both ends.
func tlsPair(t testing.TB, corked bool) (edge, app *tls.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return handshake(t, accepted, dialled, corked)
}

func handshake(t testing.TB, accepted, dialled net.Conn, corked bool) (edge, app *tls.Conn) {
	t.Helper()
	if corked {
		accepted, dialled = link.Cork(accepted), link.Cork(dialled)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{link.Protocol}, Certificates: []tls.Certificate{certificate()},
		RootCAs: roots(), ServerName: "edge", SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
	}
	edge, app = tls.Server(accepted, config), tls.Client(dialled, config)
	done := make(chan error, 1)
	go func() { done <- app.Handshake() }()
	if err := edge.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return edge, app
}

func exported(t testing.TB, c *tls.Conn) link.Key {
	t.Helper()
	k, err := link.ExportKey(c.ConnectionState())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A world is an edge's end and an application that serves h, joined by TLS over loopback.
type world struct {
	edge   *link.Conn
	app    *link.Conn
	stop   context.CancelFunc // drains the application
	served chan error
}

func linked(t testing.TB, h http.Handler, config link.Config) *world {
	t.Helper()
	edge, app := tlsPair(t, true)
	return join(t, edge, app, exported(t, edge), exported(t, app), h, config, config)
}

// piped is the same without TLS, for a bubble of synctest.
func piped(t testing.TB, h http.Handler, atEdge, atApp link.Config) *world {
	t.Helper()
	edge, app := net.Pipe()
	return join(t, edge, app, link.Key{1}, link.Key{1}, h, atEdge, atApp)
}

func join(t testing.TB, edge, app net.Conn, edgeKey, appKey link.Key, h http.Handler, atEdge, atApp link.Config) *world {
	ctx, stop := context.WithCancel(t.Context())
	w := &world{stop: stop, served: make(chan error, 1)}
	established := make(chan *link.Conn, 1)
	go func() {
		w.served <- link.Serve(ctx, app, appKey, h, time.Second, atApp, func(c *link.Conn) { established <- c })
	}()
	w.edge = link.Accept(edge, edgeKey, atEdge)
	w.app = <-established
	t.Cleanup(func() {
		w.edge.Close()
		stop()
		<-w.served
	})
	return w
}

func get(target string) *link.Request {
	return &link.Request{Method: "GET", Scheme: "https", Host: "app.example", Target: target, Client: netip.MustParseAddr("192.0.2.7"),
		ID: "r1", Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"test"}}}
}

func post(target string, length int64, body io.Reader) *link.Request {
	r := get(target)
	r.Method, r.ContentLength, r.Body = "POST", length, body
	return r
}

// ask sends r and reads the whole answer.
func (w *world) ask(t testing.TB, r *link.Request) (*link.Response, string) {
	t.Helper()
	resp, err := w.edge.RoundTrip(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}
