package commons_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// The attacks of this file are sent to every route that there is, by an administrator, whom no gate stops: what is left to refuse
// them is what they are tests of. Beside each stands its legitimate twin, which passes, so that the attack is seen to be well-formed.

// everything is a fingerprint of all that the organizations of a cast have.
func (c *cast) everything(conn *pgx.Conn) string {
	c.t.Helper()
	h := sha256.New()
	for _, tab := range tables(c.t, conn) {
		var text string
		if err := conn.QueryRow(c.t.Context(), `select coalesce(string_agg(x::text, e'\n' order by x::text), '') from `+tab.Name+` x where organization_id = any ($1::uuid[])`,
			[]string{string(c.w.Organization("Acme")), string(c.w.Organization("Globex"))}).Scan(&text); err != nil {
			c.t.Fatal(err)
		}
		fmt.Fprintln(h, tab.Name, text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unchanged holds the database to what it was before attack.
func (m *matrix) unchanged(t *testing.T, attack func()) {
	t.Helper()
	conn := m.w.Admin(t)
	for _, r := range m.w.Routes() {
		if states := statesOf(t, r); len(states) > 0 {
			m.ids(r, states[0]) // made now, so that nothing is made meanwhile
		}
	}
	m.caller("administrator", redoubt.Route{}).Request(http.MethodPost, "/", nil) // signed in, with a page's token
	before := m.everything(conn)
	attack()
	if m.everything(conn) != before {
		t.Error("something has changed")
	}
}

// passes are the twins: each route as it is meant to be asked.
func (m *matrix) passes(t *testing.T, which func(redoubt.Route) bool) {
	t.Helper()
	for _, r := range m.w.Routes() {
		if which(r) {
			resp := m.ask("administrator", r, statesOf(t, r)[0])
			if by, _ := resp.RefusedBy(); by == layer.Input || by == layer.GateRoute {
				t.Errorf("%s: the honest twin is refused: %s", r.Pattern, cell(resp))
			}
		}
	}
}

// coveted are members that some application somewhere has let its users say.
var coveted = []string{
	"organization_id", "organization", "tenant_id", "author_id", "author_name", "buyer_id", "profile_id", "person_id", "user_id", "owner_id",
	"id", "role", "roles", "groups", "scopes", "administrator", "is_admin", "active", "state", "status", "price", "price_cents", "unit_cents",
	"total_cents", "created_at", "edited_at", "deleted_at", "expires_at", "likes", "verified", "__proto__", "constructor",
}

// asked is r as an administrator would send it, with more in its body.
func (m *matrix) asked(t *testing.T, r redoubt.Route, more kv) *layertest.Response {
	t.Helper()
	c := m.caller("administrator", r)
	ids := m.ids(r, statesOf(t, r)[0])
	var body any
	switch said := bodyOf(t, r, ids).(type) {
	case url.Values:
		form := maps.Clone(said)
		for name, value := range more {
			form.Set(name, fmt.Sprint(value))
		}
		body = form
	case layertest.Multipart:
		said.Fields = maps.Clone(said.Fields)
		for name, value := range more {
			said.Fields.Set(name, fmt.Sprint(value))
		}
		body = said
	case kv:
		body = maps.Clone(said)
		maps.Copy(body.(kv), more)
	default:
		body = more
	}
	req := c.Request(r.Method(), pathOf(r, ids), body)
	req.Header.Set("Accept", "application/json") // what is wrong, field by field, also with a form
	return c.Do(req)
}

// reads tells the routes whose body input reads for people and their programs. What providers and machines post has protocols of its
// own, and tables of its own in layer/identity.
func reads(r redoubt.Route) bool {
	return r.Takes() != input.ModeNone && r.Takes() != input.ModeContent && r.Pattern != "POST /csp-reports" && !r.ForPrograms() && !provisions(r)
}

func TestNobodySaysWhatIsNotTheirsToSay(t *testing.T) { // SYSTEM A5, N1
	m := newMatrix(t)
	tried := 0
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			if !reads(r) {
				continue
			}
			undeclared, declared := kv{}, values(t, r)
			for i, name := range coveted {
				if _, ok := declared[name]; !ok {
					undeclared[name] = []any{nowhere, 1, true}[i%3]
				}
			}
			tried += len(undeclared)
			for _, name := range []string{"organization_id", "author_id", "role"} { // each by itself
				if value, ok := undeclared[name]; ok && cell(m.asked(t, r, kv{name: value})) != "✘ 422 input" {
					t.Errorf("%s takes %q", r.Pattern, name)
				}
			}
			var p redoubt.Problem
			m.asked(t, r, undeclared).Refused(http.StatusUnprocessableEntity, layer.Input).JSON(&p)
			for name := range undeclared {
				if p.Field(name) == "" {
					t.Errorf("%s: nobody objects to %q", r.Pattern, name)
				}
			}
		}
	})
	if tried < 500 {
		t.Errorf("only %d members were tried", tried)
	}
	m.passes(t, reads)
}

