package scim_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
)

func (w world) role(t *testing.T, of layer.Principal) string {
	t.Helper()
	return scan[string](t, w, `select role from identity.membership where id = $1`, of.Profile())
}

func TestAGroupThatIsNamedLikeARoleGivesIt(t *testing.T) { // SYSTEM I4
	w := newWorld(t)
	p := w.provider(t, "Acme")
	id, who := p.member("ada")
	soon := p.add("soon@example.test", "soon")
	p.group("Guest", id, soon)
	admins := p.group("ADMIN", id)
	if got := w.role(t, who); got != "admin" {
		t.Errorf("of guest and admin they are %s", got)
	}
	later, err := p.signIn("soon", "")
	if err != nil || w.role(t, later) != "guest" {
		t.Errorf("who was in the group before they came is %s (%v)", w.role(t, later), err)
	}
	p.ask("PATCH", "/Groups/"+admins, patch(kv{"op": "remove", "path": "members"})).is(http.StatusNoContent)
	if got := w.role(t, who); got != "guest" {
		t.Errorf("out of the admins they are %s", got)
	}
	p.ask("PUT", "/Groups/"+admins, kv{"schemas": []string{groupURN}, "displayName": "Admin", "members": []kv{{"value": id}, {"value": soon}}}).is(http.StatusOK)
	p.ask("PATCH", "/Groups/"+admins, patch(kv{"op": "replace", "path": "displayName", "value": "Operators"})).is(http.StatusNoContent)
	if got := w.role(t, who); got != "guest" {
		t.Errorf("a group that is not named like a role any more leaves them %s", got)
	}
	p.ask("PATCH", "/Groups/"+admins, patch(kv{"op": "replace", "path": "displayName", "value": "admin"})).is(http.StatusNoContent)
	p.ask("DELETE", "/Groups/"+admins, nil).is(http.StatusNoContent)
	if got := w.role(t, who); got != "guest" {
		t.Errorf("a group that is gone leaves them %s", got)
	}
	w.exec(t, `update identity.membership set role = 'member', appointed = true where id = $1`, who.Profile())
	p.group("owner", id)
	if got := w.role(t, who); got != "member" {
		t.Errorf("whose role was chosen here is %s by a group", got)
	}
	w.exec(t, `insert into redoubt.grantable values ('posts:read') on conflict do nothing`)
	custom := scan[string](t, w, `insert into identity.organization_role (organization_id, name, scopes) values ($1, 'Editors', '{posts:read}') returning id::text`, w.Organization("Acme"))
	p.group("editors", soon)
	if got := scan[string](t, w, `select coalesce(custom_role::text, '') from identity.membership where id = $1`, later.Profile()); got != custom {
		t.Errorf("a group that is named like the organization's own role gives %q", got)
	}
}

func TestTheLastOwnerStays(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, "Acme")
	first, one := p.member("first")
	second, two := p.member("second")
	owners := p.group("Owner", first)
	if got := w.role(t, one); got != "owner" {
		t.Fatalf("they are %s", got)
	}
	stop := patch(kv{"op": "replace", "path": "active", "value": false})
	attempts := func() {
		t.Helper()
		p.ask("PATCH", "/Users/"+first, stop).fails(http.StatusConflict, "")
		p.ask("PUT", "/Users/"+first, func() kv { u := aUser("first@example.test", "first"); u["active"] = false; return u }()).fails(http.StatusConflict, "")
		p.ask("DELETE", "/Users/"+first, nil).fails(http.StatusConflict, "")
		p.ask("PATCH", "/Groups/"+owners, patch(kv{"op": "remove", "path": "members"})).fails(http.StatusConflict, "")
		p.ask("PATCH", "/Groups/"+owners, patch(kv{"op": "replace", "path": "displayName", "value": "Readers"})).fails(http.StatusConflict, "")
		p.ask("DELETE", "/Groups/"+owners, nil).fails(http.StatusConflict, "")
	}
	attempts()
	if w.role(t, one) != "owner" {
		t.Error("the last owner is none")
	}
	p.ask("PUT", "/Groups/"+owners, kv{"schemas": []string{groupURN}, "displayName": "Owner", "members": []kv{{"value": second}}}).is(http.StatusOK) // handed on, all at once
	if w.role(t, one) != "member" || w.role(t, two) != "owner" {
		t.Errorf("they are %s and %s", w.role(t, one), w.role(t, two))
	}
	p.ask("PATCH", "/Users/"+first, stop).is(http.StatusOK)
}

// Whom a provider withdraws is out, whatever they were here, as long as an owner stays.
func TestOwnersAndAdminsAreWithdrawnToo(t *testing.T) { // SYSTEM I7
	w := newWorld(t)
	p := w.provider(t, "Acme")
	admin, _ := p.member("admin")
	one, who := p.member("one")
	two, _ := p.member("two")
	p.group("admin", admin)
	p.group("owner", one, two)
	p.ask("PATCH", "/Users/"+admin, patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
	p.ask("PATCH", "/Users/"+one, patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
	p.ask("PATCH", "/Users/"+two, patch(kv{"op": "replace", "path": "active", "value": false})).fails(http.StatusConflict, "")
	if _, err := p.signIn("one", ""); err == nil || w.role(t, who) != "owner" {
		t.Errorf("an owner who was withdrawn comes in (%v), or is %s", err, w.role(t, who))
	}
	p.ask("DELETE", "/Users/"+admin, nil).is(http.StatusNoContent)
	p.ask("DELETE", "/Users/"+one, nil).is(http.StatusNoContent)
}

func TestAGroupIsBounded(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	p := w.provider(t, "Acme")
	group := p.group("Everybody")
	w.exec(t, `insert into identity.scim_user (organization_id, issuer, user_name) select $1, 'x', 'u' || n from generate_series(1, 10001) n`, w.Organization("Acme"))
	ids := scan[[]string](t, w, `select array_agg(id::text) from identity.scim_user where organization_id = $1`, w.Organization("Acme"))
	list := func(ids []string) (all []kv) {
		for _, id := range ids {
			all = append(all, kv{"value": id})
		}
		return all
	}
	p.ask("PATCH", "/Groups/"+group, patch(kv{"op": "add", "path": "members", "value": list(ids[:10000])})).is(http.StatusNoContent)
	p.ask("PATCH", "/Groups/"+group, patch(kv{"op": "add", "path": "members", "value": list(ids[10000:])})).fails(http.StatusConflict, "")
	whole := p.ask("GET", "/Groups/"+group, nil).is(http.StatusOK)
	if n := len(whole.at("members").([]any)); n != 10000 {
		t.Errorf("it has %d members", n)
	}
	for i := range 3 {
		p.ask("PATCH", "/Groups/"+p.group(fmt.Sprintf("More %d", i)), patch(kv{"op": "add", "path": "members", "value": list(ids[:9000])})).is(http.StatusNoContent)
	}
	page := p.ask("GET", "/Groups", nil).is(http.StatusOK).says(kv{"totalResults": 4.0, "itemsPerPage": 2.0}) // ends early: four would be 37,000 lines
	if len(page.body) > 8<<20 {
		t.Errorf("a page of %d bytes", len(page.body))
	}
	p.ask("GET", "/Groups?startIndex=3&excludedAttributes=members", nil).is(http.StatusOK).says(kv{"itemsPerPage": 2.0})
	w.exec(t, `insert into identity.scim_group (organization_id, display_name) select $1, 'g' || n from generate_series(1, 996) n`, w.Organization("Acme"))
	p.ask("POST", "/Groups", kv{"schemas": []string{groupURN}, "displayName": "One more"}).fails(http.StatusConflict, "")
}
