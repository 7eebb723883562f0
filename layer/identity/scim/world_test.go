package scim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// issuer is the one of a world's people.
const issuer = "https://sign-on.example.test"

type nothing struct{}

// app is an application with one route for members, one for keys, and nothing else.
var app = redoubt.App{
	Name: "Test", Version: "1",
	Schema: []migrate.Line{{Name: "scopes", Application: true, Files: fstest.MapFS{"0001_scopes.sql": {Data: []byte(`
SELECT redoubt.allow('member', 'keys:write', 'posts:read');
SELECT redoubt.allow('owner', 'keys:write', 'posts:read', 'roles:write');
SELECT redoubt.allow('admin', 'keys:write', 'posts:read');
SELECT redoubt.allow('administrator', 'keys:write', 'posts:read', 'members:read', 'members:write', 'members:erase', 'roles:write', 'endpoints:write', 'scim:manage');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"keys:write", "posts:read"}, Administrator: []string{"members:read", "members:write", "members:erase", "roles:write", "endpoints:write", "scim:manage"}},
	Start: func(redoubt.Parts) (redoubt.Routes, error) {
		return redoubt.Routes{Pages: plain{}, Routes: []redoubt.Route{
			redoubt.JSON("GET /api/v1/posts", redoubt.Scope("posts:read"), func(context.Context, layer.Principal, nothing) (nothing, error) { return nothing{}, nil }),
		}}, nil
	},
}

type plain struct{}

func (plain) Render(w io.Writer, _ redoubt.Frame, v redoubt.View) error {
	_, err := fmt.Fprint(w, v.Title)
	return err
}

// A world is an application that providers keep the users of.
type world struct{ *layertest.W }

func newWorld(t *testing.T) world {
	t.Helper()
	return world{layertest.World(t, app)}
}

// A provider keeps the users of one organization.
type provider struct {
	t          *testing.T
	w          world
	org        string
	credential string
	endpoint   string
	boss       *layertest.Caller
}

// provider connects one to org, which believes the issuer of the world's people.
func (w world) provider(t *testing.T, org string) *provider {
	t.Helper()
	boss := w.Administrator(org)
	w.exec(t, `insert into identity.organization_issuer (organization_id, issuer) values ($1, $2) on conflict do nothing`, w.Organization(org), issuer)
	p := &provider{t: t, w: w, org: org, boss: boss}
	p.credential, p.endpoint = w.endpoint(t, boss, "scim:manage")
	return p
}

func (w world) endpoint(t *testing.T, boss *layertest.Caller, scopes ...string) (credential, id string) {
	t.Helper()
	made, err := action.Do(t.Context(), w.DB, boss.Principal(), "endpoints:write", func(tx *action.Tx) (identity.Endpoint, error) {
		secret, e, err := w.Identity.AddEndpoint(tx.Tx, boss.Principal(), "provisioning", scopes)
		credential = secret
		return e, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return credential, made.ID
}

func (w world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.Admin(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func scan[T any](t *testing.T, w world, sql string, args ...any) (v T) {
	t.Helper()
	if err := w.Admin(t).QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// signIn is what happens when somebody comes from the provider.
func (p *provider) signIn(subject, email string, groups ...string) (layer.Principal, error) {
	org := p.w.Organization(p.org)
	_, who, err := p.w.Identity.InsecureSignIn(p.t.Context(), signon.Claims{Issuer: issuer, Subject: subject, Email: email, EmailVerified: email != "", Name: "As the provider says", Groups: groups}, org)
	return who, err
}

// An answer is what a provider is told.
type answer struct {
	t       *testing.T
	asked   string
	status  int
	header  http.Header
	body    []byte
	members map[string]any
}

// ask sends a request as providers do. A string is a body as it is.
func (p *provider) ask(method, path string, body any, headers ...string) *answer {
	p.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			p.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(p.t.Context(), method, layertest.Origin+"/scim/v2"+path, content)
	r.Header.Set("Authorization", "Bearer "+p.credential)
	if body != nil {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	p.w.Server.ServeHTTP(rec, r)
	a := &answer{t: p.t, asked: method + " " + path, status: rec.Code, header: rec.Result().Header, body: rec.Body.Bytes()}
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &a.members); err != nil {
			p.t.Fatalf("%s: %d with no JSON: %s", a.asked, a.status, a.body)
		}
	}
	return a
}

// is checks the status.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d: %s", a.asked, a.status, status, a.body)
	}
	if len(a.body) > 0 && a.header.Get("Content-Type") != "application/scim+json" {
		a.t.Errorf("%s: sent as %s", a.asked, a.header.Get("Content-Type"))
	}
	return a
}

// fails checks a refusal's form (RFC 7644 section 3.12).
func (a *answer) fails(status int, scimType string) *answer {
	a.t.Helper()
	a.is(status)
	if a.text("status") != fmt.Sprint(status) || a.text("scimType") != scimType || a.text("schemas.0") != "urn:ietf:params:scim:api:messages:2.0:Error" {
		a.t.Errorf("%s: want scimType %q: %s", a.asked, scimType, a.body)
	}
	return a
}

// at finds a value by its path: "emails.0.value"; nil for none.
func (a *answer) at(path string) any {
	var v any = a.members
	for step := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (a *answer) text(path string) string { s, _ := a.at(path).(string); return s }

func (a *answer) id() string { return a.text("id") }

// says checks values by their paths.
func (a *answer) says(want map[string]any) *answer {
	a.t.Helper()
	for path, v := range want {
		if got := a.at(path); got != v {
			a.t.Errorf("%s: %s is %v, want %v: %s", a.asked, path, got, v, a.body)
		}
	}
	return a
}

type kv = map[string]any

const (
	userURN  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"
	patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

func aUser(name, subject string) kv {
	u := kv{"schemas": []string{userURN}, "userName": name, "displayName": "Somebody", "emails": []kv{{"value": name, "type": "work", "primary": true}}}
	if subject != "" {
		u["externalId"] = subject
	}
	return u
}

func patch(ops ...kv) kv { return kv{"schemas": []string{patchURN}, "Operations": ops} }

// add announces a user.
func (p *provider) add(name, subject string) string {
	p.t.Helper()
	return p.ask("POST", "/Users", aUser(name, subject)).is(http.StatusCreated).id()
}

// member announces somebody and has them sign in.
func (p *provider) member(subject string) (id string, who layer.Principal) {
	p.t.Helper()
	id = p.add(subject+"@example.test", subject)
	who, err := p.signIn(subject, "")
	if err != nil {
		p.t.Fatal(err)
	}
	return id, who
}

func (p *provider) group(name string, members ...string) string {
	p.t.Helper()
	list := []kv{}
	for _, id := range members {
		list = append(list, kv{"value": id})
	}
	return p.ask("POST", "/Groups", kv{"schemas": []string{groupURN}, "displayName": name, "members": list}).is(http.StatusCreated).id()
}