func TestABodyIsReadInOneWay(t *testing.T) { // SYSTEM A5, N1
	m := newMatrix(t)
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			if !reads(r) || len(values(t, r)) == 0 {
				continue
			}
			if said := says[r.In().String()].body(nowhere); len(said) > 0 {
				m.twice(t, r, slices.Min(slices.Collect(maps.Keys(said))))
			}
		}
	})
	m.passes(t, reads)
}

// twice sends r bodies that two readers would understand differently. The member called name is one of them.
func (m *matrix) twice(t *testing.T, r redoubt.Route, name string) {
	t.Helper()
	ids := m.ids(r, statesOf(t, r)[0])
	good, kind := "", "application/json"
	switch said := bodyOf(t, r, ids).(type) {
	case layertest.Multipart:
		m.twiceInParts(t, r, name)
		return
	case url.Values:
		good, kind = said.Encode(), "application/x-www-form-urlencoded"
	default:
		text, _ := json.Marshal(said)
		good = string(text)
	}
	attacks := []struct{ name, body, kind string }{
		{"a member twice", strings.Replace(good, "{", `{"`+name+`": "x", `, 1), kind},
		{"a member twice, once with an escape in its name", strings.Replace(good, "{", fmt.Sprintf(`{"\u%04x%s": "x", `, name[0], name[1:]), 1), kind},
		{"a member in capitals", strings.Replace(good, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1), kind},
		{"a member in capitals beside it", strings.Replace(good, "{", `{"`+strings.ToUpper(name)+`": "x", `, 1), kind},
		{"a second document", good + good, kind},
		{"a list of one", "[" + good + "]", kind},
		{"a comment", good + " // x", kind},
		{"a byte order mark", "\ufeff" + good, kind},
		{"another encoding", good, kind + "; charset=utf-16"},
		{"as plain text, which a foreign form can send", good, "text/plain"},
		{"as a form", good, "application/x-www-form-urlencoded"},
		{"as nothing", good, ""},
	}
	if r.Takes() == input.ModeForm {
		attacks = []struct{ name, body, kind string }{
			{"a member twice", name + "=x&" + good, kind},
			{"a member twice, once with an escape in its name", fmt.Sprintf("%%%02x%s=x&%s", name[0], name[1:], good), kind},
			{"a member in capitals beside it", strings.ToUpper(name) + "=x&" + good, kind},
			{"a member as an element", name + "[]=x&" + good, kind},
			{"a member of a member", name + "[x]=x&" + good, kind},
			{"another method", "_method=DELETE&" + good, kind},
			{"a semicolon between", good + ";x=y", kind},
			{"another encoding", good, kind + "; charset=utf-16"},
			{"as JSON", `{"` + name + `": "x"}`, "application/json"},
			{"as nothing", good, ""},
		}
		if list := values(t, r)[name]; list.Items.Format != "" || strings.Count(good, name+"=") > 1 {
			attacks = attacks[2:] // a list is sent so
		}
	}
	c := m.caller("administrator", r)
	for _, a := range attacks {
		req := c.Request(r.Method(), pathOf(r, ids), []byte(a.body))
		if req.Header.Set("Content-Type", a.kind); a.kind == "" {
			req.Header.Del("Content-Type")
		}
		if resp := c.Do(req); cell(resp)[:len("✘")] != "✘" || !strings.HasSuffix(cell(resp), string(layer.Input)) {
			t.Errorf("%s: %s: got %s", r.Pattern, a.name, cell(resp))
		}
	}
}

