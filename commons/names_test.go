package commons_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/organization"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// The hostile texts of hostile_test.go as names: of people, organizations, files, browsers, and in what others say of them.

// shared is a ground in the database of all tests.
func shared(t *testing.T, boss *layertest.Caller, w *layertest.W) *ground {
	t.Helper()
	return &ground{t: t, w: w, town: town{boss: boss}, browser: boss.SignIn(boss.Organization()).Browser(), since: time.Now()}
}

func TestNamesOfPeople(t *testing.T) { // SYSTEM N4, I2
	w := layertest.World(t, commons.App)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	o := shared(t, boss, w)
	post := one(bob.Post("/api/v1/posts", kv{"body": "By whom?"}))[0]
	bob.Post("/api/v1/posts/"+post+"/comments", kv{"body": "By me."}).OK()
	name, bio := spot{long: 50, trimmed: true}, spot{long: 500, lines: true}
	for _, s := range hostile {
		called, ok := name.fit(s)
		if !ok {
			bob.Put("/api/v1/me", kv{"display_name": s}).Status(http.StatusUnprocessableEntity)
			continue
		}
		about, _ := bio.fit(s)
		bob.Put("/api/v1/me", kv{"display_name": called, "bio": about}).OK()
		var me account.Profile
		bob.Get("/api/v1/me").OK().JSON(&me)
		var of community.Post
		boss.Get("/api/v1/posts/" + post).OK().JSON(&of)
		if me.DisplayName != called || me.Bio != about || of.Author != called {
			t.Errorf("%q is %q with %q, and the author %q", clip(called), clip(me.DisplayName), clip(me.Bio), clip(of.Author))
		}
		shown := strings.TrimSpace(called) // to readers a page shows no space around a name
		if own, _ := o.page(bob.Browser(), "/profile"); !own[called] || !own[about] {
			t.Errorf("%q and %q are not in their own form", clip(called), clip(about))
		}
		if page := o.first("/posts/" + post); shown != "" && !page[shown] {
			t.Errorf("the page of a post does not show %q", clip(shown))
		}
	}
	for _, s := range []string{`'; --`, `x%`, "é\u0301", "</bdi>", "{{.}}", "𝕊"} {
		eve := w.Member("Acme", layertest.Named(s))
		if own, _ := o.page(eve.Browser(), "/profile"); !own[s] {
			t.Errorf("whom the provider calls %q is not called so", s)
		}
	}
}

// Nobody is called what nobody sees, or what stands in the place of somebody who is gone.
func TestNamesThatAreNone(t *testing.T) { // SYSTEM I2, I8
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	for _, name := range []string{"[Deleted User]", "[deleted user]", "[Deleted\u200b User]", "［Deleted User］", "\u00a0", "\u3164", "\u2800", "\u200b", "\ufeff", "\u00ad\u00a0\u2060"} {
		var p redoubt.Problem
		bob.Put("/api/v1/me", kv{"display_name": name}).Status(http.StatusUnprocessableEntity).JSON(&p)
		if p.Field("display_name") == "" {
			t.Errorf("%q: %+v", name, p)
		}
	}
	bob.Put("/api/v1/me", kv{"display_name": "Deleted User"}).OK()
	bob.Put("/api/v1/me", kv{"display_name": "\u00a0Bob\u00a0"}).OK()
}

// Two names are one if they differ by the case of their letters, or by what nobody sees, and never because one reads as a pattern.
func TestNamesThatAreOne(t *testing.T) { // SYSTEM N4, I2
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme")
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"Plain", "pLAIN", true}, {"É %", "é %", true}, {"'X'", "'x'", true}, {"Ж_", "ж_", true}, {"ＡＢ", "ａｂ", true}, {"Σ\\", "σ\\", true},
		{"Ann", "An\u200bn", true}, {"\u00c5", "A\u030a", true}, {"ﬁn", "fin", true}, {"Ｅve", "Eve", true}, {"a\u3164b", "ab", true}, {"a\u2800b", "ab", true}, {"👍\ufe0f", "👍", true},
		{"a_b", "axb", false}, {"100%", "100 percent", false}, {"%", "anything", false}, {"_", "x", false}, {"[a-z]", "b", false}, {".*", "x", false},
		{`\`, `\\`, false}, {`'`, `''`, false}, {"x", "x'", false}, {"ß", "ss", false}, {"admin", "аdmin", false}, {"(?i)x", "X", false}, {"NULL", "null ", false},
	} {
		bob.Put("/api/v1/me", kv{"display_name": c.one}).OK()
		if got := carol.Put("/api/v1/me", kv{"display_name": strings.TrimSpace(c.other)}).Code == http.StatusConflict; got != (c.same || strings.EqualFold(c.one, strings.TrimSpace(c.other))) {
			t.Errorf("%q and %q are one: %t", c.one, c.other, got)
		}
	}
}

