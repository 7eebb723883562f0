package commons_test

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// A door is Commons before a real provider, and a browser that goes through both.
type door struct {
	t      *testing.T
	w      *layertest.W
	server *redoubt.Server
	idp    *httptest.Server
	jar    map[string]string // of cookies for Commons
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{t: t, w: layertest.World(t, commons.App), jar: map[string]string{}}
	var provider http.Handler
	d.idp = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { provider.ServeHTTP(rw, r) }))
	t.Cleanup(d.idp.Close)
	var err error
	provider, err = devidp.New(devidp.Config{Issuer: d.idp.URL, Clients: []devidp.Client{{ID: "commons", Secret: "s", RedirectURIs: []string{layertest.Origin + redoubt.CallbackPath}}},
		People: []devidp.Person{{Subject: "alice", Name: "Alice Archer", Email: "alice@acme.test", EmailVerified: true}, {Subject: "mallory", Name: "Mallory Moss", Email: "mallory@outside.test", EmailVerified: true}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := signon.Config{Issuer: d.idp.URL, ClientID: "commons", ClientSecret: "s", RedirectURL: layertest.Origin + redoubt.CallbackPath, HTTP: d.idp.Client()}
	rp, err := signon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(t.Context(), identity.Config{Connection: d.w.Connection("redoubt_identity"), Providers: []identity.Provider{{SignOn: rp}}, Key: d.w.ClaimsKey, Scopes: commons.App.Scopes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ids.Close)
	people := []identity.Provisioned{{Issuer: d.idp.URL, Subject: "alice", Organizations: []layer.OrgID{d.w.Organization("Acme")}}}
	if err := identity.Provision(t.Context(), d.w.Admin(t), nil, people); err != nil {
		t.Fatal(err)
	}
	d.server, err = redoubt.New(redoubt.Config{App: commons.App, Files: d.w.Files, Origin: layertest.Origin, DB: d.w.DB, Identity: ids, ClaimsKey: d.w.ClaimsKey,
		TokenKey: []byte(rand.Text() + rand.Text()), Log: slog.New(slog.DiscardHandler), InsecureWithoutPerimeter: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(d.t.Context(), "GET", layertest.Origin+path, nil)
	r.Header.Set("Accept", "text/html")
	return d.send(r)
}

// send asks with the browser's cookies, and keeps those of the answer.
func (d *door) send(r *http.Request) *httptest.ResponseRecorder {
	for name, value := range d.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	d.server.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if d.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(d.jar, c.Name)
		}
	}
	return rec
}

var hidden = regexp.MustCompile(`name="(request|token)" value="([^"]+)"`)

// signIn goes from path to the provider, chooses a person, and comes back.
func (d *door) signIn(path, person string) *httptest.ResponseRecorder {
	d.t.Helper()
	return d.through(d.get(path).Header().Get("Location"), person)
}

// through goes on at the provider, from the address to which the browser was sent there.
func (d *door) through(to, person string) *httptest.ResponseRecorder {
	d.t.Helper()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Transport: d.idp.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(to)
	if err != nil {
		d.t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := url.Values{"subject": {person}}
	for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
		form.Set(m[1], m[2])
	}
	if resp, err = browser.PostForm(d.idp.URL+"/choose", form); err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	return d.get(strings.TrimPrefix(resp.Header.Get("Location"), layertest.Origin))
}

func TestComingInThroughTheProvider(t *testing.T) { // SYSTEM I1, I2
	d := newDoor(t)
	stranger := d.get("/orders")
	if to := stranger.Header().Get("Location"); stranger.Code != http.StatusSeeOther || to != "/sign-in?return=%2Forders" {
		t.Fatalf("got %d to %s", stranger.Code, to)
	}
	back := d.signIn("/sign-in?return=%2Forders", "alice")
	if back.Code != http.StatusSeeOther || back.Header().Get("Location") != "/orders" {
		t.Fatalf("got %d to %s: %s", back.Code, back.Header().Get("Location"), back.Body)
	}
	if page := d.get("/orders"); page.Header().Get("Location") != "/onboarding" {
		t.Errorf("somebody without a profile gets %d, to %q", page.Code, page.Header().Get("Location"))
	}
	if page := d.get("/onboarding"); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "Alice Archer") {
		t.Errorf("onboarding: %d", page.Code)
	}
}

func TestSomebodyWhoWasNotInvitedIsToldSo(t *testing.T) { // SYSTEM I1, U1
	d := newDoor(t)
	const refusals = `select count(*) from audit.log where action = 'sign_in.refused' and organization_id is null`
	var before, after int
	admin := d.w.Admin(t)
	admin.QueryRow(t.Context(), refusals).Scan(&before)
	page := d.signIn("/sign-in", "mallory")
	if page.Code != http.StatusForbidden || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || !strings.Contains(page.Body.String(), "have not been invited here") {
		t.Errorf("got %d: %s", page.Code, page.Body)
	}
	if _, ok := d.jar["__Host-redoubt"]; ok {
		t.Error("a session was given")
	}
	if admin.QueryRow(t.Context(), refusals).Scan(&after); after != before+1 {
		t.Errorf("%d lines in the audit trail, want one more than %d", after, before)
	}
	if page := d.get("/orders"); page.Code != http.StatusSeeOther {
		t.Errorf("got %d afterwards", page.Code)
	}
}

func TestSigningInLeadsNowhereElse(t *testing.T) { // SYSTEM T4
	for _, to := range []string{"https://evil.test/", "//evil.test/", `/\evil.test`, "javascript:alert(1)", "/%0d%0aSet-Cookie:x=y"} {
		d := newDoor(t)
		back := d.signIn("/sign-in?return="+url.QueryEscape(to), "alice")
		if at := back.Header().Get("Location"); back.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/") || strings.HasPrefix(at, "//") || strings.Contains(at, "evil") {
			t.Errorf("%s leads to %d %q", to, back.Code, at)
		}
	}
}