// twiceInParts is twice for a form with files.
func (m *matrix) twiceInParts(t *testing.T, r redoubt.Route, name string) {
	t.Helper()
	ids := m.ids(r, statesOf(t, r)[0])
	file := withFile[r.In().String()]
	part := func(disposition, value string) string {
		return "--x\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
	}
	text := part(`name="`+name+`"`, "x")
	c := m.caller("administrator", r)
	for what, a := range map[string]struct{ body, kind string }{
		"a member twice":                               {text + text, ""},
		"a member in capitals beside it":               {text + part(`name="`+strings.ToUpper(name)+`"`, "x"), ""},
		"a member as a file":                           {part(`name="`+name+`"; filename="x"`, "x"), ""},
		"a file as text":                               {text + part(`name="`+file+`"`, "x"), ""},
		"a file under another name":                    {text + part(`name="other"; filename="x"`, "x"), ""},
		"a name twice in one part":                     {part(`name="`+name+`"; name="other"`, "x"), ""},
		"another method":                               {text + part(`name="_method"`, "DELETE"), ""},
		"parts within a part":                          {text + "--x\r\nContent-Disposition: form-data; name=\"" + file + "\"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n", ""},
		"without an end":                               {strings.TrimSuffix(text, "\r\n"), "unended"},
		"another boundary":                             {text, "multipart/form-data; boundary=y"},
		"as a form without parts":                      {name + "=x", "application/x-www-form-urlencoded"},
		"as plain text, which a foreign form can send": {text, "text/plain"},
		"as JSON":                                      {`{"` + name + `": "x"}`, "application/json"},
	} {
		body, kind := a.body+"--x--\r\n", a.kind
		if kind == "" {
			kind = "multipart/form-data; boundary=x"
		}
		if kind == "unended" {
			body, kind = a.body, "multipart/form-data; boundary=x"
		}
		resp := c.Do(c.Request(r.Method(), pathOf(r, ids), layertest.File{Type: kind, Content: []byte(body)}))
		if got := cell(resp); !strings.HasPrefix(got, "✘") || !strings.HasSuffix(got, string(layer.Input)) {
			t.Errorf("%s: %s: got %s", r.Pattern, what, got)
		}
	}
}

// misspelt are other ways to write a good id, and ids of nobody's that somebody might guess. Capitals are not among them: a UUID is
// read whatever its case (RFC 9562 section 4), and handed on in small letters.
func misspelt(id string) map[string]string {
	step := func(by int) string {
		last := id[len(id)-1]
		return id[:len(id)-1] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", last)+16+by)%16])
	}
	return map[string]string{
		"the one before": step(-1), "the one after": step(1),
		"nil": "00000000-0000-0000-0000-000000000000", "max": "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"in braces": "%7B" + id + "%7D", "as a URN": "urn:uuid:" + id, "without hyphens": strings.ReplaceAll(id, "-", ""),
		"with a space before": "%20" + id, "with a space behind": id + "%20", "with a line end": id + "%0A", "with a NUL": id + "%00",
		"with parameters": id + ";x=1", "with an extension": id + ".json", "two with a comma": id + "," + nowhere, "half of one": id[:18],
		"zero": "0", "one": "1", "minus one": "-1", "null": "null", "undefined": "undefined", "everything": "*", "a wildcard": "%25", "an underscore": "_",
		"one's own": "me", "a quote": "'", "some SQL": "'%20or%201=1--", "very long": strings.Repeat(id, 100), "overlong UTF-8": "%c0%ae%c0%ae",
		"dots": "..%2f..", "a brace": "{id}", "nothing": "",
	}
}

