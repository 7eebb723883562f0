package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

const nowhere = "00000000-0000-4000-8000-000000000000"

// Everything that names a user or a group, as whoever has no business with it sends it.
func everyRequest(user, group string) [][3]any {
	one := patch(kv{"op": "replace", "path": "displayName", "value": "x"})
	return [][3]any{
		{"GET", "/Users/" + user, nil}, {"PUT", "/Users/" + user, aUser("x@example.test", "")}, {"PATCH", "/Users/" + user, one}, {"DELETE", "/Users/" + user, nil},
		{"GET", "/Groups/" + group, nil}, {"PUT", "/Groups/" + group, kv{"schemas": []string{groupURN}, "displayName": "x"}}, {"PATCH", "/Groups/" + group, one}, {"DELETE", "/Groups/" + group, nil},
	}
}

func TestAnotherOrganizationIsNotThere(t *testing.T) { // SYSTEM A5, D1
	w := newWorld(t)
	acme, globex := w.provider(t, "Acme"), w.provider(t, "Globex")
	user, member := acme.member("ada-acme")
	announced := acme.add("soon@example.test", "soon")
	group := acme.group("Readers", user)
	for _, id := range []string{user, announced, string(member.Profile()), nowhere, "x", strings.ToUpper(user), user + "%00", "..%2f" + user} {
		for _, r := range everyRequest(id, group) {
			globex.ask(r[0].(string), r[1].(string), r[2]).fails(http.StatusNotFound, "")
		}
	}
	globex.ask("GET", "/Users?filter="+url.QueryEscape(`id eq "`+user+`" or userName sw "ada"`), nil).is(http.StatusOK).says(kv{"totalResults": 0.0})
	globex.ask("GET", "/Users", nil).is(http.StatusOK).says(kv{"totalResults": 1.0}) // its administrator
	mine := globex.group("Theirs")
	add := patch(kv{"op": "add", "path": "members", "value": []kv{{"value": user}}})
	globex.ask("PATCH", "/Groups/"+mine, add).fails(http.StatusBadRequest, "invalidValue")
	globex.ask("PUT", "/Groups/"+mine, kv{"schemas": []string{groupURN}, "displayName": "Theirs", "members": []kv{{"value": user}, {"value": announced}}}).fails(http.StatusBadRequest, "invalidValue")
	globex.ask("PATCH", "/Groups/"+mine, patch(kv{"op": "remove", "path": `members[value eq "` + user + `"]`})).is(http.StatusNoContent) // nobody is removed from it
	acme.ask("GET", "/Groups/"+group, nil).is(http.StatusOK).says(kv{"members.0.value": user})
	acme.ask("GET", "/Users/"+user, nil).is(http.StatusOK).says(kv{"displayName": "Somebody"})
	globex.add("ada-acme@example.test", "ada-acme") // a name is one organization's own
}

func TestOnlyAnEndpointMayProvision(t *testing.T) { // SYSTEM A1, A3, W1
	w := newWorld(t)
	p := w.provider(t, "Acme")
	user := p.add("ada@example.test", "a1")
	key := p.boss.APIKey()
	other, _ := w.endpoint(t, p.boss, "posts:read")
	cases := []struct {
		name, credential string
		status           int
	}{
		{"no credential of ours", "x", http.StatusUnauthorized},
		{"one made up", "rdw_" + strings.Repeat("a", 38), http.StatusUnauthorized},
		{"an administrator's API key, which has the scope", key, http.StatusUnauthorized},
		{"an administrator's session", p.boss.Session(), http.StatusUnauthorized},
		{"an endpoint's that lacks the scope", other, http.StatusForbidden},
		{"its own with a letter more", p.credential + "a", http.StatusUnauthorized},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			as := *p
			as.t, as.credential = t, c.credential
			for _, r := range append(everyRequest(user, nowhere), [3]any{"GET", "/Users", nil}, [3]any{"POST", "/Users", aUser("y@example.test", "")}, [3]any{"GET", "/Schemas", nil}) {
				as.ask(r[0].(string), r[1].(string), r[2]).fails(c.status, "")
			}
		})
	}
	t.Run("a browser's cookie beside none", func(t *testing.T) {
		r := p.boss.Browser().Request("GET", "/scim/v2/Users", nil)
		p.boss.Browser().Do(r).Status(http.StatusUnauthorized)
	})
	t.Run("and the endpoint's credential opens nothing else", func(t *testing.T) {
		r := w.Stranger().Request("GET", "/api/v1/posts", nil)
		r.Header.Set("Authorization", "Bearer "+p.credential)
		w.Stranger().Do(r).Status(http.StatusUnauthorized)
	})
	t.Run("nobody", func(t *testing.T) {
		w.Stranger().Do(w.Stranger().Request("GET", "/scim/v2/Users", nil)).Status(http.StatusUnauthorized)
	})
	t.Run("two credentials", func(t *testing.T) {
		r := w.Stranger().Request("GET", "/scim/v2/Users", nil)
		r.Header["Authorization"] = []string{"Bearer " + p.credential, "Bearer " + p.credential}
		w.Stranger().Do(r).Status(http.StatusUnauthorized)
	})
	t.Run("one that was revoked", func(t *testing.T) {
		p.ask("GET", "/Users/"+user, nil).is(http.StatusOK)
		if _, err := action.Do(t.Context(), w.DB, p.boss.Principal(), "endpoints:write", func(tx *action.Tx) (bool, error) { return true, identity.RevokeEndpoint(tx.Tx, p.endpoint) }); err != nil {
			t.Fatal(err)
		}
		p.ask("GET", "/Users/"+user, nil).fails(http.StatusUnauthorized, "")
	})
	refused := scan[int](t, w, `select count(*) from audit.log where action = 'scim.refused' and category = 'security' and entity_id = 'forbidden' and organization_id = $1`, w.Organization("Acme"))
	if refused == 0 {
		t.Error("the audit trail knows of no refusal")
	}
}

