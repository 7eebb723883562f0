package redoubt_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// safes is a schema with one scope and nothing else.
var safes = redoubt.App{
	Name: "Vault", Version: "1",
	Schema: []migrate.Line{{Name: "safe", Application: true, Files: fstest.MapFS{"0001_safe.sql": {Data: []byte(
		`SELECT redoubt.allow('member', 'safe:write', 'keys:write');`)}}}},
	Scopes: identity.Scopes{Member: []string{"safe:write", "keys:write"}},
}

type (
	putIn struct {
		Label string   `json:"label" maxLength:"100"`
		Note  string   `json:"note,omitempty" maxLength:"100000" multiline:"true"`
		Boxes []string `json:"boxes,omitempty" maxItems:"5" maxLength:"20"`
		Code  string   `json:"code,omitempty" maxLength:"20" secret:"true"`
	}
	oneSafe struct {
		ID layer.ProfileID `path:"id"`
	}
	putInOne struct {
		ID    layer.ProfileID `path:"id"`
		Label string          `json:"label" maxLength:"100"`
		Note  string          `json:"note,omitempty" maxLength:"100000" multiline:"true"`
		Boxes []string        `json:"boxes,omitempty" maxItems:"5" maxLength:"20"`
		Code  string          `json:"code,omitempty" maxLength:"20" secret:"true"`
	}
)

const (
	lately = 5 * time.Minute
	oneID_ = "00000000-0000-4000-8000-000000000001"
)

// A vault is an application before a real provider, which does what must not be done by a session that is not fresh.
type vault struct {
	t       *testing.T
	w       *layertest.W
	ids     *identity.Service
	idp     *devidp.Provider
	address string
	http    *http.Client
	server  *redoubt.Server
	refused []string // who refused what, by the log
	done    []string // what was done
}

// needs is what the vault's actions ask the database for.
var needs = layer.Assurance{Within: lately, Keys: true}

func (v *vault) do(needs layer.Assurance) func(context.Context, layer.Principal, putIn) (nothing, error) {
	return func(ctx context.Context, who layer.Principal, in putIn) (nothing, error) {
		return action.DoAssured(ctx, v.w.DB, who, "safe:write", needs, func(*action.Tx) (nothing, error) {
			v.done = append(v.done, in.Label)
			return nothing{}, nil
		})
	}
}

// routes are the vault's. Without the first gate, none of them declares what it needs.
func (v *vault) routes(firstGate bool) []redoubt.Route {
	put, strong := v.do(needs), v.do(layer.Assurance{Within: lately, Level: "mfa", Keys: true})
	one := func(ctx context.Context, who layer.Principal, in putInOne) (nothing, error) {
		return put(ctx, who, putIn{Label: in.Label})
	}
	all := []redoubt.Route{
		redoubt.Page("GET /{$}", redoubt.Members, show),
		redoubt.Page("GET /safe", redoubt.Members, show),
		redoubt.Page("GET /safes/{id}", redoubt.Members, func(context.Context, layer.Principal, oneSafe) (redoubt.View, error) {
			return redoubt.View{Page: "x", Title: "One"}, nil
		}),
		redoubt.Page("GET /opened", redoubt.Members, show).Fresh(lately),
		redoubt.Page("GET /guarded", redoubt.Members, show).Assured("mfa"),
		redoubt.Form("POST /safe", redoubt.Members, put).Fresh(lately).Back("GET /safe").Then("/safe", "It is in the safe."),
		redoubt.Form("POST /safes/{id}", redoubt.Members, one).Fresh(lately).Back("GET /safes/{id}").Then("/safe", ""),
		redoubt.Form("POST /taken", redoubt.Members, func(context.Context, layer.Principal, putIn) (nothing, error) {
			return nothing{}, &layer.Refusal{By: layer.RLS, Reason: layer.Conflict, Public: "It is taken."}
		}).Back("GET /safe").Then("/safe", ""),
		redoubt.Form("POST /strong", redoubt.Members, strong).Fresh(lately).Assured("mfa").Back("GET /safe").Then("/safe", ""),
		redoubt.JSON("POST /api/v1/safe", redoubt.Scope("safe:write"), put).Fresh(lately),
		redoubt.JSON("POST /api/v1/strong", redoubt.Scope("safe:write"), strong).Fresh(lately).Assured("mfa"),
		redoubt.JSON("POST /api/v1/open", redoubt.Scope("safe:write"), put).Fresh(lately).KeysToo(),
	}
	if !firstGate {
		for i, r := range all {
			all[i] = r.Fresh(0).Assured("")
			if r.Needs().Keys {
				all[i] = redoubt.JSON(r.Pattern, r.Access, put)
			}
		}
	}
	return all
}

