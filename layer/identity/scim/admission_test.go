package scim_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

func (w world) comes(t *testing.T, org string, said signon.Claims) (layer.Principal, error) {
	t.Helper()
	id := w.Organization(org)
	_, who, err := w.Identity.InsecureSignIn(t.Context(), said, id)
	return who, err
}

func TestWhoWasAnnouncedIsRecognised(t *testing.T) { // SYSTEM I1, I2
	w := newWorld(t)
	p := w.provider(t, "Acme")
	cases := []struct {
		name           string
		user, external string
		said           signon.Claims
		in             bool
	}{
		{"by their subject", "a@example.test", "sub-a", signon.Claims{Issuer: issuer, Subject: "sub-a"}, true},
		{"by a verified address", "b@example.test", "not-their-subject", signon.Claims{Issuer: issuer, Subject: "sub-b", Email: "B@example.test", EmailVerified: true}, true},
		{"not by an address that nobody has verified", "c@example.test", "", signon.Claims{Issuer: issuer, Subject: "sub-c", Email: "c@example.test"}, false},
		{"not by a subject in another case", "d@example.test", "sub-d", signon.Claims{Issuer: issuer, Subject: "SUB-D"}, false},
		{"not by the same subject at another issuer", "e@example.test", "sub-e", signon.Claims{Issuer: "https://evil.test", Subject: "sub-e", Email: "e@example.test", EmailVerified: true}, false},
		{"not by a name that is no address", "f", "", signon.Claims{Issuer: issuer, Subject: "f"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id := p.add(c.user, c.external)
			who, err := w.comes(t, "Acme", c.said)
			if (err == nil) != c.in {
				t.Fatalf("in: %t (%v), want %t", err == nil, err, c.in)
			}
			if !c.in {
				return
			}
			again, err := w.comes(t, "Acme", c.said)
			if err != nil || again.Profile() != who.Profile() {
				t.Errorf("the second time they are %v (%v), and were %v", again, err, who)
			}
			if n := scan[int](t, w, `select count(*) from audit.log where action = 'scim.user_claimed' and entity_id = $1 and actor = $2`, id, string(who.Profile())); n != 1 {
				t.Errorf("%d events of it", n)
			}
		})
	}
}

func TestOneUserIsNotTwoPeople(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, "Acme")
	p.add("shared@example.test", "first")
	if _, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "first"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "second", Email: "shared@example.test", EmailVerified: true}); err == nil {
		t.Error("another person came in as a user who has a person already")
	}
	one, two := p.add("one@example.test", "two-faced"), p.add("two@example.test", "")
	who, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "two-faced", Email: "two@example.test", EmailVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := scan[string](t, w, `select string_agg(id::text, ' ') from identity.scim_user where profile_id = $1`, who.Profile()); got != one {
		t.Errorf("they are the users %q, want the one that knows their subject, %s, and not %s", got, one, two)
	}
}

func TestWhoWasStoppedBeforeTheyCameDoesNotComeIn(t *testing.T) { // SYSTEM I7
	w := newWorld(t)
	p := w.provider(t, "Acme")
	id := p.add("ada@example.test", "ada")
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
	org := w.Organization("Acme")
	w.exec(t, `update identity.organization set just_in_time = true where id = $1`, org)
	w.exec(t, `insert into identity.admission (organization_id, issuer, group_name) values ($1, $2, 'staff')`, org, issuer)
	if _, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "ada", Groups: []string{"staff"}}); err == nil {
		t.Error("a group let in whom the provider has withdrawn")
	}
	if _, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "somebody-else", Groups: []string{"staff"}}); err != nil {
		t.Errorf("the group lets nobody in: %v", err) // the control
	}
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "active", "value": true})).is(http.StatusOK)
	if _, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "ada"}); err != nil {
		t.Errorf("who was let in again stays out: %v", err)
	}
}