// The functions themselves, with the password of each role and a living credential.
func TestNobodyElseReachesTheFunctions(t *testing.T) { // SYSTEM D2, D3
	w := newWorld(t)
	p := w.provider(t, "Acme")
	credentials := map[string]string{"redoubt_app": p.boss.Session(), "redoubt_webhook": p.credential, "redoubt_identity": "", "redoubt_worker": ""}
	calls := []string{`select redoubt.scim_users(null, null, null, null, null, 0, 10)`, `select redoubt.scim_put_user(null, 'x', null, true, '', '', '', '', '[]')`, `select redoubt.scim_delete_user(gen_random_uuid())`,
		`select redoubt.scim_groups(null, null, null, null, 0, 10)`, `select redoubt.scim_change_members(gen_random_uuid(), '{}', '{}', true)`, `select redoubt.scim_put_group(null, 'x', null)`}
	inner := []string{`select identity.scim_people(gen_random_uuid())`, `select identity.scim_give_roles(gen_random_uuid(), '{}')`, `select identity.scim_set_active(gen_random_uuid(), gen_random_uuid(), true)`,
		`select * from identity.scim_user`, `update identity.membership set role = 'owner'`, `select redoubt.set_member_active(gen_random_uuid(), true)`, `select redoubt.erase_member(gen_random_uuid())`,
		`select identity.scim_claim('x', 'x', 'x', true, '')`}
	for role, credential := range credentials {
		conn := w.AsRole(t, role)
		try := func(sql string, may bool) {
			t.Helper()
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(t.Context())
			if credential != "" {
				if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, credential); err != nil {
					t.Fatalf("%s: %v", role, err)
				}
			}
			if _, err := tx.Exec(t.Context(), sql); (err == nil) != may {
				t.Errorf("%s as %s: %v", sql, role, err)
			}
		}
		for _, sql := range calls {
			try(sql, role == "redoubt_webhook" && !strings.Contains(sql, "change_members"))
		}
		for _, sql := range inner {
			ofApp := role == "redoubt_app" && strings.Contains(sql, "redoubt.")
			try(sql, ofApp || role == "redoubt_identity" && strings.Contains(sql, "scim_claim"))
		}
	}
}