func TestNamesOfOrganizations(t *testing.T) { // SYSTEM N4, I4
	w, b := layertest.World(t, commons.App), &box{}
	boss := w.Administrator("Acme")
	o, p := shared(t, boss, w), w.Parts()
	p.Mail, p.Origin = b, layertest.Origin
	post, err := organization.New(p)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range hostile {
		name, ok := spot{long: 100, trimmed: true}.fit(s)
		if !ok {
			boss.Put("/api/v1/organization", kv{"name": s}).Status(http.StatusUnprocessableEntity)
			continue
		}
		boss.Put("/api/v1/organization", kv{"name": name}).OK()
		var about organization.About
		if boss.Get("/api/v1/organization").OK().JSON(&about); about.Name != name {
			t.Errorf("%q is called %q", clip(name), clip(about.Name))
		}
		for _, path := range []string{"/organization", "/sessions", "/admin/members"} {
			if !o.first(path)[name] {
				t.Errorf("%s does not show %q", path, clip(name))
			}
		}
		if i%4 == 0 {
			if _, err := post.Invite(t.Context(), boss.Principal(), organization.Invite{Email: "bea@acme.test", Role: "guest"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(b.got) < 30 {
		t.Fatalf("only %d mails", len(b.got))
	}
	for _, m := range b.got {
		doc, err := html.Parse(strings.NewReader(m.HTML))
		if err != nil || strings.ContainsFunc(m.Subject, unicode.IsControl) {
			t.Errorf("a mail %q: %v", m.Subject, err)
			continue
		}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "img") {
				t.Errorf("the mail %q has a %s", m.Subject, n.Data)
			}
		}
	}
}

func TestNamesOfFiles(t *testing.T) { // SYSTEM N4, N2
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	o, taken := shared(t, bob, w), 0
	content := layertest.File{Type: "text/plain", Content: []byte("Words.\n")}
	for _, s := range hostile {
		name, ok := spot{long: 120, shape: inFileName}.fit(s)
		if !ok {
			bob.Post("/api/v1/files?name="+url.QueryEscape(s[:min(len(s), 2000)]), content).Refused(http.StatusUnprocessableEntity, layer.Input)
			continue
		}
		id := one(bob.Post("/api/v1/files?name="+url.QueryEscape(name), content))[0]
		post := one(bob.Post("/api/v1/posts", kv{"body": "Look.", "files": []string{id}}))[0]
		var said community.Post
		bob.Get("/api/v1/posts/" + post).OK().JSON(&said)
		_, how, err := mime.ParseMediaType(bob.Get("/files/" + id).OK().Header.Get("Content-Disposition"))
		if err != nil || len(said.Files) != 1 || said.Files[0].Name != how["filename"] || !o.first("/posts/" + post)[how["filename"]] {
			t.Errorf("%q is %+v, and sent as %q, %v", clip(name), said.Files, clip(how["filename"]), err)
		}
		if taken++; how["filename"] != strings.Trim(name, " ") {
			t.Errorf("%q is called %q", name, how["filename"])
		}
	}
	if taken < 90 {
		t.Errorf("only %d names were taken", taken)
	}
}

// A browser says what it is when a session begins, which is kept, for the list of one's sessions.
func TestWhatABrowserCallsItself(t *testing.T) { // SYSTEM N4, I5
	w := layertest.World(t, commons.App)
	erin := w.Member("Acme", layertest.AlsoOf("Globex"))
	admin := w.Admin(t)
	o := shared(t, erin, w)
	for _, s := range share(hostile, 0, 3) {
		page := erin.SignIn("Acme").Browser()
		r := page.Request(http.MethodPost, "/organization", url.Values{"organization_id": {string(w.Organization("Globex"))}})
		r.Header.Set("User-Agent", s)
		page.Do(r).Status(http.StatusSeeOther)
		want := strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return -1
			}
			return c
		}, s)
		var got string
		if err := admin.QueryRow(t.Context(), `select user_agent from identity.session where person_id = $1 and organization_id = $2 order by created_at desc limit 1`,
			erin.Principal().Person(), w.Organization("Globex")).Scan(&got); err != nil || got != want[:min(len(want), 300)] {
			t.Errorf("%q is kept as %q, %v", clip(s), clip(got), err)
		}
		o.page(page.SignIn("Acme").Browser(), "/sessions")
	}
}