// shelf renders what a page would show of a form.
type shelf struct{}

func (shelf) Render(w io.Writer, f redoubt.Frame, v redoubt.View) error {
	fmt.Fprintf(w, `<h1>%s</h1><p>%s</p><form><input name="_token" value="%s"></form><p>kept %t</p>`, v.Title, f.Notice, f.Token, f.Kept)
	for _, name := range slices.Sorted(maps.Keys(f.Typed)) {
		fmt.Fprintf(w, "<p>%s=%q</p>", name, f.Typed[name])
	}
	_, err := fmt.Fprintf(w, `<p>%+v</p>`, v.Data)
	return err
}

type heard struct{ *vault }

func (heard) Enabled(context.Context, slog.Level) bool { return true }
func (h heard) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h heard) WithGroup(string) slog.Handler          { return h }
func (h heard) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "by" {
			h.refused = append(h.refused, a.Value.String())
		}
		return true
	})
	return nil
}

func newVault(t *testing.T, firstGate bool) *vault {
	t.Helper()
	v := &vault{t: t, w: layertest.World(t, safes)}
	var provider http.Handler
	at := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { provider.ServeHTTP(rw, r) }))
	t.Cleanup(at.Close)
	v.address, v.http = at.URL, at.Client()
	var err error
	v.idp, err = devidp.New(devidp.Config{Issuer: at.URL, Clients: []devidp.Client{{ID: "vault", Secret: "s", RedirectURIs: []string{layertest.Origin + redoubt.CallbackPath}}},
		People: []devidp.Person{{Subject: "alice", Name: "Alice"}, {Subject: "bob", Name: "Bob"}}})
	must(t, err)
	provider = v.idp
	cfg := signon.Config{Issuer: at.URL, ClientID: "vault", ClientSecret: "s", RedirectURL: layertest.Origin + redoubt.CallbackPath, HTTP: at.Client()}
	rp, err := signon.New(cfg)
	must(t, err)
	v.ids, err = identity.Open(t.Context(), identity.Config{Connection: v.w.Connection("redoubt_identity"), Providers: []identity.Provider{{SignOn: rp}}, Key: v.w.ClaimsKey,
		Scopes: safes.Scopes, Levels: map[string][]string{"mfa": {devidp.ACRTwoFactor}}})
	must(t, err)
	t.Cleanup(v.ids.Close)
	acme := []layer.OrgID{v.w.Organization("Acme")}
	must(t, identity.Provision(t.Context(), v.w.Admin(t), nil, []identity.Provisioned{{Issuer: at.URL, Subject: "alice", Organizations: acme}, {Issuer: at.URL, Subject: "bob", Organizations: acme}}))
	app := safes
	app.Start = func(redoubt.Parts) (redoubt.Routes, error) {
		return redoubt.Routes{Routes: v.routes(firstGate), Pages: shelf{}}, nil
	}
	v.server, err = redoubt.New(redoubt.Config{App: app, Origin: layertest.Origin, DB: v.w.DB, Identity: v.ids, ClaimsKey: v.w.ClaimsKey,
		TokenKey: []byte(rand.Text() + rand.Text()), Log: slog.New(heard{v}), InsecureWithoutPerimeter: true})
	must(t, err)
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A visitor is a browser, with cookies of the application's and of the provider's.
type visitor struct {
	*vault
	jar      map[string]string
	provider *http.Client
}

