package signon_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

const callback = "https://shop.example/callback"

// A world is a provider behind TLS, a relying party, a browser, and one clock for all.
type world struct {
	t       *testing.T
	idp     *devidp.Provider
	server  *httptest.Server
	front   atomic.Pointer[http.HandlerFunc] // stands before the provider, when set
	rp      *signon.Provider
	browser *http.Client
	clock   *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newWorld(t *testing.T, change ...func(*devidp.Config, *signon.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}}
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if front := w.front.Load(); front != nil {
			(*front)(rw, r)
			return
		}
		w.idp.ServeHTTP(rw, r)
	}))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that hang up
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	idp := devidp.Config{
		Issuer: w.server.URL,
		Clients: []devidp.Client{{ID: "shop", Secret: "correct horse", RedirectURIs: []string{callback},
			PostLogoutRedirectURIs: []string{"https://shop.example/bye"}}},
		People: []devidp.Person{
			{Subject: "alice", Name: "Alice Archer", Email: "alice@acme.example", EmailVerified: true, Groups: []string{"acme", "acme-admins"}},
			{Subject: "bob", Name: "Bob", Email: "bob@acme.example"},
		},
		Now: w.clock.Now,
	}
	rp := signon.Config{Issuer: w.server.URL, ClientID: "shop", ClientSecret: "correct horse", RedirectURL: callback,
		HTTP: w.server.Client(), Now: w.clock.Now}
	for _, f := range change {
		f(&idp, &rp)
	}
	var err error
	if w.idp, err = devidp.New(idp); err != nil {
		t.Fatal(err)
	}
	if w.rp, err = signon.New(rp); err != nil {
		t.Fatal(err)
	}
	w.browser = w.newBrowser()
	return w
}

func (w *world) newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Transport: w.server.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) begin(options ...signon.BeginOptions) (string, signon.Pending) {
	w.t.Helper()
	to, pending, err := w.rp.Begin(w.t.Context(), append(options, signon.BeginOptions{})[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return to, pending
}

var hidden = regexp.MustCompile(`name="(request|token)" value="([^"]+)"`)

// visit opens an authorize address and, if a page comes, clicks on a person; it returns the query of the callback.
func (w *world) visit(to, person string) url.Values {
	w.t.Helper()
	resp := w.get(to)
	if resp.StatusCode == http.StatusOK {
		form := url.Values{"subject": {person}, "second_factor": {"yes"}}
		page, _ := io.ReadAll(resp.Body)
		for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
			form.Set(m[1], m[2])
		}
		var err error
		if resp, err = w.browser.PostForm(w.server.URL+"/choose", form); err != nil {
			w.t.Fatal(err)
		}
		resp.Body.Close()
	}
	back, err := resp.Location()
	if err != nil {
		w.t.Fatalf("the provider did not redirect: status %d", resp.StatusCode)
	}
	return back.Query()
}

func (w *world) get(to string) *http.Response {
	w.t.Helper()
	resp, err := w.browser.Get(to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// signIn goes all the way.
func (w *world) signIn(person string, options ...signon.BeginOptions) (signon.Claims, error) {
	w.t.Helper()
	to, pending := w.begin(options...)
	return w.rp.Finish(w.t.Context(), pending, w.visit(to, person))
}

// refused checks that err is a refusal by identity, for this cause, in words for anybody.
func refused(t *testing.T, err, cause error) {
	t.Helper()
	var r *layer.Refusal
	if !errors.As(err, &r) || !errors.Is(err, cause) {
		t.Fatalf("got %v, want a refusal because %v", err, cause)
	}
	if name := signon.Name(err); !slices.Contains(signon.Names(), name) {
		t.Errorf("got the name %q, which is none of the vocabulary", name)
	}
	if r.By != layer.Identity || r.Public == "" || r.Reason != layer.Unauthenticated && r.Reason != layer.Unavailable {
		t.Errorf("got %+v, want a public refusal by identity", r)
	}
}
