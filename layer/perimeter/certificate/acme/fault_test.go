package acme_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// away is an authority that can be taken away and brought back.
type away struct {
	is     atomic.Bool
	status int
	asked  atomic.Int64
}

func (a *away) alter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if a.is.Load() {
			a.asked.Add(1)
			if a.status == 0 {
				panic(http.ErrAbortHandler) // the connection ends without an answer
			}
			http.Error(rw, "not now", a.status)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// Issue 6: an authority that is away at the start is asked again, and seconds after it is back there is a certificate.
func TestAnAuthorityThatIsAwayAtTheStart(t *testing.T) { // SYSTEM P2
	t.Parallel()
	for name, status := range map[string]int{"gone": 0, "overloaded": http.StatusServiceUnavailable, "nonsense": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &away{status: status}
			a.is.Store(true)
			w := newWorld(t, func(w *world) { w.alter = a.alter })
			config := w.config("app.example")
			config.HTTP01 = true
			m, _ := w.run(config, quick)
			w.eventually("it was asked twice", func() bool { return a.asked.Load() > 6 && m.Status()[0].Problem != "" })
			a.is.Store(false)
			back := time.Now()
			w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
			if took := time.Since(back); took > 10*time.Second {
				t.Errorf("it took %v after the authority was back", took)
			}
			if s := m.Status()[0]; s.Problem != "" {
				w.eventually("the problem is over", func() bool { return m.Status()[0].Problem == "" })
			}
		})
	}
}

// While the authority is away, the certificate that is there serves on, until it ends and after.
func TestAnAuthorityThatIsAwayAtRenewal(t *testing.T) { // SYSTEM P2
	t.Parallel()
	a := &away{}
	w := newWorld(t, func(w *world) {
		w.life = 4
		w.alter = func(h http.Handler) http.Handler { return a.alter(withoutAdvice(h)) }
	})
	config := w.config("app.example")
	config.HTTP01 = true
	m, _ := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	a.is.Store(true)
	first := leaf(m, "app.example")
	time.Sleep(time.Until(first.NotAfter) + 200*time.Millisecond)
	if got := leaf(m, "app.example"); got == nil || !got.Equal(first) {
		t.Error("it does not serve on")
	}
	a.is.Store(false)
	w.eventually("it is renewed", func() bool { return leaf(m, "app.example").NotAfter.After(time.Now()) })
}

func TestAFalseAuthorityIsNotSpokenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01, config.Roots = true, x509.NewCertPool() // other roots than its server's
	m, _ := w.run(config, quick)
	w.eventually("it is told", func() bool { return strings.Contains(m.Status()[0].Problem, "certificate") })
	if w.orders.Load() != 0 || leaf(m, "app.example") != nil {
		t.Error("a server that nobody vouches for was asked")
	}
}

func TestAnAuthorityMayNotLeaveTLS(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked without TLS") }))
	defer plain.Close()
	for name, alter := range map[string]func(http.Handler) http.Handler{
		"by its directory": func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				rw.Write([]byte(`{"newNonce":"` + plain.URL + `","newAccount":"` + plain.URL + `","newOrder":"` + plain.URL + `"}`))
			})
		},
		"by a redirection": func(http.Handler) http.Handler { return http.RedirectHandler(plain.URL, http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.alter = alter })
			config := w.config("app.example")
			config.HTTP01 = true
			m, _ := w.run(config, quick)
			w.eventually("it is told", func() bool { return m.Status()[0].Problem != "" })
		})
	}
}

func TestAnAnswerWithoutEndIsNotRead(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	w := newWorld(t, func(w *world) {
		w.alter = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				for block := bytes.Repeat([]byte(" "), 64<<10); ; {
					n, err := rw.Write(block)
					if sent.Add(int64(n)); err != nil || sent.Load() > 1<<30 {
						return
					}
				}
			})
		}
	})
	config := w.config("app.example")
	config.HTTP01 = true
	m, stop := w.run(config, acme.Times{Soon: time.Hour})
	w.eventually("it is told", func() bool { return strings.Contains(m.Status()[0].Problem, "too large") })
	stop()
	if got := sent.Load(); got > 64<<20 {
		t.Errorf("%d MiB were taken", got>>20)
	}
}

// A host whose name does not lead here is refused by the authority. It is not asked again at once: refusals are counted there.
func TestARefusalIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01 = true
	m, _ := w.run(config, acme.Times{Look: time.Millisecond, Soon: time.Millisecond, Later: time.Hour})
	none := []*acme.Manager{}
	w.edges.Store(&none)
	w.eventually("it is refused", func() bool { return m.Status()[0].Problem != "" })
	time.Sleep(300 * time.Millisecond)
	if got := w.orders.Load(); got != 1 {
		t.Errorf("%d orders, want 1", got)
	}
	if p := m.Status()[0].Problem; !strings.Contains(p, "404") {
		t.Errorf("the problem is %q, which does not say what the authority found", p)
	}
}

func TestPausesGrowAndHaveAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01 = true
	m, err := acme.New(config)
	if err != nil {
		t.Fatal(err)
	}
	refused := error(acmez.Problem{Type: acmez.ProblemTypeUnauthorized, Status: 403})
	for _, c := range []struct {
		err      error
		failures int
		most     time.Duration
	}{
		{errors.New("no route"), 1, time.Second},
		{errors.New("no route"), 3, 4 * time.Second},
		{errors.New("no route"), 1000, 30 * time.Second},
		{acmez.Problem{Status: 500}, 1, time.Second},
		{refused, 1, 2 * time.Minute},
		{refused, 2, 4 * time.Minute},
		{refused, 1000, 6 * time.Hour},
	} {
		if got := m.Pause(c.err, c.failures); got > c.most || got < c.most*4/5-time.Millisecond {
			t.Errorf("%v, %d failures: got %v, want up to %v", c.err, c.failures, got, c.most)
		}
	}
	// Let's Encrypt takes five refusals of one host in an hour.
	asked, at := 0, time.Duration(0)
	for failures := 1; at < time.Hour; failures++ {
		asked++
		at += m.Pause(refused, failures)
	}
	if asked > 6 {
		t.Errorf("%d refusals in the first hour", asked)
	}
}

// SYSTEM P2: where nothing can be kept nothing is ordered, and as soon as it can be there is a certificate.
func TestAFolderThatIsFullOrClosedCostsNoOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world) (repair func())
	}{
		"it cannot be written": {func(t *testing.T, w *world) func() {
			// A file where entries should lie is in the way even of root.
			return inTheWay(t, w, "acme-*")
		}},
		"its locks cannot be written": {func(t *testing.T, w *world) func() { return inTheWay(t, w, "acme-*-locks") }},
		"it is full": {func(t *testing.T, w *world) func() {
			drawers, err := filepath.Glob(filepath.Join(w.folder.Path(), "acme-*"))
			if err != nil || len(drawers) == 0 {
				t.Fatal(drawers, err)
			}
			others := make([]string, 1000)
			for i := range others {
				others[i] = filepath.Join(shortest(drawers), hex.EncodeToString(fmt.Appendf(nil, "other-%d", i)))
				if err := os.WriteFile(others[i], []byte(`{"content":""}`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return func() {
				for _, o := range others {
					os.Remove(o)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			config := w.config("app.example")
			config.HTTP01 = true
			m, err := acme.NewIn(config, quick)
			if err != nil {
				t.Fatal(err)
			}
			all := []*acme.Manager{m}
			w.edges.Store(&all)
			repair := c.spoil(t, w)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); m.Run(ctx) }()
			w.eventually("it is told", func() bool { return m.Status()[0].Problem != "" })
			time.Sleep(200 * time.Millisecond)
			if got := w.orders.Load(); got != 0 {
				t.Errorf("%d orders for a folder that takes nothing", got)
			}
			repair()
			w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
			cancel()
			<-done
		})
	}
}

func shortest(of []string) string {
	best := of[0]
	for _, s := range of {
		if len(s) < len(best) {
			best = s
		}
	}
	return best
}

// inTheWay puts a file where a folder was.
func inTheWay(t *testing.T, w *world, pattern string) (repair func()) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.folder.Path(), pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	at := shortest(found)
	if err := os.Rename(at, at+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(at); err != nil {
			t.Error(err)
		}
		if err := os.Rename(at+".aside", at); err != nil {
			t.Error(err)
		}
	}
}

// The folder fills up between the order and the certificate: what was obtained serves all the same, and is kept when it can be.
func TestACertificateThatCannotBeKeptServesAllTheSame(t *testing.T) {
	t.Parallel()
	var spoil atomic.Pointer[func()]
	w := newWorld(t, func(w *world) {
		w.alter = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if f := spoil.Load(); f != nil && strings.HasPrefix(r.URL.Path, "/certZ/") {
					spoil.Store(nil)
					(*f)()
				}
				next.ServeHTTP(rw, r)
			})
		}
	})
	config := w.config("app.example")
	config.HTTP01 = true
	m, err := acme.NewIn(config, quick)
	if err != nil {
		t.Fatal(err)
	}
	var repair func()
	inMiddle := func() { repair = inTheWay(t, w, "acme-*") }
	spoil.Store(&inMiddle)
	all := []*acme.Manager{m}
	w.edges.Store(&all)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	w.eventually("it serves, and it is told", func() bool {
		return leaf(m, "app.example") != nil && strings.Contains(m.Status()[0].Problem, "keeping the certificate")
	})
	repair()
	w.eventually("it is kept", func() bool { return m.Status()[0].Problem == "" })
	cancel()
	<-done
	again, err := acme.NewIn(config, quick)
	if err != nil {
		t.Fatal(err)
	}
	if !leaf(again, "app.example").Equal(leaf(m, "app.example")) || w.orders.Load() != 1 {
		t.Errorf("after %d orders, a restart has another certificate", w.orders.Load())
	}
}