// What a directory says comes back to it, and a filter finds that and nothing else.
func TestNamesInADirectory(t *testing.T) { // SYSTEM N4, I7
	w := layertest.World(t, commons.App)
	boss := w.Administrator("Acme")
	exec(t, w.Admin(t), `insert into identity.organization_issuer (organization_id, issuer) values ($1, 'https://sign-on.example.test')`, w.Organization("Acme"))
	var made struct{ Credential string }
	boss.SignIn("Acme").Browser().Post("/api/v1/directories", kv{"name": "Provider"}).JSON(&made)
	ask := func(method, path string, body any) (said map[string]any, status int) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, layertest.Origin+"/scim/v2"+path, bytes.NewReader(text))
		if r.Header.Set("Content-Type", "application/scim+json"); body == nil {
			r.Body, r.ContentLength = http.NoBody, 0
			r.Header.Del("Content-Type")
		}
		r.Header.Set("Authorization", "Bearer "+made.Credential)
		rec := httptest.NewRecorder()
		w.Server.ServeHTTP(rec, r)
		json.Unmarshal(rec.Body.Bytes(), &said)
		return said, rec.Code
	}
	for i, s := range hostile {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			if _, status := ask("POST", "/Users", kv{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": s}); status != http.StatusBadRequest {
				t.Errorf("%q is answered with %d", clip(s), status)
			}
			continue
		}
		if s = strings.TrimSpace(strings.ToValidUTF8(s[:min(len(s), 150)], "")); s == "" {
			continue
		}
		name := fmt.Sprint(s, " ", i)
		user := kv{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name, "externalId": name, "displayName": s,
			"name": kv{"givenName": s, "familyName": s, "formatted": s}, "emails": []kv{{"value": fmt.Sprint(i, "@example.test"), "display": s}}}
		group := kv{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": name, "externalId": name}
		for path, sent := range map[string]kv{"/Users": user, "/Groups": group} {
			got, status := ask("POST", path, sent)
			if status != http.StatusCreated {
				t.Errorf("%s called %q: %d %v", path, clip(name), status, got)
				continue
			}
			again, _ := ask("GET", path+"/"+fmt.Sprint(got["id"]), nil)
			quoted, _ := json.Marshal(sent["externalId"])
			found, status := ask("GET", path+"?filter="+url.QueryEscape("externalId eq "+string(quoted)), nil)
			if status != http.StatusOK || fmt.Sprint(found["totalResults"]) != "1" {
				t.Errorf("%s called %q is found so often: %v (%d)", path, clip(name), found["totalResults"], status)
			}
			for _, member := range []string{"userName", "externalId", "displayName"} {
				if sent[member] != nil && (got[member] != sent[member] || again[member] != sent[member]) {
					t.Errorf("the %s %q of %s is %q, then %q", member, clip(fmt.Sprint(sent[member])), path, got[member], again[member])
				}
			}
			if full, ok := again["name"].(map[string]any); path == "/Users" && (!ok || full["givenName"] != s || full["familyName"] != s || full["formatted"] != s) {
				t.Errorf("%q is called %v", clip(s), again["name"])
			}
		}
	}
	// A filter is a question and no pattern.
	for _, filter := range []string{`externalId eq "%"`, `externalId eq "_"`, `externalId eq "' or '1'='1"`, `externalId eq ".*"`} {
		if found, status := ask("GET", "/Users?filter="+url.QueryEscape(filter), nil); status != http.StatusOK || fmt.Sprint(found["totalResults"]) != "0" {
			t.Errorf("%s finds %v (%d)", filter, found["totalResults"], status)
		}
	}
}