const sessionCookie, signInCookie = "__Host-redoubt", "__Host-redoubt-sign-in"

// visitor is somebody whose session knows of a proof so long ago.
func (v *vault) visitor(subject string, ago time.Duration) *visitor {
	v.t.Helper()
	token, _, err := v.ids.InsecureSignIn(v.t.Context(), signon.Claims{Issuer: v.address, Subject: subject, Name: subject, AuthTime: time.Now().Add(-ago)}, v.w.Organization("Acme"))
	must(v.t, err)
	jar, _ := cookiejar.New(nil)
	return &visitor{v, map[string]string{sessionCookie: token}, &http.Client{Transport: v.http.Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// twin is a copy of a browser: what somebody has who has stolen everything in it.
func (b *visitor) twin() *visitor { other := *b; other.jar = maps.Clone(b.jar); return &other }

func (b *visitor) send(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	r.Header.Set("Accept", "text/html")
	for name, value := range b.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	b.server.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if b.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.jar, c.Name)
		}
	}
	return rec
}

func (b *visitor) get(path string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send(httptest.NewRequestWithContext(b.t.Context(), "GET", layertest.Origin+path, nil))
}

var pageToken = regexp.MustCompile(`name="_token" value="([^"]+)"`)

func (b *visitor) post(path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	form = maps.Clone(form)
	if form == nil {
		form = url.Values{}
	}
	if m := pageToken.FindStringSubmatch(b.get("/").Body.String()); m != nil {
		form.Set(transport.TokenField, m[1])
	}
	return b.postAs(path, form)
}

func (b *visitor) postAs(path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), "POST", layertest.Origin+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", layertest.Origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

// prove goes from the page that explains to the provider, as subject, and comes back with the answer's path and query.
func (b *visitor) prove(form url.Values, subject string, more ...string) (path string) {
	b.t.Helper()
	to := b.post("/step-up", form)
	if to.Code != http.StatusSeeOther || !strings.HasPrefix(to.Header().Get("Location"), b.address+"/") {
		b.t.Fatalf("stepping up leads to %d %q: %s", to.Code, to.Header().Get("Location"), to.Body)
	}
	return b.choose(to.Header().Get("Location"), subject, more...)
}

var hidden = regexp.MustCompile(`name="(request|token)" value="([^"]+)"`)

func (b *visitor) choose(at, subject string, more ...string) (path string) {
	b.t.Helper()
	resp, err := b.provider.Get(at)
	must(b.t, err)
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	form := url.Values{"subject": {subject}}
	for _, name := range more {
		form.Set(name, "1")
	}
	for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
		form.Set(m[1], m[2])
	}
	if resp, err = b.provider.PostForm(b.address+"/choose", form); err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	to := resp.Header.Get("Location")
	if !strings.HasPrefix(to, layertest.Origin+redoubt.CallbackPath) {
		b.t.Fatalf("the provider sends back %d to %q", resp.StatusCode, to)
	}
	return strings.TrimPrefix(to, layertest.Origin)
}

func (v *vault) wantDone(want ...string) {
	v.t.Helper()
	if !slices.Equal(v.done, want) {
		v.t.Errorf("done: %q, want %q", v.done, want)
	}
}

func leads(t *testing.T, r *httptest.ResponseRecorder, to string) {
	t.Helper()
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != to {
		t.Fatalf("got %d to %q, want %q: %s", r.Code, r.Header().Get("Location"), to, r.Body)
	}
}

func says(t *testing.T, r *httptest.ResponseRecorder, status int, words ...string) {
	t.Helper()
	if r.Code != status {
		t.Fatalf("got %d to %q, want %d: %s", r.Code, r.Header().Get("Location"), status, r.Body)
	}
	for _, word := range words {
		if not, lacks := strings.CutPrefix(word, "-"); strings.Contains(r.Body.String(), not) == lacks {
			t.Errorf("%q: %s", word, r.Body)
		}
	}
}