func TestNothingThatWasSentMakesAnAdministrator(t *testing.T) { // SYSTEM I3, A5
	w := newWorld(t)
	p := w.provider(t, "Acme")
	body := aUser("mallory@example.test", "mallory")
	for name, value := range map[string]any{"roles": []kv{{"value": "owner"}, {"value": "administrator"}}, "entitlements": []kv{{"value": "scim:manage"}}, "groups": []kv{{"value": nowhere}}, "userType": "administrator",
		"id": nowhere, "meta": kv{"created": "1990-01-01T00:00:00Z"}, "password": "x", "urn:redoubt:scopes": []string{"members:write"}} {
		body[name] = value
	}
	made := p.ask("POST", "/Users", body).is(http.StatusCreated)
	if made.id() == nowhere || made.at("groups") != nil || made.at("roles") != nil {
		t.Errorf("what is not the client's was taken: %s", made.body)
	}
	p.group("Administrator", made.id())
	p.group("redoubt:administrators:"+string(w.Organization("Acme")), made.id())
	who, err := p.signIn("mallory", "")
	if err != nil {
		t.Fatal(err)
	}
	role := scan[string](t, w, `select role from identity.membership where id = $1`, who.Profile())
	if who.Administrator() || who.Has("members:write") || role != "member" {
		t.Errorf("%v is %s, administrator %t", who, role, who.Administrator())
	}
	for name, value := range map[string]any{"role": "owner", "administrator": true, "scopes": []string{"scim:manage"}, "organization_id": nowhere, "profile_id": nowhere, "person_id": nowhere, "isAdmin": true} {
		wrong := aUser("x@example.test", "")
		wrong[name] = value
		p.ask("POST", "/Users", wrong).fails(http.StatusBadRequest, "invalidSyntax")
		p.ask("PATCH", "/Users/"+made.id(), patch(kv{"op": "replace", "path": name, "value": value})).fails(http.StatusBadRequest, "invalidPath")
		p.ask("PATCH", "/Users/"+made.id(), patch(kv{"op": "replace", "value": kv{name: value}})).fails(http.StatusBadRequest, "invalidSyntax")
	}
	for _, path := range []string{"id", "meta", "meta.created", "groups", "schemas"} {
		p.ask("PATCH", "/Users/"+made.id(), patch(kv{"op": "replace", "path": path, "value": "x"})).fails(http.StatusBadRequest, "mutability")
	}
}

