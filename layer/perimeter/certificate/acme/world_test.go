package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// Pebble reads its own settings from the environment: it is not to sleep before it looks, nor to believe what it saw an hour ago.
func TestMain(m *testing.M) {
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_AUTHZREUSE", "0")
	os.Exit(m.Run())
}

// A world has an authority that we did not write (Let's Encrypt's pebble), a DNS in which every name leads to this machine, and the two
// ports at which the authority looks for an edge.
type world struct {
	t       testing.TB
	plain   net.Listener // stands for port 80
	public  net.Listener // stands for port 443
	names   *names
	server  *httptest.Server
	orders  atomic.Int64
	manage  http.Handler
	pen     sync.RWMutex   // pebble writes its advice down without a lock
	roots   *x509.CertPool // of the certificates that the authority issues
	folder  *state.Folder
	log     logbook
	edges   atomic.Pointer[[]*acme.Manager] // of which the next one answers
	turn    atomic.Int64
	instead atomic.Pointer[http.Handler] // of the edges, on the plain port
	life    uint64
	binding bool
	alter   func(http.Handler) http.Handler
}

func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, life: 90 * 24 * 3600, alter: func(h http.Handler) http.Handler { return h }}
	for _, c := range change {
		c(w)
	}
	w.edges.Store(new([]*acme.Manager))
	w.plain, w.public = listen(t), listen(t)
	w.names = newNames(t)
	w.start()
	w.serve()
	folder, err := state.Open(filepath.Join(t.TempDir(), "edge"))
	if err != nil {
		t.Fatal(err)
	}
	w.folder = folder
	return w
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// start starts an authority that knows nobody.
func (w *world) start() {
	w.server = httptest.NewUnstartedServer(w.alter(w.authority()))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	w.t.Cleanup(w.server.Close)
}

func (w *world) authority() http.Handler {
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: w.life}})
	validator := va.New(quiet, port(w.plain), port(w.public), false, w.names.addr, store)
	if w.binding {
		if err := store.AddExternalAccountKeyByID("contract-1", bindingKey); err != nil {
			w.t.Fatal(err)
		}
	}
	front := wfe.New(quiet, store, validator, issuer, []string{"pebble.test"}, false, w.binding, 0, 0)
	w.roots = x509.NewCertPool()
	w.roots.AddCert(issuer.GetRootCert(0).Cert)
	w.manage = front.ManagementHandler()
	handler := front.Handler()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/order-plz" {
			rw = &counting{rw, &w.orders}
		}
		if strings.Contains(r.URL.Path, "/renewalInfo/") {
			w.pen.RLock()
			defer w.pen.RUnlock()
		}
		handler.ServeHTTP(rw, r)
	})
}

// counting counts orders that were taken. Others are no orders: one of twenty is refused by its nonce, as may happen with any authority.
type counting struct {
	http.ResponseWriter
	orders *atomic.Int64
}

func (c *counting) WriteHeader(status int) {
	if status == http.StatusCreated {
		c.orders.Add(1)
	}
	c.ResponseWriter.WriteHeader(status)
}

const bindingKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

// serve stands for the edges' listeners. Each question goes to the next edge, whichever ordered.
func (w *world) serve() {
	go http.Serve(w.plain, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h := w.instead.Load(); h != nil {
			(*h).ServeHTTP(rw, r)
			return
		}
		if m := w.next(); m != nil {
			m.HTTPHandler(http.NotFoundHandler()).ServeHTTP(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	go func() {
		for {
			conn, err := w.public.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				if m := w.next(); m != nil {
					c := tls.Server(conn, &tls.Config{GetCertificate: m.GetCertificate, NextProtos: append([]string{"http/1.1"}, m.NextProtos()...), MinVersion: tls.VersionTLS13})
					if c.Handshake() == nil {
						c.Read(make([]byte, 1))
					}
				}
			}()
		}
	}()
}

func (w *world) next() *acme.Manager {
	all := *w.edges.Load()
	if len(all) == 0 {
		return nil
	}
	return all[int(w.turn.Add(1))%len(all)]
}

func (w *world) config(hosts ...string) acme.Config {
	roots := x509.NewCertPool()
	roots.AddCert(w.server.Certificate())
	return acme.Config{
		Hosts: hosts, Directory: w.server.URL + "/dir", Email: "ops@app.example", Agreed: true, Folder: w.folder, Roots: roots,
		Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

var quick = acme.Times{Look: 20 * time.Millisecond, Soon: 50 * time.Millisecond}

// run makes an edge of c and lets it work until the test ends, or stop is called.
func (w *world) run(c acme.Config, t acme.Times) (m *acme.Manager, stop func()) {
	w.t.Helper()
	m, err := acme.NewIn(c, t)
	if err != nil {
		w.t.Fatal(err)
	}
	all := append([]*acme.Manager{m}, *w.edges.Load()...)
	w.edges.Store(&all)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return m, stop
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("after 30 s it is not true that %s; the log says\n%s", what, w.log.String())
		}
	}
}

// leaf is the certificate that m shows for host; nil if it has none.
func leaf(m *acme.Manager, host string) *x509.Certificate {
	c, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: []string{"h2"}})
	if err != nil || c == nil {
		return nil
	}
	return c.Leaf
}

