package redoubt_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// providersPost is what an identity provider sends, and its answer.
func providersPost(t *testing.T, h http.Handler, body string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, layertest.Origin+redoubt.LogoutPath, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

// posted takes what a provider posts.
type posted chan string

func (p posted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	p <- string(body)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// A provider's own word ends a session at once, through all layers and without a credential; nobody else's does.
func TestBackChannelLogout(t *testing.T) { // SYSTEM I5, Back-Channel Logout 1.0
	w := layertest.World(t, redoubt.App{})
	var provider *devidp.Provider
	idp := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { provider.ServeHTTP(rw, r) }))
	t.Cleanup(idp.Close)
	told := make(posted, 10)
	var err error
	provider, err = devidp.New(devidp.Config{Issuer: idp.URL, HTTP: &http.Client{Transport: told}, Clients: []devidp.Client{{ID: "app", Secret: "s",
		RedirectURIs: []string{layertest.Origin + redoubt.CallbackPath}, BackchannelLogoutURI: layertest.Origin + redoubt.LogoutPath}},
		People: []devidp.Person{{Subject: "alice", Name: "Alice"}}})
	if err != nil {
		t.Fatal(err)
	}
	rp, err := signon.New(signon.Config{Issuer: idp.URL, ClientID: "app", ClientSecret: "s", RedirectURL: layertest.Origin + redoubt.CallbackPath, HTTP: idp.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(t.Context(), identity.Config{Connection: w.Connection("redoubt_identity"), Providers: []identity.Provider{{SignOn: rp}}, Key: w.ClaimsKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ids.Close)
	app := redoubt.App{Name: "Test", Version: "1", Start: func(redoubt.Parts) (redoubt.Routes, error) {
		return redoubt.Routes{Pages: plain{}, Routes: []redoubt.Route{redoubt.Page("GET /mine", redoubt.Members, show)}}, nil
	}}
	server, err := redoubt.New(redoubt.Config{App: app, Origin: layertest.Origin, DB: w.DB, Identity: ids, ClaimsKey: w.ClaimsKey,
		TokenKey: []byte(strings.Repeat("t", 32)), Log: slog.New(slog.DiscardHandler), InsecureWithoutPerimeter: true})
	if err != nil {
		t.Fatal(err)
	}
	org := w.Organization("Acme")
	if err := identity.Provision(t.Context(), w.Admin(t), nil, []identity.Provisioned{{Issuer: idp.URL, Subject: "alice", Organizations: []layer.OrgID{org}}}); err != nil {
		t.Fatal(err)
	}
	browser := guest{t, server, idp, map[string]string{}}
	browser.signIn("alice")
	if got := browser.get("/mine").StatusCode; got != http.StatusOK {
		t.Fatalf("signed in, the page answers %d", got)
	}
	hint := browser.hint(w)
	resp, err := idp.Client().Get(idp.URL + "/end_session?id_token_hint=" + hint)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var token string
	select {
	case token = <-told:
	case <-time.After(5 * time.Second):
		t.Fatal("the provider says nothing")
	}
	for _, c := range []struct {
		name, body string
		header     []string
		status     int
	}{
		{"no token", "", nil, 400},
		{"not a token", "logout_token=x", nil, 400},
		{"an ID token", "logout_token=" + hint, nil, 400},
		{"twice", token + "&" + token, nil, 400},
		{"with more than it takes", token + "&admin=1", nil, 400},
		{"too long", "logout_token=" + strings.Repeat("x", 20_000), nil, 400},
		{"without end", "logout_token=" + strings.Repeat("x", 2<<20), nil, 413}, // transport does not read it,
		{"as JSON", `{"logout_token":"x"}`, []string{"Content-Type", "application/json"}, 400},
		{"with a credential", token, []string{"Authorization", "Bearer rdk_x"}, 400},
		{"by a browser", token, []string{"Cookie", "a=b"}, 403},
		{"by a page elsewhere", token, []string{"Origin", "https://evil.test"}, 403},
	} {
		got := providersPost(t, server, c.body, c.header...)
		var said struct{ Error, Detail string }
		body, _ := io.ReadAll(got.Body)
		if json.Unmarshal(body, &said); got.StatusCode != c.status || c.status == 400 && (said.Error == "" || got.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %d %v %s", c.name, got.StatusCode, got.Header["Cache-Control"], body)
		}
		if strings.Contains(string(body), "xx") || strings.Contains(string(body), "eyJ") {
			t.Errorf("%s: the answer repeats what was sent", c.name)
		}
	}
	if got := browser.get("/mine").StatusCode; got != http.StatusOK {
		t.Fatalf("a token that was not heeded has ended the session: %d", got)
	}
	if got := providersPost(t, server, token); got.StatusCode != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the provider is answered %d %v", got.StatusCode, got.Header["Cache-Control"])
	}
	if got := browser.get("/mine").StatusCode; got == http.StatusOK {
		t.Error("the session lives on")
	}
	if got := providersPost(t, server, token); got.StatusCode != http.StatusBadRequest {
		t.Errorf("replayed: %d", got.StatusCode)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, layertest.Origin+redoubt.LogoutPath, nil)
	rec := httptest.NewRecorder()
	if server.ServeHTTP(rec, r); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET answers %d", rec.Code)
	}
}

// A guest is a browser before a server whose people sign in at idp.
type guest struct {
	t      *testing.T
	server http.Handler
	idp    *httptest.Server
	jar    map[string]string
}

func (v guest) get(path string) *http.Response {
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, layertest.Origin+path, nil)
	for name, value := range v.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	v.server.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		v.jar[c.Name] = c.Value
	}
	return rec.Result()
}

