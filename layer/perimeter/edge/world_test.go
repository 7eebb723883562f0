package edge_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// Of the whole test process: they are only read.
var (
	publicCert = certificate("localhost")
	signingKey = assertion.NewSigningKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
)

func TestMain(m *testing.M) {
	if os.Getenv("EDGE_TEST_CROWD") != "" {
		crowdProcess() // does not return
	}
	os.Exit(m.Run())
}

func certificate(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "other.localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// An authority knows connectors by their keys, and nothing more.
type authority struct {
	own tls.Certificate

	mu       sync.Mutex
	peers    map[[32]byte]enrol.Peer
	revoked  chan string
	control  func(p enrol.Peer, message []byte) ([]byte, error)
	enrolled chan struct{}
	slow     chan struct{} // if not nil, an enrolment takes until it is closed
}

func newAuthority() *authority {
	return &authority{own: certificate("edge"), peers: map[[32]byte]enrol.Peer{}, revoked: make(chan string), enrolled: make(chan struct{}, 100)}
}

func pin(c *x509.Certificate) [32]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// admit makes a connector of the application known.
func (a *authority) admit(c tls.Certificate, p enrol.Peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peers[pin(c.Leaf)] = p
}

func (a *authority) Peer(s tls.ConnectionState) (enrol.Peer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(s.PeerCertificates) == 0 {
		return enrol.Peer{}, errors.New("no certificate")
	}
	p, ok := a.peers[pin(s.PeerCertificates[0])]
	if !ok {
		return enrol.Peer{}, errors.New("unknown key")
	}
	return p, nil
}

func (a *authority) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.own}, NextProtos: []string{link.Protocol, enrol.Protocol},
		SessionTicketsDisabled: true, ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol == enrol.Protocol {
				return nil
			}
			_, err := a.Peer(s)
			return err
		},
	}
}

func (a *authority) Enrol(_ context.Context, conn *tls.Conn) {
	a.enrolled <- struct{}{}
	if a.slow != nil {
		<-a.slow
	}
	conn.Close()
}

func (a *authority) Control(p enrol.Peer, message []byte) ([]byte, error) {
	if a.control == nil {
		return nil, errors.New("no messages are expected")
	}
	return a.control(p, message)
}

func (a *authority) Watch(ctx context.Context, revoked func(string)) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-a.revoked:
			revoked(id)
		}
	}
}

// A gate is the test's.
type gate func(w http.ResponseWriter, r *http.Request, v access.Visitor) (access.Admission, bool)

func (g gate) Admit(w http.ResponseWriter, r *http.Request, v access.Visitor) (access.Admission, bool) {
	return g(w, r, v)
}

var nobody = assertion.SignOn{By: assertion.ByNobody}

func everybody(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
	return access.Admission{Who: nobody, Rule: "test:1 everybody"}, false
}

// A world is an edge on loopback, with a client that trusts it.
type world struct {
	testing.TB
	edge      *edge.Edge
	authority *authority
	addr      string // where the edge listens with TLS
	plain     string // and without
	host      string // of its canonical origin
	access    *logbook
	log       *logbook
	stop      context.CancelFunc
	served    chan error
}

