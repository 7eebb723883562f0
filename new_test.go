package redoubt_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

type (
	nothing struct{}
	oneID   struct {
		ID layer.ProfileID `path:"id"`
	}
)

func show(context.Context, layer.Principal, nothing) (redoubt.View, error) {
	return redoubt.View{Page: "x", Title: "X"}, nil
}

func answer(context.Context, layer.Principal, nothing) (nothing, error) { return nothing{}, nil }

func answerOne(context.Context, layer.Principal, oneID) (nothing, error) { return nothing{}, nil }

func fetch(context.Context, layer.Principal, nothing) (*file.Content, error) { return nil, nil }

type (
	form struct {
		Picture input.Upload `json:"picture" maxBytes:"100"`
	}
	raw struct {
		Picture input.Upload `body:"content" maxBytes:"100"`
	}
)

func receive(context.Context, layer.Principal, form) (nothing, error) { return nothing{}, nil }

func receiveRaw(context.Context, layer.Principal, raw) (nothing, error) { return nothing{}, nil }

// plain renders who looks at a page, and the token that its forms carry.
type plain struct{}

func (plain) Render(w io.Writer, f redoubt.Frame, v redoubt.View) error {
	name, admin := "nobody", false
	if f.Viewer != nil {
		name, admin = f.Viewer.Name, f.Viewer.Administrator
	}
	_, err := fmt.Fprintf(w, `<h1>%s</h1><p>%s, administrator %t</p><form><input name="_token" value="%s"></form>`, v.Title, name, admin, f.Token)
	return err
}

// An application with these routes, and what New says about it.
func declared(t *testing.T, w *layertest.W, pages redoubt.Renderer, change func(*redoubt.Config), routes ...redoubt.Route) error {
	t.Helper()
	cfg := redoubt.Config{
		App:    redoubt.App{Name: "Test", Version: "1", Start: func(redoubt.Parts) (redoubt.Routes, error) { return redoubt.Routes{Routes: routes, Pages: pages}, nil }},
		Origin: layertest.Origin, DB: w.DB, Identity: w.Identity,
		ClaimsKey: []byte(strings.Repeat("c", 32)), TokenKey: []byte(strings.Repeat("t", 32)), InsecureWithoutPerimeter: true,
	}
	if change != nil {
		change(&cfg)
	}
	_, err := redoubt.New(cfg)
	return err
}

func TestARouteWithoutAccessStopsTheProgram(t *testing.T) { // SYSTEM A1, A6
	w := layertest.World(t, redoubt.App{})
	err := declared(t, w, plain{}, nil, redoubt.Page("GET /x", redoubt.Access{}, show), redoubt.JSON("GET /api/v1/x", redoubt.Access{}, answer), redoubt.Page("GET /y", redoubt.Members, show))
	for _, want := range []string{`"GET /x" declares no access`, `"GET /api/v1/x" declares no access`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "GET /y") {
		t.Errorf("a good route is blamed: %v", err)
	}
}

