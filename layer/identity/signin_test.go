package identity_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

const callback = "https://app.example.test/sign-in/callback"

// A desk is identity before a real provider, with people whom the provider knows.
type desk struct {
	*layertest.W
	t        *testing.T
	service  *identity.Service
	provider *devidp.Provider
	idp      *httptest.Server
	acme     layer.OrgID
	cfg      identity.Config // of service

	front     atomic.Pointer[func(http.ResponseWriter, *http.Request) bool] // stands before the provider, if set; true for answered
	refreshes atomic.Int32                                                  // that the provider was asked for
	told      chan string                                                   // logout tokens that the provider has sent
}

// issuers are the addresses that providers of this process have had. Its tests share a database, which knows people by issuer and subject,
// and the kernel gives a port again once it is free: another test's people would be found.
var issuers sync.Map

// newIssuer listens where no provider of this process has listened before.
func newIssuer(h http.Handler) *httptest.Server {
	for {
		s := httptest.NewTLSServer(h)
		if _, had := issuers.LoadOrStore(s.URL, true); !had {
			return s
		}
		defer s.Close() // only now, so that the next one gets another port
	}
}

// newDesk changes what a desk is made of, as its options say.
func newDesk(t *testing.T, options ...func(*identity.Config, *signon.Config)) *desk {
	t.Helper()
	w := layertest.World(t, scoped)
	d := &desk{W: w, t: t, acme: w.Organization("Acme"), told: make(chan string, 100)}
	d.idp = newIssuer(http.HandlerFunc(d.serve))
	t.Cleanup(d.idp.Close)
	var err error
	d.provider, err = devidp.New(devidp.Config{
		Issuer: d.idp.URL, HTTP: &http.Client{Transport: listener(d.told)},
		Clients: []devidp.Client{{ID: "app", Secret: "correct horse", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{"https://app.example.test/signed-out"},
			BackchannelLogoutURI: "https://app.example.test/sign-on/logout"}},
		People: []devidp.Person{
			{Subject: "alice", Name: "Alice Archer", Email: "alice@acme.test", EmailVerified: true, Groups: []string{identity.AdministratorGroup(d.acme)}},
			{Subject: "bob", Name: "Bob Baker", Email: "bob@acme.test", EmailVerified: true},
			{Subject: "mallory", Name: "Mallory Moss", Email: "mallory@outside.test", EmailVerified: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sign := signon.Config{Issuer: d.idp.URL, ClientID: "app", ClientSecret: "correct horse", RedirectURL: callback, HTTP: d.idp.Client(), RequireIssuer: true}
	d.cfg = identity.Config{Connection: w.Connection("redoubt_identity"), Key: w.ClaimsKey, Scopes: scoped.Scopes}
	for _, o := range options {
		o(&d.cfg, &sign)
	}
	rp, err := signon.New(sign)
	if err != nil {
		t.Fatal(err)
	}
	d.cfg.Providers = append([]identity.Provider{{ID: "first", Title: "First", SignOn: rp}}, d.cfg.Providers...)
	d.service = d.open(d.cfg)
	people := []identity.Provisioned{
		{Issuer: d.idp.URL, Subject: "alice", Email: "before@acme.test", Name: "Before", Organizations: []layer.OrgID{d.acme}},
		{Issuer: d.idp.URL, Subject: "bob", Organizations: []layer.OrgID{d.acme}},
	}
	if err := identity.Provision(t.Context(), w.Admin(t), nil, people); err != nil {
		t.Fatal(err)
	}
	return d
}

// open is another process with that configuration.
func (d *desk) open(cfg identity.Config) *identity.Service {
	d.t.Helper()
	s, err := identity.Open(d.t.Context(), cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(s.Close)
	return s
}

func (d *desk) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, _ := url.ParseQuery(string(body)); form.Get("grant_type") == "refresh_token" {
		d.refreshes.Add(1)
	}
	if front := d.front.Load(); front != nil && (*front)(w, r) {
		return
	}
	d.provider.ServeHTTP(w, r)
}

// before stands before the provider; it reports whether it has answered.
func (d *desk) before(f func(http.ResponseWriter, *http.Request) bool) { d.front.Store(&f) }

// listener takes what a provider posts to us.
type listener chan string

func (l listener) RoundTrip(r *http.Request) (*http.Response, error) {
	r.ParseForm()
	l <- r.PostForm.Get("logout_token")
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// begin starts a sign-in and returns where it leads and the cookie that remembers it.
func (d *desk) begin() (to string, remembered *http.Cookie) {
	d.t.Helper()
	rec := httptest.NewRecorder()
	if err := d.service.SignIn(rec, httptest.NewRequestWithContext(d.t.Context(), "GET", "/sign-in", nil), "", "/orders"); err != nil {
		d.t.Fatal(err)
	}
	return rec.Header().Get("Location"), rec.Result().Cookies()[0]
}

var hidden = regexp.MustCompile(`name="(request|token)" value="([^"]+)"`)

// choose is what a person does at the provider; it returns the query with which they come back.
func (d *desk) choose(to, person string) url.Values {
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
	back, err := resp.Location()
	if err != nil {
		d.t.Fatalf("the provider did not send %s back: %d", person, resp.StatusCode)
	}
	return back.Query()
}

// finish comes back with query and cookies.
func (d *desk) finish(query url.Values, cookies ...*http.Cookie) (*httptest.ResponseRecorder, string, error) {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), "GET", callback+"?"+query.Encode(), nil)
	r.Header.Set("User-Agent", "Test/1.0 \x01\x7fé (browser)"+strings.Repeat("x", 400))
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	rec := httptest.NewRecorder()
	to, err := d.service.Callback(rec, r)
	return rec, to, err
}

func cookieOf(rec *httptest.ResponseRecorder, name string) *http.Cookie {
	for _, c := range rec.Result().Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// come is a person's whole sign-in; it returns their session's token.
func (d *desk) come(person string) string {
	d.t.Helper()
	to, remembered := d.begin()
	rec, _, err := d.finish(d.choose(to, person), remembered)
	if err != nil {
		d.t.Fatal(err)
	}
	return cookieOf(rec, cookieName).Value
}

// who is who holds that token by this service's word.
func (d *desk) who(token string) layer.Principal {
	d.t.Helper()
	who, err := d.service.Identify(with(d.t, token))
	if err != nil {
		d.t.Fatal(err)
	}
	return who
}

const signInCookie = "__Host-redoubt-sign-in"

func (d *desk) events(action string) int {
	return scan[int](d.t, d.W, `select count(*) from audit.log where action = $1`, action)
}

func TestSigningInAtTheProvider(t *testing.T) { // SYSTEM I1, I2, I3, I5
	d := newDesk(t)
	to, remembered := d.begin()
	strict(t, remembered, signInCookie)
	if remembered.MaxAge != 600 || !strings.HasPrefix(to, d.idp.URL+"/") {
		t.Errorf("got %v, to %s", remembered, to)
	}
	rec, back, err := d.finish(d.choose(to, "alice"), remembered)
	if err != nil || back != "/orders" {
		t.Fatalf("got %q %v", back, err)
	}
	session := cookieOf(rec, cookieName)
	strict(t, session, cookieName)
	if gone := cookieOf(rec, signInCookie); gone == nil || gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("the cookie of the sign-in stays: %v", gone)
	}
	who, err := d.service.Identify(with(t, session.Value))
	if err != nil || who.Organization() != d.acme || !who.Administrator() || !who.Interactive() {
		t.Fatalf("got %v %v", who, err)
	}
	snap, err := d.service.Snapshot(t.Context(), who)
	if err != nil || snap.Name != "Alice Archer" || snap.Email != "alice@acme.test" || !snap.Live || snap.OrganizationName != "Acme" || snap.Onboarded || len(snap.Places) != 1 {
		t.Errorf("got %+v %v, want what the provider says now", snap, err)
	}
	agent := scan[string](t, d.W, `select user_agent from identity.session where id = $1`, who.CredentialID())
	if !strings.HasPrefix(agent, "Test/1.0  (browser)xxx") || len(agent) != 300 {
		t.Errorf("the browser is called %q", agent)
	}
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'session.opened' and actor = $1 and entity_id = $2 and category = 'credential'`, who.Profile(), who.CredentialID()); n != 1 {
		t.Errorf("%d lines in the audit trail", n)
	}
}

func TestSigningInAgainEndsTheBrowsersOldSession(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	to, remembered := d.begin()
	rec, _, err := d.finish(d.choose(to, "alice"), remembered)
	if err != nil {
		t.Fatal(err)
	}
	old := cookieOf(rec, cookieName)
	to, remembered = d.begin()
	rec, _, err = d.finish(d.choose(to, "bob"), remembered, old)
	if err != nil {
		t.Fatal(err)
	}
	fresh := cookieOf(rec, cookieName)
	if fresh.Value == old.Value {
		t.Error("the session was kept")
	}
	alive(t, d.service, old.Value, false)
	alive(t, d.service, fresh.Value, true)
	// A session that somebody fixed in the browser beforehand is never taken over.
	fixed := &http.Cookie{Name: cookieName, Value: "rds_" + strings.Repeat("A", 43)}
	to, remembered = d.begin()
	rec, _, err = d.finish(d.choose(to, "bob"), remembered, fixed)
	if err != nil || cookieOf(rec, cookieName).Value == fixed.Value {
		t.Errorf("fixation: %v", err)
	}
	alive(t, d.service, fixed.Value, false)
}

func TestWhoWasNotProvisionedStaysOut(t *testing.T) { // SYSTEM I1, U1
	d := newDesk(t)
	before := d.events("sign_in.refused")
	to, remembered := d.begin()
	rec, _, err := d.finish(d.choose(to, "mallory"), remembered)
	refused(t, err, layer.Forbidden)
	if cookieOf(rec, cookieName) != nil {
		t.Error("a session cookie was given")
	}
	if n := scan[int](t, d.W, `select count(*) from identity.person where issuer = $1 and subject = 'mallory'`, d.idp.URL); n != 0 {
		t.Error("a person was made")
	}
	if n := d.events("sign_in.refused") - before; n != 1 {
		t.Errorf("%d lines in the audit trail", n)
	}
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'sign_in.refused' and (actor is not null or organization_id is not null or category <> 'security' or changes::text || entity_id ~ 'mallory|Moss')`); n != 0 {
		t.Error("the refusal names somebody")
	}
}

func TestAStoppedMemberStaysOut(t *testing.T) { // SYSTEM I7
	d := newDesk(t)
	change(t, d.W, `update identity.membership m set active = false from identity.person p where p.id = m.person_id and p.issuer = $1 and p.subject = 'bob'`, d.idp.URL)
	to, remembered := d.begin()
	_, _, err := d.finish(d.choose(to, "bob"), remembered)
	refused(t, err, layer.Forbidden)
	if !strings.Contains(err.(*layer.Refusal).Public, "stopped") {
		t.Errorf("got %q", err.(*layer.Refusal).Public)
	}
}

func TestAnswersThatThisBrowserDidNotAskFor(t *testing.T) { // SYSTEM I1: login CSRF, mix-up, replay
	d := newDesk(t)
	answer := func(to string) url.Values { return d.choose(to, "bob") }
	for name, attack := range map[string]func() (url.Values, []*http.Cookie){
		"no cookie": func() (url.Values, []*http.Cookie) { to, _ := d.begin(); return answer(to), nil },
		"another browser's answer": func() (url.Values, []*http.Cookie) {
			_, mine := d.begin()
			to, _ := d.begin()
			return answer(to), []*http.Cookie{mine}
		},
		"two cookies": func() (url.Values, []*http.Cookie) { to, c := d.begin(); return answer(to), []*http.Cookie{c, c} },
		"an altered cookie": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			c.Value = c.Value[:20] + string(c.Value[20]^1) + c.Value[21:]
			return answer(to), []*http.Cookie{c}
		},
		"a cookie that is no text": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			c.Value = "!!"
			return answer(to), []*http.Cookie{c}
		},
		"a cookie too short to hold anything": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			c.Value = "AAAA"
			return answer(to), []*http.Cookie{c}
		},
		"an altered state": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			q := answer(to)
			q.Set("state", q.Get("state")+"x")
			return q, []*http.Cookie{c}
		},
		"no code": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			q := answer(to)
			q.Del("code")
			return q, []*http.Cookie{c}
		},
		"another issuer": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			q := answer(to)
			q.Set("iss", "https://evil.test")
			return q, []*http.Cookie{c}
		},
		"a code for the second time": func() (url.Values, []*http.Cookie) {
			to, c := d.begin()
			q := answer(to)
			if _, _, err := d.finish(q, c); err != nil {
				t.Fatal(err)
			}
			return q, []*http.Cookie{c}
		},
	} {
		t.Run(name, func(t *testing.T) {
			query, cookies := attack()
			rec, _, err := d.finish(query, cookies...)
			refused(t, err, layer.Unauthenticated)
			if cookieOf(rec, cookieName) != nil {
				t.Error("a session cookie was given")
			}
			if gone := cookieOf(rec, signInCookie); gone == nil || gone.MaxAge >= 0 {
				t.Error("the sign-in can be tried again with the same cookie")
			}
		})
	}
}