func TestAnIdHasOneSpelling(t *testing.T) { // SYSTEM A5
	m := newMatrix(t)
	hasID := func(r redoubt.Route) bool { return strings.Contains(r.Path(), "{id}") && !provisions(r) }
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			if !hasID(r) || slices.Contains(indifferent, r.Pattern) {
				continue
			}
			ids := m.ids(r, statesOf(t, r)[0])
			for name, id := range misspelt(ids[0]) {
				c := m.caller("administrator", r)
				req := c.Request(r.Method(), "/", bodyOf(t, r, ids))
				req.URL = &url.URL{Opaque: "x"}
				raw := strings.Replace(r.Path(), "{id}", id, 1)
				u, err := url.ParseRequestURI(raw)
				if err != nil {
					continue // net/http would answer 400
				}
				req.URL, req.RequestURI = u, raw
				if resp := c.Do(req); resp.Code != http.StatusNotFound && resp.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s: an id that is %s: got %s", r.Pattern, name, cell(resp))
				}
			}
		}
	})
	m.passes(t, hasID)
}

func TestAnIdIsOfOneKind(t *testing.T) { // SYSTEM A5
	m := newMatrix(t)
	named := func(r redoubt.Route) bool {
		return aboutOf(r) != "" && aboutOf(r) != "assets" && !provisions(r) && r.Pattern != "POST /organization/transfer"
	} // an owner's alone: organization_test.go
	kinds := map[string]string{}
	for _, r := range m.w.Routes() {
		if named(r) {
			ids := m.ids(r, statesOf(t, r)[0])
			kinds[path.Base(aboutOf(r))] = ids[len(ids)-1] // of "courses/lessons" a lesson's
		}
	}
	delete(kinds, "invitations by token") // which is a secret and no id
	kinds["organizations"] = string(m.w.Organization("Acme"))
	same := map[string]string{"keys": "api-keys", "api-keys": "keys", "directory": "directories", "directories": "directory"}
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			noun := path.Base(aboutOf(r))
			if !named(r) || slices.Contains(indifferent, r.Pattern) {
				continue
			}
			for kind, id := range kinds {
				if kind == noun || same[kind] == noun {
					continue
				}
				ids := slices.Clone(m.ids(r, statesOf(t, r)[0]))
				ids[len(ids)-1] = id
				c := m.caller("administrator", r)
				if resp := c.Do(request(t, c, r, ids)); resp.Code != http.StatusNotFound {
					t.Errorf("%s: an id of %s: got %s", r.Pattern, kind, cell(resp))
				}
			}
		}
	})
	m.passes(t, named)
}

// Ids in bodies that are no ids, or more than one.
func TestAnIdInABodyIsOneId(t *testing.T) { // SYSTEM A5, N1
	m := newMatrix(t)
	tried := 0
	m.unchanged(t, func() {
		for _, r := range m.w.Routes() {
			for name, v := range values(t, r) {
				if v.Format != "uuid" {
					continue
				}
				ids := m.ids(r, statesOf(t, r)[0])
				id := ids[len(ids)-1]
				attacks := map[string]any{
					"a list": []string{id}, "a list with another's": []string{id, nowhere}, "an object": kv{"id": id}, "null": nil, "a number": 1, "a wildcard": "%",
					"a URN": "urn:uuid:" + id, "in braces": "{" + id + "}", "with a space": id + " ", "two with a comma": id + "," + id, "nothing": "",
				}
				for what, value := range attacks {
					tried++
					if _, ok := value.(string); r.Takes() == input.ModeForm && !ok {
						continue
					}
					if resp := m.asked(t, r, kv{name: value}); resp.Code < 400 {
						t.Errorf("%s: %s as %s: got %s", r.Pattern, name, what, cell(resp))
					}
				}
			}
		}
	})
	if tried == 0 {
		t.Error("no route takes an id in its body")
	}
	m.passes(t, func(r redoubt.Route) bool { return says[r.In().String()].about != "" })
}

