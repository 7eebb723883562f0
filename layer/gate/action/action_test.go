package action_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// cups is an application whose claims and whose database disagree about two scopes.
var cups = redoubt.App{
	Schema: []migrate.Line{{Name: "cups", Application: true, Files: fstest.MapFS{"0001_cup.sql": {Data: []byte(`
CREATE SCHEMA cups;
CREATE TABLE cups.cup (organization_id uuid NOT NULL, id int NOT NULL, PRIMARY KEY (organization_id, id));
GRANT USAGE ON SCHEMA cups TO redoubt_app;
GRANT SELECT, INSERT ON cups.cup TO redoubt_app;
SELECT redoubt.allow('member', 'cups:write', 'keys:write', 'database:only');
SELECT redoubt.allow('administrator', 'cups:write', 'cups:break');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"cups:write", "keys:write", "claims:only"}, Administrator: []string{"cups:break"}},
}

const (
	insertCup = `insert into cups.cup (id) values ($1)`
	countCups = `select count(*) from cups.cup`
)

func cupsOf(t *testing.T, w *layertest.W, who layer.Principal) int {
	t.Helper()
	n, err := rls.One[int](w.DB.As(t.Context(), who), countCups)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func fill(tx *action.Tx) (int64, error) { return rls.Do(tx, insertCup, 1) }

func TestBothTheClaimsAndTheDatabaseMustAllowIt(t *testing.T) { // SYSTEM A3, A4, I3
	w := layertest.World(t, cups)
	bob, ada := w.Member("Acme"), w.Administrator("Acme")
	// The database's copy of who administers, altered by somebody who can write to it; the claims say otherwise.
	promoted := w.Member("Acme")
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.session set administrator = true where id = $1`, promoted.Principal().CredentialID()); err != nil {
		t.Fatal(err)
	}
	// The claims, forged inside the program; the database says otherwise.
	forged := mint.Principal(mint.Facts{Profile: string(bob.Principal().Profile()), Organization: string(bob.Principal().Organization()), Kind: "session",
		Administrator: true, Scopes: []string{"cups:break"}, Credential: bob.Session()}).(layer.Principal)
	another := mint.Principal(mint.Facts{Profile: string(ada.Principal().Profile()), Organization: string(ada.Principal().Organization()), Kind: "session",
		Scopes: []string{"cups:write"}, Credential: bob.Session()}).(layer.Principal)
	cases := []struct {
		name  string
		who   layer.Principal
		scope string
		want  layer.Layer
	}{
		{"a member, allowed by both", bob.Principal(), "cups:write", ""},
		{"an administrator, allowed by both", ada.Principal(), "cups:break", ""},
		{"allowed by neither", bob.Principal(), "cups:break", layer.GateAction},
		{"allowed by the claims alone", bob.Principal(), "claims:only", layer.GateAction},
		{"allowed by the database alone", bob.Principal(), "database:only", layer.GateAction},
		{"an administrator by the database's row alone", promoted.Principal(), "cups:break", layer.GateAction},
		{"an administrator by forged claims alone", forged, "cups:break", layer.GateAction},
		{"a Principal of one member with another's credential", another, "cups:write", layer.GateAction},
		{"nobody", layer.Principal{}, "cups:write", layer.RLS},
		{"an empty scope", bob.Principal(), "", layer.GateAction},
	}
	for _, c := range cases {
		ran := false
		_, err := action.Do(t.Context(), w.DB, c.who, c.scope, func(tx *action.Tx) (int, error) { ran = true; return 0, nil })
		var r *layer.Refusal
		switch {
		case c.want == "" && (err != nil || !ran):
			t.Errorf("%s: ran %t, %v", c.name, ran, err)
		case c.want != "" && (ran || !errors.As(err, &r) || r.By != c.want):
			t.Errorf("%s: ran %t, got %v, want a refusal by %s", c.name, ran, err, c.want)
		}
	}
}

func TestNothingRemainsOfAnActionThatFails(t *testing.T) { // SYSTEM A3
	w := layertest.World(t, cups)
	who := w.Member("Acme").Principal()
	failed := errors.New("changed my mind")
	if _, err := action.Do(t.Context(), w.DB, who, "cups:write", func(tx *action.Tx) (int64, error) {
		fill(tx)
		tx.Audit(audit.State, "cup.filled", "1")
		return 1, failed
	}); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if recover() != "spilt" {
				t.Error("the panic was swallowed")
			}
		}()
		action.Do(t.Context(), w.DB, who, "cups:write", func(tx *action.Tx) (int64, error) { fill(tx); panic("spilt") })
	}()
	if n := cupsOf(t, w, who); n != 0 {
		t.Errorf("%d rows remain", n)
	}
	if n, err := action.Do(t.Context(), w.DB, who, "cups:write", fill); n != 1 || err != nil || cupsOf(t, w, who) != 1 {
		t.Errorf("afterwards: %d %v", n, err)
	}
	var actions string
	err := w.Admin(t).QueryRow(t.Context(), `select string_agg(action, ' ' order by id) from audit.log where organization_id = $1`, who.Organization()).Scan(&actions)
	if want := "session.opened insert"; err != nil || actions != want {
		t.Errorf("the audit trail says %q (%v), want %q", actions, err, want)
	}
}

func TestTheOwnerIsTheDatabasesViewOfTheCaller(t *testing.T) { // SYSTEM A3, A5
	w := layertest.World(t, cups)
	alice, bob := w.Member("Acme").Principal(), w.Member("Acme").Principal()
	for _, c := range []struct {
		owner layer.ProfileID
		pass  bool
	}{{alice.Profile(), true}, {bob.Profile(), false}, {"", false}} {
		_, err := action.Do(t.Context(), w.DB, alice, "cups:write", func(tx *action.Tx) (int, error) {
			if tx.Profile() != alice.Profile() {
				t.Errorf("the transaction is %s's", tx.Profile())
			}
			return 0, tx.Own(c.owner)
		})
		var r *layer.Refusal
		if c.pass && err != nil || !c.pass && (!errors.As(err, &r) || r.By != layer.GateAction || r.Reason != layer.Forbidden) {
			t.Errorf("owner %q: got %v", c.owner, err)
		}
	}
}