// entered is what somebody has typed: several boxes, several lines, and something that is not to be kept.
var entered = url.Values{"label": {"the <b>deed</b>"}, "note": {"two\r\nlines"}, "boxes": {"red", "blue"}, "code": {"hunter2"}}

var keptWords = []string{`boxes="red, blue"`, `label="the <b>deed</b>"`, `note="two\nlines"`, "kept true", "press its button again", "-hunter2"}

// A form that a stale session sends is refused, kept, and shown again once the person has proved who they are: to be sent by hand.
// Without the first gate, the third refuses it, and the rest is the same.
func TestAFormSurvivesTheProof(t *testing.T) { // SYSTEM I5, I6, A3, A4
	for by, firstGate := range map[layer.Layer]bool{layer.GateRoute: true, layer.GateAction: false} {
		t.Run("refused by "+string(by), func(t *testing.T) {
			v := newVault(t, firstGate)
			fresh := v.visitor("bob", 0)
			leads(t, fresh.post("/safe", url.Values{"label": {"bob's"}}), "/safe") // who is fresh is not asked
			v.wantDone("bob's")

			alice := v.visitor("alice", time.Hour)
			stolen := alice.twin()
			leads(t, alice.post("/safe", entered), "/step-up")
			if last := v.refused[len(v.refused)-1]; last != string(by) {
				t.Errorf("refused by %s", last)
			}
			says(t, alice.get("/step-up"), 200, "Kept:true", "Lost:false", "Minutes:10")
			leads(t, alice.get(alice.prove(nil, "alice")), "/safe")
			if alice.jar[sessionCookie] == stolen.jar[sessionCookie] {
				t.Error("the session has not been rotated")
			}
			leads(t, stolen.get("/safe"), "/sign-in?return=%2Fsafe")
			v.wantDone("bob's") // nothing is sent by itself
			says(t, alice.get("/safe"), 200, keptWords...)
			says(t, alice.get("/safe"), 200, keptWords...) // reloaded
			says(t, alice.get("/"), 200, "kept false", "-deed")
			says(t, fresh.get("/safe"), 200, "kept false", "-deed")
			leads(t, alice.post("/safe", entered), "/safe")
			v.wantDone("bob's", "the <b>deed</b>")
			says(t, alice.get("/safe"), 200, "kept false", "-deed") // and is forgotten
		})
	}
}

func TestAFormOfOneThingComesBackToIt(t *testing.T) { // SYSTEM I6
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	leads(t, alice.post("/safes/"+oneID_, entered), "/step-up")
	leads(t, alice.get(alice.prove(nil, "alice")), "/safes/"+oneID_)
	says(t, alice.get("/safes/"+oneID_), 200, keptWords...)
	says(t, alice.get("/safes/"+strings.Replace(oneID_, "1", "2", 1)), 200, "kept false", "-deed")
	says(t, alice.get("/safe"), 200, "kept false", "-deed") // another route's form
}

func TestAPageThatAsksForAProofIsComeBackTo(t *testing.T) { // SYSTEM I6
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	leads(t, alice.get("/opened"), "/step-up?return=%2Fopened")
	says(t, alice.get("/step-up?return=%2Fopened"), 200, "Return:/opened", "Kept:false", "Second:false")
	leads(t, alice.get(alice.prove(url.Values{"return": {"/opened"}}, "alice")), "/opened")
	says(t, alice.get("/opened"), 200)
	leads(t, alice.get("/guarded"), "/step-up?return=%2Fguarded") // fresh is not strong
	says(t, alice.get("/step-up?return=%2Fguarded"), 200, "Second:true")
	leads(t, alice.get(alice.prove(url.Values{"return": {"/guarded"}}, "alice", "second_factor")), "/guarded")
	says(t, alice.get("/guarded"), 200)
}

