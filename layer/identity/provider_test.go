package identity_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

func sprint(v any) string { return fmt.Sprint(v) }

// pair is a desk with two providers, and the desk of the second one's own.
func pair(t *testing.T) (first, second *desk) {
	t.Helper()
	second = newDesk(t)
	first = newDesk(t, func(cfg *identity.Config, _ *signon.Config) {
		cfg.Providers = []identity.Provider{{ID: "second", Title: "Second", SignOn: second.cfg.Providers[0].SignOn}}
	})
	people := []identity.Provisioned{{Issuer: second.idp.URL, Subject: "bob", Organizations: []layer.OrgID{first.acme}}}
	if err := identity.Provision(t.Context(), first.Admin(t), nil, people); err != nil {
		t.Fatal(err)
	}
	second.service = first.service
	return first, second
}

// at signs a person in at the provider of that ID, whose desk is at.
func (d *desk) at(id, person string, at *desk) (string, error) {
	d.t.Helper()
	rec := httptest.NewRecorder()
	if err := d.service.SignIn(rec, httptest.NewRequestWithContext(d.t.Context(), "GET", "/sign-in", nil), id, "/"); err != nil {
		d.t.Fatal(err)
	}
	rec, _, err := d.finish(at.choose(rec.Header().Get("Location"), person), rec.Result().Cookies()[0])
	if err != nil {
		return "", err
	}
	return cookieOf(rec, cookieName).Value, nil
}