func TestSigningOut(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	to, remembered := d.begin()
	rec, _, err := d.finish(d.choose(to, "bob"), remembered)
	if err != nil {
		t.Fatal(err)
	}
	token := cookieOf(rec, cookieName).Value
	who, err := d.service.Identify(with(t, token))
	if err != nil {
		t.Fatal(err)
	}
	rec = httptest.NewRecorder()
	at, err := d.service.SignOut(rec, with(t, token), who, "https://app.example.test/signed-out")
	if err != nil || !strings.HasPrefix(at, d.idp.URL+"/") || !strings.Contains(at, "id_token_hint=") {
		t.Errorf("got %q %v", at, err)
	}
	if gone := cookieOf(rec, cookieName); gone == nil || gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("the cookie stays: %v", gone)
	}
	alive(t, d.service, token, false)
}

func TestOldSessionsAreRemovedAtSignIn(t *testing.T) {
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	change(t, w, `update identity.session set revoked_at = now() - interval '31 days' where id = $1`, c.Principal().CredentialID())
	c.SignIn("Acme")
	if n := scan[int](t, w, `select count(*) from identity.session where id = $1`, c.Principal().CredentialID()); n != 0 {
		t.Error("it is kept for ever")
	}
}

func TestIdentityReachesNoTenantDataAndMakesNobody(t *testing.T) { // SYSTEM D3, I1, I3
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	conn := w.AsIdentity(t)
	for name, sql := range map[string]string{
		"a membership":                    `insert into identity.membership (organization_id, person_id) values ('` + string(c.Principal().Organization()) + `', '` + string(c.Principal().Person()) + `')`,
		"an organization":                 `insert into identity.organization (name) values ('x')`,
		"a readmission":                   `update identity.membership set active = true`,
		"a role":                          `update identity.membership set role = 'administrator'`,
		"more scopes":                     `update redoubt.role set scopes = '{}'`,
		"an API key":                      `insert into identity.api_key (hash) values ('')`,
		"more scopes of a key":            `update identity.api_key set scopes = '{members:write}'`,
		"an administrator of a session":   `update identity.session set administrator = true`,
		"a longer session":                `update identity.session set expires_at = now() + interval '1 year'`,
		"the sealing key":                 `select * from redoubt.seal_key`,
		"a context":                       `select redoubt.enter('` + c.Session() + `')`,
		"the audit trail":                 `select * from audit.log`,
		"an event of another category":    `select audit.append_identity(null, null, null, '', 'payment', 'x', '', '')`,
		"an event in the caller's name":   `select audit.append('system', 'x', '', '')`,
		"another role":                    `set role redoubt_keys`,
		"the deletion of a person":        `delete from identity.person`,
		"the change of a person's issuer": `update identity.person set issuer = 'x'`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.membership set role = 'administrator' where id = $1`, c.Principal().Profile()); err == nil || !strings.Contains(err.Error(), "23514") {
		t.Errorf("a row makes an administrator: %v", err)
	}
}

func TestOpenNamesEveryFault(t *testing.T) {
	_, err := identity.Open(t.Context(), identity.Config{Key: make([]byte, 31), Idle: 25 * time.Hour, Absolute: 8 * 24 * time.Hour})
	for _, want := range []string{"Connection", "Providers", "32 bytes", "Idle", "Absolute"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestProvisioningIsIdempotentAndMovesWithTheIssuer(t *testing.T) { // SYSTEM I1
	w := layertest.World(t, scoped)
	org, admin := w.Organization("Acme"), w.Admin(t)
	subject := rand.Text()
	people := []identity.Provisioned{{Issuer: "https://old.test", Subject: subject, Email: "x@x.test", Name: "X", Organizations: []layer.OrgID{org}}}
	for range 2 {
		if err := identity.Provision(t.Context(), admin, map[layer.OrgID]string{org: "Acme"}, people); err != nil {
			t.Fatal(err)
		}
	}
	if err := identity.MoveIssuer(t.Context(), admin, "https://old.test", "https://new.test"); err != nil {
		t.Fatal(err)
	}
	rows, _ := admin.Query(t.Context(), `select p.issuer from identity.person p join identity.membership m on m.person_id = p.id where subject = $1`, subject)
	if got, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(got) != 1 || got[0] != "https://new.test" {
		t.Errorf("got %v %v", got, err)
	}
}