// intermediates are what m shows beside its certificate.
func intermediates(m *acme.Manager) *x509.CertPool {
	pool := x509.NewCertPool()
	c, err := m.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		return pool
	}
	for _, der := range c.Certificate[1:] {
		if above, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(above)
		}
	}
	return pool
}

// trusted fails the test unless a client that trusts the authority accepts what m shows for host.
func (w *world) trusted(m *acme.Manager, host string) {
	w.t.Helper()
	server, client := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		tls.Server(server, &tls.Config{GetCertificate: m.GetCertificate}).Handshake()
	}()
	if err := tls.Client(client, &tls.Config{ServerName: host, RootCAs: w.roots}).Handshake(); err != nil {
		w.t.Errorf("%s: %v", host, err)
	}
}

// advise has the authority say when c is to be renewed.
func (w *world) advise(c *x509.Certificate, from, to time.Time) {
	w.t.Helper()
	window, err := json.Marshal(map[string]any{"suggestedWindow": map[string]any{"start": from.UTC(), "end": to.UTC()}})
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), "ariResponse": string(window),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	r.Header.Set("User-Agent", "test")
	answer := httptest.NewRecorder()
	w.pen.Lock()
	defer w.pen.Unlock()
	w.manage.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		w.t.Fatalf("setting the authority's advice: %d %s", answer.Code, answer.Body)
	}
}

// withoutAdvice is an authority that does not know RFC 9773.
func withoutAdvice(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/dir" {
			next.ServeHTTP(rw, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		var directory map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &directory); err != nil {
			panic(err)
		}
		delete(directory, "renewalInfo")
		rw.Header().Set("Content-Type", "application/json")
		json.NewEncoder(rw).Encode(directory)
	})
}

// names is a DNS server in which every name leads to this machine, and which holds TXT records.
type names struct {
	addr string
	mu   sync.Mutex
	txt  map[string][]string
	seen int // of records that were ever there
}

func newNames(t testing.TB) *names {
	t.Helper()
	l := listen(t)
	n := &names{addr: l.Addr().String(), txt: map[string][]string{}}
	s := &dns.Server{Listener: l, Handler: n}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return n
}

func (n *names) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(r)
	for _, q := range r.Question {
		head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET}
		switch q.Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
		case dns.TypeTXT:
			for _, v := range n.txt[strings.ToLower(q.Name)] {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{v}})
			}
		}
	}
	w.WriteMsg(m)
}

// Present implements acme.DNS.
func (n *names) Present(_ context.Context, name, value string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.txt[name+"."] = append(n.txt[name+"."], value)
	n.seen++
	return nil
}

// CleanUp implements acme.DNS.
func (n *names) CleanUp(_ context.Context, name, value string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.txt[name+"."][:0]
	for _, v := range n.txt[name+"."] {
		if v != value {
			left = append(left, v)
		}
	}
	if len(left) == len(n.txt[name+"."]) {
		return fmt.Errorf("there is no such record")
	}
	n.txt[name+"."] = left
	return nil
}

func (n *names) records() (now, ever int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.txt {
		now += len(v)
	}
	return now, n.seen
}

// A logbook collects what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