func TestBodiesThatAreNotTaken(t *testing.T) { // SYSTEM N2, T6
	p := newWorld(t).provider(t, "Acme")
	id := p.add("ada@example.test", "a1")
	patching := func(ops string) string { return `{"schemas":["` + patchURN + `"],"Operations":` + ops + `}` }
	user := func(more string) string {
		return `{"schemas":["` + userURN + `"],"userName":"u@example.test"` + more + `}`
	}
	many := strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"title","value":1},`, 1001), ",")
	var eleven strings.Builder
	for i := range 11 {
		fmt.Fprintf(&eleven, `,{"value":"a%d@b.test"}`, i)
	}
	cases := []struct {
		name, method, path, body string
		status                   int
		scimType                 string
	}{
		{"nothing", "POST", "/Users", ``, 400, "invalidSyntax"},
		{"no JSON", "POST", "/Users", `{"schemas":`, 400, "invalidSyntax"},
		{"a list", "POST", "/Users", `[]`, 400, "invalidSyntax"},
		{"two objects", "POST", "/Users", user("") + `{}`, 400, "invalidSyntax"},
		{"a name twice", "POST", "/Users", user(`,"active":true,"active":false`), 400, "invalidSyntax"},
		{"a name twice, in another case", "POST", "/Users", user(`,"Active":true,"active":false`), 400, "invalidSyntax"},
		{"text that is not UTF-8", "POST", "/Users", user(`,"displayName":"` + "\xff" + `"`), 400, "invalidSyntax"},
		{"depth", "POST", "/Users", user(`,"title":` + strings.Repeat("[", 50) + strings.Repeat("]", 50)), 400, "invalidSyntax"},
		{"no schema", "POST", "/Users", `{"userName":"u@example.test"}`, 400, "invalidSyntax"},
		{"a group's schema", "POST", "/Users", `{"schemas":["` + groupURN + `"],"userName":"u@example.test"}`, 400, "invalidSyntax"},
		{"no userName", "POST", "/Users", `{"schemas":["` + userURN + `"]}`, 400, "invalidValue"},
		{"an empty userName", "POST", "/Users", `{"schemas":["` + userURN + `"],"userName":"  "}`, 400, "invalidValue"},
		{"a userName that is no text", "POST", "/Users", `{"schemas":["` + userURN + `"],"userName":{"a":1}}`, 400, "invalidValue"},
		{"a userName of 321 bytes", "POST", "/Users", `{"schemas":["` + userURN + `"],"userName":"` + strings.Repeat("x", 321) + `"}`, 400, "invalidValue"},
		{"control characters", "POST", "/Users", user(`,"displayName":"a\u0000b"`), 400, "invalidValue"},
		{"characters that turn the direction of text", "POST", "/Users", user(`,"displayName":"a\u202eb"`), 400, "invalidValue"},
		{"eleven addresses", "POST", "/Users", user(`,"emails":[` + eleven.String()[1:] + `]`), 400, "tooMany"},
		{"an address without a value", "POST", "/Users", user(`,"emails":[{"type":"work"}]`), 400, "invalidValue"},
		{"active that is neither", "POST", "/Users", user(`,"active":"perhaps"`), 400, "invalidValue"},
		{"active that is nothing", "POST", "/Users", user(`,"active":null`), 400, "invalidValue"},
		{"a PATCH without operations", "PATCH", "/Users/" + id, patching(`[]`), 400, "invalidSyntax"},
		{"a thousand and one operations", "PATCH", "/Users/" + id, patching(`[` + many + `]`), 400, "invalidSyntax"},
		{"an operation that is none", "PATCH", "/Users/" + id, patching(`[{"op":"move","path":"active"}]`), 400, "invalidSyntax"},
		{"a removal of nothing", "PATCH", "/Users/" + id, patching(`[{"op":"remove"}]`), 400, "noTarget"},
		{"a removal of active", "PATCH", "/Users/" + id, patching(`[{"op":"remove","path":"active"}]`), 400, "invalidValue"},
		{"a removal of userName", "PATCH", "/Users/" + id, patching(`[{"op":"remove","path":"userName"}]`), 400, "invalidValue"},
		{"a path that is no text", "PATCH", "/Users/" + id, patching(`[{"op":"add","path":{},"value":1}]`), 400, "invalidPath"},
		{"a path that does not end", "PATCH", "/Users/" + id, patching(`[{"op":"add","path":"emails[type eq \"work\"","value":"x"}]`), 400, "invalidPath"},
		{"a path with a filter of something single", "PATCH", "/Users/" + id, patching(`[{"op":"add","path":"userName[value eq \"work\"]","value":"x"}]`), 400, "invalidPath"},
		{"an address that is nowhere", "PATCH", "/Users/" + id, patching(`[{"op":"replace","path":"emails[type eq \"a\" or type eq \"b\"].value","value":"x"}]`), 400, "noTarget"},
		{"one wrong operation among good ones", "PATCH", "/Users/" + id, patching(`[{"op":"replace","path":"displayName","value":"Changed"},{"op":"replace","path":"active","value":"no"}]`), 400, "invalidValue"},
		{"a group without a name", "POST", "/Groups", `{"schemas":["` + groupURN + `"]}`, 400, "invalidValue"},
		{"a group in a group", "POST", "/Groups", `{"schemas":["` + groupURN + `"],"displayName":"x","members":[{"value":"` + id + `","type":"Group"}]}`, 400, "invalidValue"},
		{"a member without an id", "POST", "/Groups", `{"schemas":["` + groupURN + `"],"displayName":"x","members":[{"display":"x"}]}`, 400, "invalidValue"},
		{"a body of over a mebibyte", "POST", "/Users", user(`,"title":"` + strings.Repeat("x", 1<<20) + `"`), 413, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			as := *p
			as.t = t
			as.ask(c.method, c.path, c.body).fails(c.status, c.scimType)
		})
	}
	for kind, status := range map[string]int{"application/json": 201, "application/scim+json; charset=UTF-8": 201, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json; charset=latin1": 415, "": 415} {
		a := p.ask("POST", "/Users", aUser(fmt.Sprintf("%d@example.test", len(kind)), ""), "Content-Type", kind)
		if a.status != status {
			t.Errorf("a body of %q is answered %d, want %d", kind, a.status, status)
		}
	}
	p.ask("GET", "/Users/"+id, nil).is(http.StatusOK).says(kv{"displayName": "Somebody", "active": true})
	if a := p.ask("POST", "/Users", user(`,"displayName":"submitted-text\u0000"`)); strings.Contains(string(a.body), "submitted") {
		t.Errorf("a refusal quotes what was submitted: %s", a.body)
	}
}

func TestOneWhoBelievesAnOldVersionChangesNothing(t *testing.T) { // RFC 7644 section 3.14
	p := newWorld(t).provider(t, "Acme")
	id := p.add("ada@example.test", "a1")
	group := p.group("Readers", id)
	for _, at := range []string{"/Users/" + id, "/Groups/" + group} {
		old := p.ask("GET", at, nil).is(http.StatusOK).header.Get("ETag")
		p.ask("GET", at, nil, "If-None-Match", old).is(http.StatusNotModified)
		rename := patch(kv{"op": "replace", "path": "displayName", "value": "Changed"})
		if a := p.ask("PATCH", at, rename, "If-Match", old); a.status/100 != 2 || a.header.Get("ETag") == old {
			t.Errorf("%s: %d, ETag %s", a.asked, a.status, a.header.Get("ETag"))
		}
		p.ask("PATCH", at, rename, "If-Match", old).fails(http.StatusPreconditionFailed, "")
		p.ask("DELETE", at, nil, "If-Match", old).fails(http.StatusPreconditionFailed, "")
		now := p.ask("GET", at, nil, "If-None-Match", old).is(http.StatusOK).header.Get("ETag")
		p.ask("DELETE", at, nil, "If-Match", `"other", `+now).is(http.StatusNoContent)
	}
}