// Whatever goes wrong on the way, nothing is done, nobody sees what was typed but who typed it, and no session is fresher than before.
func TestAProofThatIsNone(t *testing.T) { // SYSTEM I1, I5, I6
	for _, c := range []struct {
		name   string
		path   string // of the form; /safe if empty
		person string // who signs in; alice if empty
		more   string
		token  func(*devidp.Token)
		change func(v *vault, b *visitor) // before she comes back
		status int
		lives  bool // her old session
		event  string
	}{
		{name: "the provider does not ask, and says when it did", token: func(k *devidp.Token) { k.Claims["auth_time"] = time.Now().Add(-time.Hour).Unix() }, status: 401, lives: true},
		{name: "the provider does not say when it asked", token: func(k *devidp.Token) { delete(k.Claims, "auth_time") }, status: 401, lives: true},
		{name: "somebody else signs in", person: "bob", status: 401, event: "other_person"},
		{name: "the proof is fresh and weak", path: "/strong", status: 403, lives: true, event: "too_weak"},
		{name: "the proof says another level", path: "/strong", token: func(k *devidp.Token) { k.Claims["acr"] = "mfa" }, status: 403, lives: true, event: "too_weak"},
		{name: "the proof says by its amr what only an acr makes here", path: "/strong", token: func(k *devidp.Token) { k.Claims["amr"] = []string{"mfa"} }, status: 403, lives: true, event: "too_weak"},
		{name: "she cancels", more: "cancel", status: 401, lives: true},
		{name: "her session ends while she is away", change: func(v *vault, b *visitor) { must(v.t, v.ids.EndSession(v.t.Context(), b.jar[sessionCookie])) }, status: 401, event: "other_session"},
		{name: "her session is forgotten by the browser", change: func(_ *vault, b *visitor) { delete(b.jar, sessionCookie) }, status: 401, lives: true, event: "other_session"},
		{name: "she comes back to another session of hers", change: func(v *vault, b *visitor) { b.jar[sessionCookie] = v.visitor("alice", time.Hour).jar[sessionCookie] }, status: 401, lives: true, event: "other_session"},
		{name: "she comes back to somebody else's session: a planted cookie, or a stolen link", change: func(v *vault, b *visitor) {
			b.jar[sessionCookie] = v.visitor("bob", time.Hour).jar[sessionCookie]
		}, status: 401, lives: true, event: "other_session"},
		{name: "another browser comes back", change: func(_ *vault, b *visitor) { delete(b.jar, signInCookie) }, status: 401, lives: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVault(t, true)
			alice := v.visitor("alice", time.Hour)
			before, path := alice.twin(), c.path
			if path == "" {
				path = "/safe"
			}
			leads(t, alice.post(path, entered), "/step-up")
			if c.token != nil {
				v.idp.Misbehave(c.token)
			}
			if c.person == "" {
				c.person = "alice"
			}
			back := alice.prove(nil, c.person, strings.Fields(c.more)...)
			if c.change != nil {
				c.change(v, alice)
			}
			says(t, alice.get(back), c.status, "-deed")
			v.wantDone()
			if lives := before.get("/safe").Code == 200; lives != c.lives {
				t.Errorf("the old session lives: %t", lives)
			}
			if c.lives { // and is as stale as it was
				leads(t, before.post(path, entered), "/step-up")
			}
			v.wantDone()
			if c.event != "" && count(v, `select count(*) from audit.log where action = 'step_up.refused' and category = 'security' and entity_id = $1 and at > now() - interval '1 minute'`, c.event) == 0 {
				t.Errorf("the audit trail has no step_up.refused %s", c.event)
			}
			alice.get(alice.signIn("bob"))
			says(t, alice.get("/safe"), 200, "kept false", "-deed") // who sits there next
		})
	}
}