// What a page elsewhere says of itself is stored as the server that asked it does; asking is layer/input/egress's to test.
func TestWhatAPageSaysOfItself(t *testing.T) { // SYSTEM N4, N5
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme")
	o, app := shared(t, bob, w), w.AsApp(t)
	for _, s := range hostile {
		title, ok := spot{long: 200}.fit(s)
		if !ok {
			continue
		}
		about, _ := spot{long: 400}.fit(s)
		site, _ := spot{long: 100}.fit(s)
		address, _ := inAddress(s)
		id := one(bob.Post("/api/v1/posts", kv{"body": "Look there."}))[0]
		err := pgx.BeginFunc(t.Context(), app, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, bob.Session())
			if err == nil {
				_, err = tx.Exec(t.Context(), `insert into commons.post_link (post_id, url, title, description, site) values ($1, $2, $3, $4, $5)`, id, address, title, about, site)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var post community.Post
		if bob.Get("/api/v1/posts/" + id).OK().JSON(&post); post.Link == nil || *post.Link != (community.Link{URL: address, Title: title, Description: about, Site: site}) {
			t.Errorf("%q is %+v", clip(s), post.Link)
		}
		if page := o.first("/posts/" + id); !page[title] || !page[about] || !page[site] {
			t.Errorf("the page of a post does not show all of %q", clip(s))
		}
	}
}

// What is one of a few is never anything else, and a search is no pattern.
func TestClosedListsStayClosed(t *testing.T) { // SYSTEM N4, A5
	w := layertest.World(t, commons.App)
	boss, bob := w.Administrator("Acme"), w.Member("Acme")
	course := one(boss.Post("/api/v1/courses", kv{"title": "Course"}))[0]
	page := boss.SignIn("Acme").Browser()
	trust := says["account.TrustMachine"].body("")
	for _, s := range hostile {
		for _, c := range []struct {
			method, path, name string
			body               kv
		}{
			{"PUT", "/api/v1/courses/" + course + "/state", "a course's state", kv{"state": s}},
			{"PUT", "/api/v1/members/" + profile(bob)[0] + "/role", "a role", kv{"role": s}},
			{"PUT", "/api/v1/members/" + profile(bob)[0] + "/role", "an own role", kv{"role": "member", "own_role_id": s}},
			{"POST", "/api/v1/invitations", "an invitation's role", kv{"email": "a@acme.test", "role": s}},
			{"POST", "/api/v1/roles", "a role's scope", kv{"name": "Role", "scopes": []string{s}}},
			{"POST", "/api/v1/api-keys", "a key's scope", kv{"name": "Key", "scopes": []string{s}, "expires_in_days": 1}},
			{"POST", "/api/v1/machines", "a machine's issuer", with(trust, "issuer", s)},
			{"POST", "/api/v1/machines", "a machine's scope", with(trust, "scopes", []string{s})},
			{"POST", "/api/v1/posts", "a file of a post", kv{"body": "x", "files": []string{s}}},
		} {
			if resp := page.Do(page.Request(c.method, c.path, c.body)); resp.Code < 400 || resp.Code >= 500 {
				t.Errorf("%q as %s: got %d", clip(s), c.name, resp.Code)
			}
		}
		var trail account.Trail
		if resp := boss.Get("/api/v1/audit?action=" + url.QueryEscape(s)); resp.Code == http.StatusOK {
			if resp.JSON(&trail); len(trail.Events) > 0 {
				t.Errorf("a search for %q finds %s", clip(s), trail.Events[0].Action)
			}
		} else if resp.Code != http.StatusUnprocessableEntity && resp.Code != http.StatusBadRequest {
			t.Errorf("a search for %q: got %d", clip(s), resp.Code)
		}
		for _, path := range []string{"/api/v1/posts?cursor=", "/api/v1/posts/", "/files/", "/api/v1/audit?cursor="} {
			if resp := boss.Get(path + url.PathEscape(s)); resp.Code >= 500 || resp.Code < 300 && s != "1" {
				t.Errorf("%s%q: got %d", path, clip(s), resp.Code)
			}
		}
	}
}

func with(body kv, name string, value any) kv {
	other := kv{}
	for k, v := range body {
		other[k] = v
	}
	other[name] = value
	return other
}