func TestAnOrganizationDrawsInOnlyItsOwnProvidersPeople(t *testing.T) {
	w := newWorld(t)
	acme, evil := w.provider(t, "Acme"), w.provider(t, "Evil")
	w.exec(t, `delete from identity.organization_issuer where organization_id = $1`, w.Organization("Evil"))
	evil.ask("POST", "/Users", aUser("victim@example.test", "victim")).fails(http.StatusConflict, "") // it has no provider of its own
	w.exec(t, `insert into identity.organization_issuer (organization_id, issuer) values ($1, 'https://evil.test')`, w.Organization("Evil"))
	evil.add("victim@example.test", "victim")
	acme.add("victim@example.test", "victim")
	_, who, err := w.Identity.InsecureSignIn(t.Context(), signon.Claims{Issuer: issuer, Subject: "victim", Email: "victim@example.test", EmailVerified: true}, w.Organization("Acme"))
	if err != nil {
		t.Fatal(err)
	}
	if n := scan[int](t, w, `select count(*) from identity.membership where person_id = $1`, who.Person()); n != 1 {
		t.Errorf("they are in %d organizations", n)
	}
}

// Members who came another way are users too: a provider that is connected later finds and stops them.
func TestMembersWhoWereThereBeforeAreUsers(t *testing.T) { // SYSTEM I7
	w := newWorld(t)
	p := w.provider(t, "Acme")
	old := w.Member("Acme")
	key := old.WithKey("posts:read")
	key.Get("/api/v1/posts").NoContent()
	address := old.Claims().Email
	found := p.ask("GET", "/Users?filter="+url.QueryEscape(`userName eq "`+address+`"`), nil).is(http.StatusOK).says(kv{"totalResults": 1.0, "Resources.0.id": string(old.Principal().Profile())})
	p.ask("POST", "/Users", aUser(address, "")).fails(http.StatusConflict, "uniqueness")
	id := found.text("Resources.0.id")
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "externalId", "value": "x1"}, kv{"op": "replace", "path": "displayName", "value": "Known"})).is(http.StatusOK).
		says(kv{"id": id, "externalId": "x1", "displayName": "Known", "userName": address, "active": true})
	p.ask("GET", "/Users", nil).is(http.StatusOK).says(kv{"totalResults": 2.0})
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "active", "value": "False"})).is(http.StatusOK)
	key.Get("/api/v1/posts").Status(http.StatusUnauthorized)
	// One whose subject the provider knows is recognised when they are announced, and keeps their id.
	other := w.Member("Acme")
	made := p.ask("POST", "/Users", aUser("another-name@example.test", other.Claims().Subject)).is(http.StatusCreated)
	p.ask("GET", "/Users", nil).is(http.StatusOK).says(kv{"totalResults": 3.0})
	p.ask("DELETE", "/Users/"+made.id(), nil).is(http.StatusNoContent)
	if n := scan[int](t, w, `select count(*) from identity.membership where id = $1`, other.Principal().Profile()); n != 0 {
		t.Error("the member is still there")
	}
}

// Deleting takes the person's own things along, and waits for nobody's consent; other organizations keep their member.
func TestDeletingAUserLeavesOtherOrganizationsAlone(t *testing.T) { // SYSTEM I8
	w := newWorld(t)
	acme, globex := w.provider(t, "Acme"), w.provider(t, "Globex")
	id := acme.add("ada@example.test", "ada")
	globex.add("ada@example.test", "ada")
	who, err := w.comes(t, "Acme", signon.Claims{Issuer: issuer, Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	acme.ask("DELETE", "/Users/"+id, nil).is(http.StatusNoContent)
	there, err := w.comes(t, "Globex", signon.Claims{Issuer: issuer, Subject: "ada"})
	if err != nil || there.Person() != who.Person() {
		t.Errorf("in the other organization they are %v (%v)", there, err)
	}
	if n := scan[int](t, w, `select count(*) from identity.scim_user u left join identity.session s on s.profile_id = u.profile_id where u.id = $1`, id); n != 0 {
		t.Error("something of theirs is left")
	}
	// And the other way: an administrator's deletion leaves no user behind with a name and an address.
	w.exec(t, `delete from identity.session where profile_id = $1`, there.Profile())
	w.exec(t, `delete from identity.membership where id = $1`, there.Profile())
	if n := scan[int](t, w, `select count(*) from identity.scim_user where organization_id = $1`, w.Organization("Globex")); n != 0 {
		t.Error("a user is left of a member who is gone")
	}
}