type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSigner(t testing.TB) *assertion.Signer {
	t.Helper()
	s, err := assertion.NewSigner(assertion.SignerConfig{
		Key:  func() assertion.SigningKey { return signingKey },
		Keys: func() []assertion.VerifyKey { return []assertion.VerifyKey{signingKey.Public()} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// worldTimes are short where a test waits for something that is bound to come.
var worldTimes = edge.Times{Patience: 100 * time.Millisecond}

func newWorld(t testing.TB, times edge.Times, changes ...func(*edge.Config)) *world {
	t.Helper()
	public, plain := listen(t), listen(t)
	_, port, _ := net.SplitHostPort(public.Addr().String())
	w := &world{TB: t, addr: public.Addr().String(), plain: plain.Addr().String(), host: "localhost:" + port,
		access: &logbook{}, log: &logbook{}, served: make(chan error, 1), authority: newAuthority()}
	config := edge.Config{
		Applications: []edge.Application{{Name: "test", Origin: "https://" + w.host}},
		Gate:         gate(everybody), Signer: newSigner(t), Authority: w.authority,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &publicCert, nil },
		Access:         w.access, Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, change := range changes {
		change(&config)
	}
	if times.Patience == 0 {
		times.Patience = worldTimes.Patience
	}
	e, err := edge.NewIn(config, times)
	if err != nil {
		t.Fatal(err)
	}
	w.edge = e
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.served <- e.Serve(ctx, public, plain) }()
	t.Cleanup(func() {
		stop()
		<-w.served
	})
	return w
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A connector is the other end of links, as simple as it can be: package perimeter has the real one.
type connector struct {
	peer        enrol.Peer
	certificate tls.Certificate
	addr        string
	links       int
	config      link.Config
}

func (c *connector) dial() (*tls.Conn, link.Key, error) {
	conn, err := tls.Dial("tcp", c.addr, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{link.Protocol}, Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return nil, link.Key{}, err
	}
	key, err := link.ExportKey(conn.ConnectionState())
	return conn, key, err
}

// keep holds one link up until ctx ends.
func (c *connector) keep(ctx context.Context, h http.Handler) (err error) {
	for ctx.Err() == nil {
		conn, key, dialled := c.dial()
		if dialled == nil {
			err = link.Serve(ctx, conn, key, h, 10*time.Second, c.config, nil)
		}
		if ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return err
}

// connect runs an application behind the edge until the test ends or stop is called.
func (w *world) connect(h http.Handler, changes ...func(*connector)) (stop func()) {
	w.Helper()
	c := &connector{peer: enrol.Peer{ID: rand.Text(), Application: "test"}, certificate: certificate("connector"), addr: w.addr, links: 1}
	for _, change := range changes {
		change(c)
	}
	w.authority.admit(c.certificate, c.peer)
	welcomed := func() int { return strings.Count(w.log.String(), `"msg":"link up"`) }
	before := welcomed()
	ctx, cancel := context.WithCancel(context.Background())
	var links sync.WaitGroup
	for range c.links {
		links.Go(func() { c.keep(ctx, h) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		links.Wait()
	})
	w.Cleanup(func() {
		w.stop() // first: without an edge there is nothing to drain
		stop()
	})
	w.eventually("links are up", func() bool { return welcomed() >= before+c.links })
	return stop
}

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("after 10 s it is still not so that %s", what)
}

func (w *world) tls(protocols ...string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(publicCert.Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols}
}

// client speaks HTTP/1.1 or HTTP/2 with the edge, and follows no redirect.
func (w *world) client(http2 bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	t := &http.Transport{
		TLSClientConfig: w.tls(), Protocols: &p, DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
		},
	}
	w.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) url(path string) string { return "https://" + w.host + path }

func (w *world) get(c *http.Client, path string) (int, string) {
	w.Helper()
	resp, err := c.Get(w.url(path))
	if err != nil {
		w.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Error(err)
	}
	return resp.StatusCode, string(body)
}

// raw sends bytes over TLS and returns everything that comes back until the connection ends.
func (w *world) raw(request string) string {
	w.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("http/1.1"))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "HOST", w.host)); err != nil {
		w.Logf("writing: %v", err) // the edge may have hung up already
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// dialRaw opens a TLS connection that the test writes by itself.
func (w *world) dialRaw() *tls.Conn {
	w.Helper()
	conn, err := tls.Dial("tcp", w.addr, w.tls("http/1.1"))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func protocols(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, true) })
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	a, ok := link.From(r.Context())
	fmt.Fprintf(w, "%s %s %s %v %s %s", r.Method, r.Host, r.RequestURI, ok, a.Client, a.Scheme)
})