// signIn goes to the provider, chooses a person, and comes back.
func (v guest) signIn(person string) {
	v.t.Helper()
	to := v.get("/sign-in").Header.Get("Location")
	browser := &http.Client{Transport: v.idp.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(to)
	if err != nil {
		v.t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := url.Values{"subject": {person}}
	for _, name := range []string{"request", "token"} {
		_, rest, _ := strings.Cut(string(page), `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		form.Set(name, value)
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.idp.URL+"/choose", strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range resp.Cookies() {
		req.AddCookie(c)
	}
	if resp, err = browser.Do(req); err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	v.get(strings.TrimPrefix(resp.Header.Get("Location"), layertest.Origin))
}

// hint is the ID token that opened the guest's session.
func (v guest) hint(w *layertest.W) (token string) {
	v.t.Helper()
	err := w.Admin(v.t).QueryRow(v.t.Context(), `select id_token from identity.session where hash = sha256($1)`, []byte(v.jar["__Host-redoubt"])).Scan(&token)
	if err != nil {
		v.t.Fatal(err)
	}
	return token
}

// Where there are several providers a page asks which, and each leads to its own.
func TestAPersonChoosesWhereToSignIn(t *testing.T) { // SYSTEM I1
	w := layertest.World(t, redoubt.App{})
	var providers []identity.Provider
	for _, id := range []string{"acme", "university"} {
		issuer := "https://" + id + ".test"
		text := `{"issuer": "` + issuer + `", "authorization_endpoint": "` + issuer + `/authorize", "token_endpoint": "` + issuer + `/token", "jwks_uri": "` + issuer + `/keys"}`
		rp, err := signon.New(signon.Config{Issuer: issuer, ClientID: "app", ClientSecret: "s", RedirectURL: layertest.Origin + redoubt.CallbackPath,
			RequireIssuer: true, HTTP: &http.Client{Transport: discovery(text)}})
		if err != nil {
			t.Fatal(err)
		}
		providers = append(providers, identity.Provider{ID: id, Title: "The " + id, SignOn: rp})
	}
	ids, err := identity.Open(t.Context(), identity.Config{Connection: w.Connection("redoubt_identity"), Providers: providers, Key: w.ClaimsKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ids.Close)
	chosen := &choice{}
	app := redoubt.App{Name: "Test", Version: "1", Start: func(redoubt.Parts) (redoubt.Routes, error) { return redoubt.Routes{Pages: chosen}, nil }}
	server, err := redoubt.New(redoubt.Config{App: app, Origin: layertest.Origin, DB: w.DB, Identity: ids, ClaimsKey: w.ClaimsKey,
		TokenKey: []byte(strings.Repeat("t", 32)), Log: slog.New(slog.DiscardHandler), InsecureWithoutPerimeter: true})
	if err != nil {
		t.Fatal(err)
	}
	v := guest{t, server, nil, map[string]string{}}
	if got := v.get("/sign-in?return=%2Forders"); got.StatusCode != http.StatusOK || len(chosen.shown.Providers) != 2 {
		t.Fatalf("got %d and %+v, want a choice of two", got.StatusCode, chosen.shown)
	}
	for i, p := range chosen.shown.Providers {
		to := v.get("/sign-in?provider=" + p.ID + "&return=" + url.QueryEscape(chosen.shown.Return)).Header.Get("Location")
		if !strings.HasPrefix(to, "https://"+providers[i].ID+".test/authorize?") || p.Title != providers[i].Title || chosen.shown.Return != "/orders" {
			t.Errorf("%+v leads to %s", p, to)
		}
	}
	for _, path := range []string{"/sign-in?provider=other", "/sign-in?provider=https%3A%2F%2Fevil.test", "/sign-in?provider=acme&provider=university"} {
		if got := v.get(path); got.StatusCode < 400 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d, to %q", path, got.StatusCode, got.Header.Get("Location"))
		}
	}
	if got := v.get("/sign-in?return=https%3A%2F%2Fevil.test"); got.StatusCode != http.StatusOK || strings.Contains(chosen.shown.Return, "evil") {
		t.Errorf("the choice leads elsewhere: %+v", chosen.shown)
	}
}

// discovery answers everything with one document.
type discovery string

func (d discovery) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(d))), Request: r}, nil
}

// choice remembers what the page was given.
type choice struct{ shown redoubt.SignInChoice }

func (c *choice) Render(w io.Writer, _ redoubt.Frame, v redoubt.View) error {
	if data, ok := v.Data.(redoubt.SignInChoice); ok {
		c.shown = data
	}
	_, err := io.WriteString(w, v.Page)
	return err
}