func TestAProgramThatIsDeclaredWronglyDoesNotStart(t *testing.T) {
	w := layertest.World(t, redoubt.App{})
	page := redoubt.Page("GET /x", redoubt.Members, show)
	cases := []struct {
		name, want string
		pages      redoubt.Renderer
		change     func(*redoubt.Config)
		routes     []redoubt.Route
	}{
		{"nothing wrong", "", plain{}, nil, []redoubt.Route{page}},
		{"an empty scope", "declares no access", plain{}, nil, []redoubt.Route{redoubt.JSON("GET /api/v1/x", redoubt.Scope(""), answer)}},
		{"a route declared twice", "declared twice", plain{}, nil, []redoubt.Route{page, page}},
		{"one of Redoubt's own routes", "declared twice", plain{}, nil, []redoubt.Route{redoubt.Form("POST /sign-out", redoubt.Public, answer).Then("/", "")}},
		{"a page that is posted", "asked for with GET", plain{}, nil, []redoubt.Route{redoubt.Page("POST /x", redoubt.Members, show)}},
		{"a form that leads nowhere", "where the form leads", plain{}, nil, []redoubt.Route{redoubt.Form("POST /x", redoubt.Members, answer)}},
		{"a form that goes back to no page", "Back names no page", plain{}, nil, []redoubt.Route{redoubt.Form("POST /x", redoubt.Members, answer).Then("/", "").Back("GET /z")}},
		{"an id that the pattern lacks", "/x", plain{}, nil, []redoubt.Route{redoubt.JSON("GET /api/v1/x", redoubt.Members, answerOne)}},
		{"an id that nobody reads", "/x/{id}", plain{}, nil, []redoubt.Route{redoubt.JSON("GET /api/v1/x/{id}", redoubt.Members, answer)}},
		{"a route without a method, which a link on another site could ask for", "begin with one of the methods", plain{}, nil, []redoubt.Route{redoubt.JSON("/api/v1/x", redoubt.Members, answer)}},
		{"a method that is none of ours", "begin with one of the methods", plain{}, nil, []redoubt.Route{redoubt.JSON("OPTIONS /api/v1/x", redoubt.Members, answer)}},
		{"a route of one host", "after the method comes a path", plain{}, nil, []redoubt.Route{redoubt.Page("GET evil.test/x", redoubt.Members, show)}},
		{"everything beneath a path", "everything beneath", plain{}, nil, []redoubt.Route{redoubt.Page("GET /x/", redoubt.Members, show)}},
		{"everything at all", "everything beneath", plain{}, nil, []redoubt.Route{redoubt.Page("GET /", redoubt.Public, show)}},
		{"what transport answers by itself", "declared twice", plain{}, nil, []redoubt.Route{redoubt.JSON("POST /csp-reports", redoubt.Members, answer)}},
		{"a file, and nowhere to keep it", "nowhere to keep", plain{}, nil, []redoubt.Route{redoubt.Download("GET /x", redoubt.Members, fetch)}},
		{"an upload, and nowhere to keep it", "nowhere to keep", plain{}, nil, []redoubt.Route{redoubt.Form("POST /x", redoubt.Members, receive).Then("/", "")}},
		{"a raw upload, and nowhere to keep it", "nowhere to keep", plain{}, nil, []redoubt.Route{redoubt.JSON("PUT /api/v1/x", redoubt.Members, receiveRaw)}},
		{"a file that is posted", "asked for with GET", plain{}, nil, []redoubt.Route{redoubt.Download("POST /x", redoubt.Members, fetch)}},
		{"no pages", "no Pages", nil, nil, []redoubt.Route{page}},
		{"no database", "DB", plain{}, func(c *redoubt.Config) { c.DB = nil }, nil},
		{"no identity", "Identity", plain{}, func(c *redoubt.Config) { c.Identity = nil }, nil},
		{"a short key for claims", "32 bytes", plain{}, func(c *redoubt.Config) { c.ClaimsKey = c.ClaimsKey[:31] }, nil},
		{"a short key for tokens", "needs at least 32", plain{}, func(c *redoubt.Config) { c.TokenKey = c.TokenKey[:31] }, nil},
		{"no edge whose word is believed", "no key is given", plain{}, func(c *redoubt.Config) { c.InsecureWithoutPerimeter = false }, nil},
		{"an application that cannot start", "starting Test: no luck", plain{}, func(c *redoubt.Config) {
			c.App.Start = func(redoubt.Parts) (redoubt.Routes, error) { return redoubt.Routes{}, fmt.Errorf("no luck") }
		}, nil},
	}
	for _, c := range cases {
		err := declared(t, w, c.pages, c.change, c.routes...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Whoever asks for the routes of a program gets all of them, in order, and each with what it takes.
func TestAProgramListsAllItsRoutes(t *testing.T) { // SYSTEM A6
	meanwhile := func() {}
	w := layertest.World(t, doors(&meanwhile))
	var got []string
	for _, r := range w.Routes() {
		got = append(got, fmt.Sprintf("%s|%s %d", r.Pattern, r.Access, r.Takes()))
	}
	want := []string{
		"GET /admin|administrators 0", "GET /api/v1/openapi.json|public 0", "POST /api/v1/thing|members 1", "POST /csp-reports|public 2", "POST /form|members 2",
		"POST /invitations/{token}|public 2", "POST /oauth/token|public 2", "POST /organization|members 2", "POST /organizations|members 2",
		"GET /scim/v2/Groups|scope scim:manage 0", "POST /scim/v2/Groups|scope scim:manage 2", "DELETE /scim/v2/Groups/{id}|scope scim:manage 0",
		"GET /scim/v2/Groups/{id}|scope scim:manage 0", "PATCH /scim/v2/Groups/{id}|scope scim:manage 2", "PUT /scim/v2/Groups/{id}|scope scim:manage 2",
		"GET /scim/v2/ResourceTypes|scope scim:manage 0", "GET /scim/v2/ResourceTypes/{id}|scope scim:manage 0", "GET /scim/v2/Schemas|scope scim:manage 0",
		"GET /scim/v2/Schemas/{id}|scope scim:manage 0", "GET /scim/v2/ServiceProviderConfig|scope scim:manage 0", "GET /scim/v2/Users|scope scim:manage 0",
		"POST /scim/v2/Users|scope scim:manage 2", "DELETE /scim/v2/Users/{id}|scope scim:manage 0", "GET /scim/v2/Users/{id}|scope scim:manage 0",
		"PATCH /scim/v2/Users/{id}|scope scim:manage 2", "PUT /scim/v2/Users/{id}|scope scim:manage 2",
		"GET /sign-in|public 0", "GET /sign-in/callback|public 0", "POST /sign-on/logout|public 2", "POST /sign-out|members 2", "GET /signed-out|public 0",
		"GET /slow|members 0", "GET /step-up|members 0", "POST /step-up|members 2", "GET /{$}|public 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What stands before the program, or writes down what it was asked, may not read another path than it serves.
func TestAPathIsServedByItsOwnSpelling(t *testing.T) { // SYSTEM P6, A1
	meanwhile := func() {}
	w := layertest.World(t, doors(&meanwhile))
	boss := w.Administrator("Acme").Browser()
	for _, target := range []string{"/admin", "/admin?", layertest.Origin + "/admin"} {
		r := boss.Request("GET", "/admin", nil)
		r.RequestURI = target
		boss.Do(r).OK()
	}
	for _, target := range []string{"/%61dmin", "//admin", "/./admin", "/x/../admin", "/x/%2e%2e/admin", "/admin/.", "https://evil.test/admin", "http://app.example.test/admin", "*", "admin", ""} {
		r := boss.Request("GET", "/admin", nil) // the mux would serve each as this one
		r.RequestURI = target
		boss.Do(r).NotFound(layer.GateRoute)
	}
	head := w.Stranger().Browser().Request("HEAD", "/slow", nil)
	w.Stranger().Do(head).Refused(http.StatusSeeOther, layer.GateRoute) // as GET is
}

// doors is an application whose handlers do, while they are at work, what somebody else might.
func doors(meanwhile *func()) redoubt.App {
	slow := func(context.Context, layer.Principal, nothing) (redoubt.View, error) {
		(*meanwhile)()
		return redoubt.View{Page: "slow", Title: "Slow"}, nil
	}
	return redoubt.App{Name: "Doors", Version: "1", Start: func(redoubt.Parts) (redoubt.Routes, error) {
		return redoubt.Routes{Pages: plain{}, Routes: []redoubt.Route{
			redoubt.Page("GET /{$}", redoubt.Public, show),
			redoubt.Page("GET /slow", redoubt.Members, slow),
			redoubt.Page("GET /admin", redoubt.Administrators, slow),
			redoubt.Form("POST /form", redoubt.Members, answer).Then("/", "Done."),
			redoubt.JSON("POST /api/v1/thing", redoubt.Members, answer),
		}}, nil
	}}
}

func TestAPageAsksAgainBeforeItIsShown(t *testing.T) { // SYSTEM A2, I7
	meanwhile := func() {}
	w := layertest.World(t, doors(&meanwhile))
	alter := func(c *layertest.Caller, sql string) func() {
		return func() {
			if tag, err := w.Admin(t).Exec(t.Context(), sql, c.Principal().CredentialID()); err != nil || tag.RowsAffected() != 1 {
				t.Errorf("%s: %v %v", sql, tag, err)
			}
		}
	}
	cases := []struct {
		name, path string
		admin      bool
		sql        string
		status     int
	}{
		{"nothing happened", "/slow", false, `update identity.session set user_agent = '' where id = $1`, 200},
		{"nothing happened to an administrator", "/admin", true, `update identity.session set user_agent = '' where id = $1`, 200},
		{"the session was revoked", "/slow", false, `update identity.session set revoked_at = now() where id = $1`, 303},
		{"the session has expired", "/slow", false, `update identity.session set expires_at = now() where id = $1`, 303},
		{"the session is gone", "/slow", false, `delete from identity.session where id = $1`, 303},
		{"the member was stopped", "/slow", false, `update identity.membership m set active = false from identity.session s where s.id = $1 and m.id = s.profile_id`, 303},
		{"the claims were altered", "/admin", true, `update identity.session set claims = claims || ' ' where id = $1`, 303},
		{"the claims were taken from another row", "/admin", true, `update identity.session set (claims, mac) = (select claims, mac from identity.session where id <> $1 limit 1) where id = $1`, 303},
	}
	w.Member("Acme") // of whom a row can be copied
	for _, c := range cases {
		caller := w.Member("Acme")
		if c.admin {
			caller = w.Administrator("Acme")
		}
		meanwhile = alter(caller, c.sql)
		resp := caller.Browser().Get(c.path)
		by, _ := resp.RefusedBy()
		if want := map[bool]layer.Layer{true: "", false: layer.GatePage}[c.status == 200]; resp.Code != c.status || by != want {
			t.Errorf("%s: got %d by %q, want %d by %q", c.name, resp.Code, by, c.status, want)
		}
	}
}

func TestARequestThatChangesSomethingComesFromOurPages(t *testing.T) { // SYSTEM T3
	meanwhile := func() {}
	w := layertest.World(t, doors(&meanwhile))
	alice, bob := w.Member("Acme").Browser(), w.Member("Acme").Browser()
	form := func(change func(*http.Request)) *layertest.Response {
		r := alice.Request("POST", "/form", url.Values{})
		change(r)
		return alice.Do(r)
	}
	const token = "X-Redoubt-Token"
	form(func(*http.Request) {}).Status(http.StatusSeeOther)
	form(func(r *http.Request) { r.Header.Del(token) }).Refused(403, layer.Transport)
	form(func(r *http.Request) { r.Header.Set(token, bob.Request("POST", "/form", nil).Header.Get(token)) }).Refused(403, layer.Transport)
	form(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).Refused(403, layer.Transport)
	form(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }).Refused(403, layer.Transport)
	form(func(r *http.Request) { r.Header.Set("Origin", "https://evil.test") }).Refused(403, layer.Transport)
	form(func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }).Refused(403, layer.Transport)
	// Each defence alone: a good token does not mend a foreign origin, nor the other way round. A program's route asks too.
	thing := alice.Request("POST", "/api/v1/thing", map[string]string{})
	thing.Header.Del(token)
	alice.Do(thing).Refused(403, layer.Transport)
	alice.Post("/api/v1/thing", nil).NoContent()
}
