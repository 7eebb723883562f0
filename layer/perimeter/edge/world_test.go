package perimeter_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

var keys *provision.Keys // of the whole test process: they are only read

func TestMain(m *testing.M) {
	if edge := os.Getenv("PERIMETER_TEST_APPLICATION"); edge != "" {
		applicationProcess(edge) // does not return
	}
	dir, err := os.MkdirTemp("", "perimeter")
	if err == nil {
		keys, err = provision.Open(dir, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "perimeter_test:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// A world is an edge on loopback, with a client that trusts it.
type world struct {
	*testing.T
	edge   *perimeter.Edge
	addr   string // where the edge listens with TLS
	plain  string // and without
	host   string // of its canonical origin
	log    *logbook
	stop   context.CancelFunc
	served chan error
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

func newWorld(t *testing.T, times perimeter.Times, changes ...func(*perimeter.EdgeConfig)) *world {
	t.Helper()
	public, plain := listen(t), listen(t)
	_, port, _ := net.SplitHostPort(public.Addr().String())
	w := &world{T: t, addr: public.Addr().String(), plain: plain.Addr().String(), host: "localhost:" + port, log: &logbook{}, served: make(chan error, 1)}
	config := perimeter.EdgeConfig{
		Origin: "https://" + w.host, Audience: "test",
		Signer: keys.Edge.Signer, GetCertificate: keys.Edge.GetCertificate,
		Link: keys.Edge.Link, Connectors: keys.Edge.Connectors,
		Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, change := range changes {
		change(&config)
	}
	edge, err := perimeter.NewEdgeIn(config, times)
	if err != nil {
		t.Fatal(err)
	}
	w.edge = edge
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.served <- edge.Serve(ctx, public, plain) }()
	t.Cleanup(func() {
		stop()
		<-w.served
	})
	return w
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newVerifier(t *testing.T) *perimeter.Verifier {
	t.Helper()
	v, err := perimeter.NewVerifier(perimeter.VerifierConfig{Keys: keys.Application.Verify, Audience: "test", Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func refuse(w http.ResponseWriter, _ *http.Request, r *layer.Refusal) {
	http.Error(w, r.Error(), http.StatusUnauthorized)
}

// connect runs an application behind the edge until the test ends or stop is called, which returns what Run returned.
func (w *world) connect(h http.Handler, changes ...func(*perimeter.ConnectorConfig)) (stop func() error) {
	w.Helper()
	c := perimeter.ConnectorConfig{
		Edge: w.addr, EdgeKeys: keys.Application.Edge, Certificate: keys.Application.Link, Handler: newVerifier(w.T).Handler(h), Links: 1,
	}
	for _, change := range changes {
		change(&c)
	}
	connector, err := perimeter.NewConnector(c)
	if err != nil {
		w.Fatal(err)
	}
	welcomed := func() int { return strings.Count(w.log.String(), `"msg":"link up"`) }
	before := welcomed()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- connector.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	w.Cleanup(func() {
		w.stop() // first: without an edge there is nothing to drain
		stop()
	})
	select {
	case <-connector.Ready():
	case <-time.After(10 * time.Second):
		w.Fatal("the connector is not ready after 10 s")
	}
	w.eventually("links are up", func() bool { return welcomed() >= before+c.Links })
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
	pem, err := os.ReadFile(keys.CAFile)
	if err != nil {
		w.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols}
}

// client speaks HTTP/1.1 or HTTP/2 with the edge, and follows no redirect.
func (w *world) client(http2 bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	t := &http.Transport{
		TLSClientConfig: w.tls(), Protocols: &p, DisableCompression: true,
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
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
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

func protocols(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, true) })
}