// signIn begins an ordinary sign-in and comes back.
func (b *visitor) signIn(subject string) string {
	b.t.Helper()
	b.provider.Jar, _ = cookiejar.New(nil)
	return b.choose(b.get("/sign-in").Header().Get("Location"), subject, "second_factor")
}

func count(v *vault, sql string, args ...any) (n int) {
	v.t.Helper()
	must(v.t, v.w.Admin(v.t).QueryRow(v.t.Context(), sql, args...).Scan(&n))
	return n
}

func TestAReturnIsTakenOnce(t *testing.T) { // SYSTEM I5, I6
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	leads(t, alice.post("/safe", entered), "/step-up")
	back := alice.prove(nil, "alice")
	stolen := alice.twin() // with both cookies and the address
	leads(t, alice.get(back), "/safe")
	renewed := alice.twin()
	says(t, stolen.get(back), 401, "-deed")
	stolen.jar[sessionCookie] = alice.jar[sessionCookie]
	says(t, stolen.get(back), 401)
	says(t, renewed.get("/safe"), 200, keptWords...) // it has ended nothing either
}

func TestOnlyAPageOfOursPlantsAForm(t *testing.T) { // SYSTEM T3, I6
	v := newVault(t, true)
	alice, bob := v.visitor("alice", time.Hour), v.visitor("bob", time.Hour)
	says(t, alice.postAs("/safe", entered), 403, "-deed") // without a token
	forged := maps.Clone(entered)
	forged.Set(transport.TokenField, pageToken.FindStringSubmatch(bob.get("/").Body.String())[1])
	says(t, alice.postAs("/safe", forged), 403, "-deed")
	unfit := maps.Clone(entered)
	unfit.Set("label", strings.Repeat("x", 101))
	says(t, alice.post("/safe", unfit), 422)
	extra := maps.Clone(entered)
	extra.Set("administrator", "true")
	says(t, alice.post("/safe", extra), 422)
	says(t, alice.get("/step-up"), 404)
	if n := count(v, `select count(*) from identity.pending_form f join identity.session s on s.id = f.session_id where s.organization_id = $1`, v.w.Organization("Acme")); n != 0 {
		t.Errorf("%d forms are kept", n)
	}
	leads(t, alice.post("/safe", entered), "/step-up") // the honest twin
}

// Somebody who can write to the store moves, copies and alters what is kept: it opens for its own session and person or not at all.
func TestAKeptFormIsBoundToItsRow(t *testing.T) { // SYSTEM S2, I6
	v := newVault(t, true)
	alice, bob := v.visitor("alice", time.Hour), v.visitor("bob", time.Hour)
	leads(t, alice.post("/safe", entered), "/step-up")
	leads(t, bob.post("/safe", url.Values{"label": {"bob's"}}), "/step-up")
	says(t, alice.get("/safe"), 200, keptWords...)
	mine := `(select f.session_id from identity.pending_form f join identity.session s on s.id = f.session_id join identity.person p on p.id = s.person_id where p.issuer = '` + v.address + `' and p.subject = '%s')`
	of := func(subject string) string { return fmt.Sprintf(mine, subject) }
	change := func(sql string) {
		t.Helper()
		tag, err := v.w.Admin(t).Exec(t.Context(), sql)
		if err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v %v", sql, tag, err)
		}
	}
	change(`update identity.pending_form set sealed = (select sealed from identity.pending_form where session_id = ` + of("alice") + `) where session_id = ` + of("bob"))
	says(t, bob.get("/safe"), 200, "kept false", "-deed") // copied to somebody else
	change(`update identity.pending_form set expires_at = now() where session_id = ` + of("alice"))
	says(t, alice.get("/safe"), 200, "kept false", "-deed") // too old
	kept := `select count(*) from identity.pending_form where session_id = ` + of("alice")
	if n := count(v, kept); n != 1 {
		t.Errorf("%d forms", n)
	}
	v.visitor("bob", 0) // somebody signs in
	if n := count(v, kept); n != 0 {
		t.Errorf("%d forms outlive a sign-in", n)
	}
	leads(t, alice.post("/safe", entered), "/step-up")
	says(t, alice.get("/safe"), 200, keptWords...)
	change(`update identity.pending_form set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) where session_id = ` + of("alice"))
	says(t, alice.get("/safe"), 200, "kept false", "-deed") // altered
	if n := count(v, `select count(*) from identity.pending_form where position('deed' in encode(sealed, 'escape')) > 0`); n != 0 {
		t.Error("the store can read it")
	}
}