func TestSeveralProvidersAreSeveralWorlds(t *testing.T) { // SYSTEM I1, I2
	first, second := pair(t)
	for _, id := range []string{"", "third", "FIRST", "https://evil.test"} {
		rec := httptest.NewRecorder()
		refused(t, first.service.SignIn(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/sign-in", nil), id, "/"), layer.NotFound)
		if len(rec.Result().Cookies()) != 0 {
			t.Errorf("%q: something was begun", id)
		}
	}
	one, err := first.at("first", "bob", first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := first.at("second", "bob", second)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.who(one), first.who(two); a.Nobody() || b.Nobody() || a.Person() == b.Person() {
		t.Errorf("got %v and %v: the same name at two providers is two people", a, b)
	}
	people := []identity.Provisioned{{Issuer: first.idp.URL, Subject: "mallory", Organizations: []layer.OrgID{first.acme}}}
	if err := identity.Provision(t.Context(), first.Admin(t), nil, people); err != nil {
		t.Fatal(err)
	}
	_, err = first.at("second", "mallory", second) // whom the first one's organization has invited, and the second only calls so
	refused(t, err, layer.Forbidden)
	// The logout token of one ends nothing of the other's, though both call the person bob.
	if err := first.service.EndByProvider(t.Context(), second.leave(two, withoutSID)); err != nil {
		t.Fatal(err)
	}
	alive(t, first.service, two, false)
	alive(t, first.service, one, true)
}

func TestTheAnswerOfOneProviderIsNotTakenForAnothers(t *testing.T) { // SYSTEM I1: mix-up
	first, second := pair(t)
	begin := func(id string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		if err := first.service.SignIn(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/sign-in", nil), id, "/"); err != nil {
			t.Fatal(err)
		}
		return rec
	}
	here, there := begin("first"), begin("second")
	answer := second.choose(there.Header().Get("Location"), "bob")
	_, _, err := first.finish(answer, here.Result().Cookies()[0])
	refused(t, err, layer.Unauthenticated)
}

func TestAnOrganizationBelievesItsOwnIssuersAlone(t *testing.T) { // SYSTEM I1, I4
	first, second := pair(t)
	globex, admin := first.Organization("Globex"), first.Admin(t)
	people := []identity.Provisioned{{Issuer: second.idp.URL, Subject: "bob", Organizations: []layer.OrgID{globex}}}
	if err := identity.Provision(t.Context(), admin, nil, people); err != nil {
		t.Fatal(err)
	}
	before, err := first.at("second", "bob", second)
	if err != nil || first.who(before).Nobody() {
		t.Fatal("bob of the second is let in nowhere to begin with", err)
	}
	keep, err := first.at("first", "alice", first)
	if err != nil {
		t.Fatal(err)
	}
	for _, org := range []layer.OrgID{first.acme, second.acme, globex} {
		if err := identity.Bind(t.Context(), admin, org, first.idp.URL); err != nil {
			t.Fatal(err)
		}
	}
	alive(t, first.service, before, false) // at once
	alive(t, first.service, keep, true)
	_, err = first.at("second", "bob", second)
	refused(t, err, layer.Forbidden)
	if err := identity.Bind(t.Context(), admin, globex, first.idp.URL, second.idp.URL); err != nil {
		t.Fatal(err)
	}
	token, err := first.at("second", "bob", second)
	if err != nil || first.who(token).Organization() != globex {
		t.Fatalf("got %v, want to be at the one that believes the second", err)
	}
	rec := httptest.NewRecorder()
	refused(t, first.service.Switch(rec, with(t, token), first.who(token), first.acme), layer.NotFound)
	snap, err := first.service.Snapshot(t.Context(), first.who(token))
	if err != nil || !snap.Live || len(snap.Places) != 1 || snap.Places[0].ID != globex {
		t.Errorf("got %+v %v", snap.Places, err)
	}
	// Whoever can write to the store could take the binding away, but not make a session of another issuer's.
	change(t, first.W, `update identity.session set issuer = $2 where hash = sha256($1)`, []byte(token), first.idp.URL)
	_, err = first.service.Identify(with(t, token))
	refused(t, err, layer.Unauthenticated)
	// A row that is added by hand counts too, though nobody has ended anything.
	token, err = first.at("second", "bob", second)
	if err != nil {
		t.Fatal(err)
	}
	change(t, first.W, `delete from identity.organization_issuer where organization_id = $1 and issuer = $2`, globex, second.idp.URL)
	alive(t, first.service, token, false)
}

func TestAProviderThatIsRemovedIsNotBelievedAnyMore(t *testing.T) { // SYSTEM I1
	first, second := pair(t)
	token, err := first.at("second", "bob", second)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := first.at("first", "bob", first)
	if err != nil {
		t.Fatal(err)
	}
	cfg := first.cfg
	cfg.Providers = cfg.Providers[:1]
	alone := first.open(cfg)
	alive(t, alone, token, false)
	alive(t, alone, keep, true)
}

func TestProvidersAreConfiguredWithoutAmbiguity(t *testing.T) {
	first, second := newDesk(t), newDesk(t)
	a, b := first.cfg.Providers[0].SignOn, second.cfg.Providers[0].SignOn
	for _, c := range []struct {
		name string
		all  []identity.Provider
		want string // in the error; "" for none
	}{
		{"one, without a name", []identity.Provider{{SignOn: a}}, ""},
		{"two", []identity.Provider{{ID: "a", Title: "A", SignOn: a}, {ID: "b", Title: "B", SignOn: b}}, ""},
		{"none", nil, "Providers is required"},
		{"one without a relying party", []identity.Provider{{ID: "a"}}, "Providers[0] has no SignOn"},
		{"two with one ID", []identity.Provider{{ID: "a", Title: "A", SignOn: a}, {ID: "a", Title: "B", SignOn: b}}, "Providers[1] needs"},
		{"two without titles", []identity.Provider{{ID: "a", SignOn: a}, {ID: "b", SignOn: b}}, "Providers[0] needs"},
		{"an ID that is no part of an address", []identity.Provider{{ID: "a b", Title: "A", SignOn: a}, {ID: "b", Title: "B", SignOn: b}}, "Providers[0] needs"},
		{"two of one issuer", []identity.Provider{{ID: "a", Title: "A", SignOn: a}, {ID: "b", Title: "B", SignOn: a}}, "Providers[1] has the issuer of another"},
	} {
		cfg := first.cfg
		cfg.Providers = c.all
		s, err := identity.Open(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// Whoever has stolen a cookie and keeps switching with it is not a step ahead of the owner who ends the session.
func TestEndingASessionEndsWhatCameOfIt(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	globex := d.Organization("Globex")
	if err := identity.Provision(t.Context(), d.Admin(t), nil, []identity.Provisioned{{Issuer: d.idp.URL, Subject: "bob", Organizations: []layer.OrgID{globex}}}); err != nil {
		t.Fatal(err)
	}
	stolen, mine := d.come("bob"), d.come("bob")
	seen := d.who(stolen).CredentialID() // by the owner, in their list
	rec := httptest.NewRecorder()
	if err := d.service.Switch(rec, with(t, stolen), d.who(stolen), globex); err != nil {
		t.Fatal(err)
	}
	moved := cookieOf(rec, cookieName).Value
	_, err := action.Do(t.Context(), d.DB, d.who(mine), "sessions:write", func(tx *action.Tx) (int, error) { return 0, identity.RevokeSession(tx.Tx, seen) })
	if err != nil {
		t.Fatal(err)
	}
	alive(t, d.service, moved, false)
	alive(t, d.service, mine, true)
}