// The authority was set up anew, and knows neither our account nor our certificates.
func TestAForgottenAccountIsMadeAnew(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[http.Handler]
	w := newWorld(t, func(w *world) {
		w.life = 4
		w.alter = func(next http.Handler) http.Handler {
			current.Store(&next)
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(rw, r) })
		}
	})
	config := w.config("app.example")
	config.HTTP01 = true
	times := quick
	times.Later = 100 * time.Millisecond // the authority refuses to have its predecessor's certificate replaced
	m, _ := w.run(config, times)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	anew := w.authority()
	current.Store(&anew)
	w.eventually("a certificate of the new one is there", func() bool {
		_, err := leaf(m, "app.example").Verify(x509.VerifyOptions{Roots: w.roots, Intermediates: intermediates(m)})
		return err == nil
	})
}

// SYSTEM P2: what is secret is for its owner alone.
func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01 = true
	m, stop := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	stop()
	files := 0
	err := filepath.WalkDir(w.folder.Path(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		if !d.IsDir() {
			files++
		}
		return nil
	})
	if err != nil || files < 3 { // account, certificate, lock
		t.Errorf("%d files, %v", files, err)
	}
	if said := w.log.String(); strings.Contains(said, "PRIVATE KEY") || strings.Contains(said, bindingKey) {
		t.Error("the log holds a key")
	}
	// Whoever opened them afterwards may know them: they are not used.
	entries, _ := filepath.Glob(filepath.Join(w.folder.Path(), "acme-*", "*"))
	for _, e := range entries {
		if err := os.Chmod(e, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := acme.NewIn(config, quick)
	if err != nil {
		t.Fatal(err)
	}
	if leaf(again, "app.example") != nil {
		t.Error("a key that others can read is used")
	}
}

// A process that is killed leaves no lock behind, and its half of a renewal is nobody's.
func TestWhoIsKilledDoesNotHoldTheOthersUp(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("REDOUBT_TEST_HOLD"); dir != "" {
		hold(dir)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestWhoIsKilledDoesNotHoldTheOthersUp$")
	cmd.Env = append(os.Environ(), "REDOUBT_TEST_HOLD="+dir)
	words, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	words.Read(make([]byte, 1))
	m := lockOf(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := m.Lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two hold one lock: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	killed := time.Now()
	unlock, err := m.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if took := time.Since(killed); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func lockOf(t testing.TB, dir string) *acme.Manager {
	folder, err := state.Open(dir)
	if err != nil {
		panic(err)
	}
	m, err := acme.New(acme.Config{Hosts: []string{"a.example"}, Agreed: true, Folder: folder, HTTP01: true})
	if err != nil {
		panic(err)
	}
	return m
}

// hold takes a lock and keeps it until the process is killed.
func hold(dir string) {
	if _, err := lockOf(nil, dir).Lock(context.Background(), "a"); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("held\n")
	time.Sleep(time.Minute)
	os.Exit(1)
}

// What the authority sends must be ours.
func TestOnlyOurOwnCertificateIsTaken(t *testing.T) {
	t.Parallel()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ours, other := key(), key()
	for name, c := range map[string]struct {
		host   string
		change func(*x509.Certificate)
		key    *ecdsa.PrivateKey
		want   bool
	}{
		"ours":             {"a.example", nil, ours, true},
		"our wildcard":     {"*.a.example", func(c *x509.Certificate) { c.DNSNames = []string{"*.a.example"} }, ours, true},
		"another key's":    {"a.example", nil, other, false},
		"another host's":   {"b.example", nil, ours, false},
		"a neighbour's":    {"*.a.example", nil, ours, false},
		"one that is over": {"a.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }, ours, false},
		"next week's":      {"a.example", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(7 * 24 * time.Hour) }, ours, false},
		"an authority's":   {"a.example", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, ours, false},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour)}
		if c.change != nil {
			c.change(template)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, ours.Public(), ours)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := acme.Open(c.host, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), private)
		if got != c.want || (err == nil) != c.want {
			t.Errorf("%s: got %t, %v", name, got, err)
		}
	}
	if _, err := acme.Open("a.example", "", nil); err == nil {
		t.Error("nothing is a certificate")
	}
}