// The database's note of the proof, forged by somebody who can write to it, opens nothing: the claims say otherwise.
func TestAForgedProofInTheStoreIsNoProof(t *testing.T) { // SYSTEM I3, I6, A4
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	who, err := v.ids.Identify(withSession(t, alice.jar[sessionCookie]))
	must(t, err)
	_, err = v.w.Admin(t).Exec(t.Context(), `update identity.session set auth_time = now() where id = $1`, who.CredentialID())
	must(t, err)
	leads(t, alice.post("/safe", entered), "/step-up")
	_, err = v.w.Admin(t).Exec(t.Context(), `update identity.session set claims = convert_to(regexp_replace(convert_from(claims, 'UTF8'), '"auth_time":\d+', '"auth_time":' || extract(epoch from now())::bigint), 'UTF8') where id = $1`, who.CredentialID())
	must(t, err)
	says(t, alice.postAs("/safe", entered), 401) // the session is not believed at all
	v.wantDone()
}

func withSession(t *testing.T, token string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), "GET", layertest.Origin+"/", nil)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: token})
	return r
}

func TestAFormIsKeptUpToItsBound(t *testing.T) { // SYSTEM I6, T6
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	who, err := v.ids.Identify(withSession(t, alice.jar[sessionCookie]))
	must(t, err)
	f := identity.PendingForm{Route: "POST /safe", Page: "/safe", Fields: map[string]string{"note": ""}}
	empty := len(`{"route":"POST /safe","page":"/safe","level":"","fields":{"note":""},"lost":false}`)
	for _, c := range []struct {
		length int
		want   bool
	}{{identity.MaxPendingForm, true}, {identity.MaxPendingForm + 1, false}} {
		f.Fields["note"] = strings.Repeat("x", c.length-empty)
		if kept, err := v.ids.KeepForm(t.Context(), who, f); err != nil || kept != c.want {
			t.Errorf("%d bytes: kept %t, %v", c.length, kept, err)
		}
	}
	if got, ok, err := v.ids.KeptForm(t.Context(), who); err != nil || !ok || len(got.Fields["note"]) != identity.MaxPendingForm-empty {
		t.Errorf("got %d, %t, %v", len(got.Fields["note"]), ok, err)
	}
	// A form that is too long loses what was typed, says so before it is lost, and nothing else.
	long := url.Values{"label": {"long"}, "note": {strings.Repeat("x", 70_000)}}
	leads(t, alice.post("/safe", long), "/step-up")
	says(t, alice.get("/step-up"), 200, "Kept:false", "Lost:true")
	leads(t, alice.get(alice.prove(nil, "alice")), "/safe")
	says(t, alice.get("/safe"), 200, "-xxx")
	leads(t, alice.post("/safe", long), "/safe")
	v.wantDone("long")
	if n := count(v, `select count(*) from identity.pending_form where session_id = $1`, who.CredentialID()); n != 0 {
		t.Errorf("%d forms of the old session stay", n)
	}
}

func TestASteppingUpLeadsNowhereElse(t *testing.T) { // SYSTEM T4, I6
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	for _, to := range []string{"https://evil.test/", "//evil.test/", `/\evil.test`, "javascript:alert(1)"} {
		says(t, alice.get("/step-up?"+url.Values{"return": {to}}.Encode()), 404, "-evil")
		says(t, alice.post("/step-up", url.Values{"return": {to}}), 404, "-evil")
	}
	says(t, alice.post("/step-up", nil), 404) // nothing waits
}