// A cursor says where to go on, and gives no right: whatever it holds, the rows are the caller's.
func TestACursorGivesNoRight(t *testing.T) { // SYSTEM A5, D1
	w, acme, globex := newTowns(t)
	tried := 0
	for _, r := range w.Routes() {
		cursored := slices.ContainsFunc(reflect.VisibleFields(r.In()), func(f reflect.StructField) bool { return f.Type == reflect.TypeFor[redoubt.Cursor]() })
		if !cursored {
			continue
		}
		path := pathOf(r, []string{globex.ids[aboutOf(r)]})
		ask := func(cursor string) *layertest.Response {
			c := globex.member
			if scope := scopeOf(r); scope != "" && !c.Principal().Has(scope) || r.Access == redoubt.Administrators {
				c = globex.boss
			}
			if !strings.HasPrefix(path, "/api/") {
				c = c.Browser()
			}
			return c.Do(c.Request(http.MethodGet, path+"?limit=100&cursor="+url.QueryEscape(cursor), nil))
		}
		for name, id := range maps.All(acme.ids) {
			for _, at := range []string{"0", "1", "999999999999999999"} {
				tried++
				if body := string(ask(at + "-" + id).OK().Body); strings.Contains(body, "Acme") || strings.Contains(body, string(w.Organization("Acme"))) {
					t.Errorf("%s: with a cursor at one of Acme's %s it shows something of theirs", r.Pattern, name)
				}
			}
		}
		for what, cursor := range map[string]string{"SQL": "1-' or true--", "two": "1-" + nowhere + ",1-" + nowhere, "a negative time": "-1-" + nowhere, "capitals": "1-ABCDEF00-0000-4000-8000-000000000000"} {
			if resp := ask(cursor); cell(resp) != "✘ 422 input" {
				t.Errorf("%s: a cursor that is %s: got %s", r.Pattern, what, cell(resp))
			}
		}
		last := "999999999999999999-ffffffff-ffff-ffff-ffff-ffffffffffff"
		if name := "Globex"; aboutOf(r) == "" && !strings.Contains(r.Path(), "members") && !strings.Contains(string(ask(last).OK().Body), name) {
			t.Errorf("%s: the honest twin, a cursor before everything, shows nothing of theirs", r.Pattern)
		}
	}
	if tried < 50 {
		t.Errorf("only %d cursors were tried", tried)
	}
}

// What is beneath a post is that post's: its comments are not found under another, nor by an id of theirs.
func TestWhatIsNestedIsOfItsParent(t *testing.T) { // SYSTEM A5
	_, acme, globex := newTowns(t)
	empty := one(acme.member.Post("/api/v1/posts", kv{"body": "Nobody has said anything."}))[0]
	comments := func(c *layertest.Caller, post string) string {
		return string(c.Get("/api/v1/posts/" + post + "/comments").OK().Body)
	}
	if got := comments(acme.member, acme.ids["posts"]); !strings.Contains(got, acme.ids["comments"]) {
		t.Errorf("the honest twin, the post itself, has %s", got)
	}
	if got := comments(acme.member, empty); strings.Contains(got, acme.ids["comments"]) {
		t.Error("a comment is shown beneath a post that it is not about")
	}
	for name, attack := range map[string]func() *layertest.Response{
		"the comments of another organization's post": func() *layertest.Response { return globex.boss.Get("/api/v1/posts/" + acme.ids["posts"] + "/comments") },
		"the comments of a comment": func() *layertest.Response {
			return acme.boss.Get("/api/v1/posts/" + acme.ids["comments"] + "/comments")
		},
		"a comment on another organization's post": func() *layertest.Response {
			return globex.boss.Post("/api/v1/posts/"+acme.ids["posts"]+"/comments", kv{"body": "x"})
		},
		"a comment on a comment": func() *layertest.Response {
			return acme.boss.Post("/api/v1/posts/"+acme.ids["comments"]+"/comments", kv{"body": "x"})
		},
		"another organization's comment":        func() *layertest.Response { return globex.boss.Delete("/api/v1/comments/" + acme.ids["comments"]) },
		"a post as a comment":                   func() *layertest.Response { return acme.boss.Delete("/api/v1/comments/" + acme.ids["posts"]) },
		"a like of another organization's post": func() *layertest.Response { return globex.boss.Put("/api/v1/posts/"+acme.ids["posts"]+"/like", nil) },
	} {
		if resp := attack(); cell(resp) != "404 rls" {
			t.Errorf("%s: got %s", name, cell(resp))
		}
	}
	acme.boss.Delete("/api/v1/comments/" + acme.ids["comments"]).NoContent()
	if got := comments(acme.member, acme.ids["posts"]); strings.Contains(got, acme.ids["comments"]) {
		t.Errorf("the comment is still there: %s", got)
	}
}