// A program is told what would do (RFC 9470), and a key, which can prove nothing again, that it may not.
func TestAProgramIsToldWhatToProve(t *testing.T) { // SYSTEM I6, I9
	v := newVault(t, true)
	fresh, stale := v.visitor("alice", 0), v.visitor("alice", time.Hour)
	who, err := v.ids.Identify(withSession(t, fresh.jar[sessionCookie]))
	must(t, err)
	key, err := action.Do(t.Context(), v.w.DB, who, "keys:write", func(tx *action.Tx) (string, error) {
		secret, _, err := v.ids.AddKey(tx.Tx, who, "a key", []string{"safe:write"}, time.Hour)
		return secret, err
	})
	must(t, err)
	ask := func(path string, b *visitor) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", layertest.Origin+path, strings.NewReader(`{"label":"x"}`))
		r.Header.Set("Content-Type", "application/json")
		if b == nil {
			r.Header.Set("Authorization", "Bearer "+key)
			rec := httptest.NewRecorder()
			v.server.ServeHTTP(rec, r)
			return rec
		}
		r.Header.Set("Origin", layertest.Origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set(transport.TokenHeader, pageToken.FindStringSubmatch(b.get("/").Body.String())[1])
		return b.send(r)
	}
	const insufficient = `Bearer error="insufficient_user_authentication", error_description="The person has to prove again who they are"`
	for _, c := range []struct {
		path      string
		by        *visitor // nil for the key
		status    int
		challenge string
	}{
		{"/api/v1/safe", fresh, 204, ""},
		{"/api/v1/safe", stale, 401, insufficient + `, max_age="300"`},
		{"/api/v1/strong", fresh, 401, insufficient + `, acr_values="` + devidp.ACRTwoFactor + `", max_age="300"`},
		{"/api/v1/safe", nil, 403, ""},
		{"/api/v1/strong", nil, 403, ""},
		{"/api/v1/open", nil, 204, ""},
		{"/api/v1/open", stale, 401, insufficient + `, max_age="300"`},
	} {
		got := ask(c.path, c.by)
		if got.Code != c.status || got.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: got %d, %s", c.path, got.Code, got.Header().Get("WWW-Authenticate"))
		}
		if c.status == 401 && !strings.Contains(got.Body.String(), `"urn:redoubt:problem:unproven"`) {
			t.Errorf("%s: the problem is %s", c.path, got.Body)
		}
	}
	v.wantDone("x", "x")
	document := v.visitor("bob", 0).get("/api/v1/openapi.json").Body.String()
	for _, want := range []string{"at the level mfa within the last 5 minutes", "insufficient_user_authentication (RFC 9470). API keys need no more than their scopes.", "API keys are refused."} {
		if !strings.Contains(document, want) {
			t.Errorf("the OpenAPI document does not say %q", want)
		}
	}
}

// What the handler refuses is shown again with what was typed, also when the form carried its token, as browsers' do.
func TestARefusedFormKeepsWhatWasTyped(t *testing.T) {
	v := newVault(t, true)
	says(t, v.visitor("alice", 0).post("/taken", entered), 409, `boxes="red, blue"`, `label="the <b>deed</b>"`, "kept false", "-hunter2")
}

// A stopped member does not come back from proving who they are.
func TestAStoppedMemberDoesNotStepUp(t *testing.T) { // SYSTEM I7
	v := newVault(t, true)
	alice := v.visitor("alice", time.Hour)
	leads(t, alice.post("/safe", entered), "/step-up")
	back := alice.prove(nil, "alice")
	_, err := v.w.Admin(t).Exec(t.Context(), `update identity.membership set active = false where person_id = (select id from identity.person where issuer = $1 and subject = 'alice')`, v.address)
	must(t, err)
	says(t, alice.get(back), 401)
	v.wantDone()
}
