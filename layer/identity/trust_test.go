package identity_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestATrustIsItsOrganizationsAlone(t *testing.T) { // SYSTEM I9, A5
	w := layertest.World(t, scoped)
	acme, globex := w.Administrator("Acme").Principal(), w.Administrator("Globex").Principal()
	made := mustTrust(t, w, acme, newTrust())
	_, err := exchange(t, w, w.MachineToken("Globex").Sign(t))
	unexchanged(t, err, layer.Unauthenticated)
	if got := untrusted(t, w, w.Organization("Globex")); got != "subject" {
		t.Errorf("the trail says %q", got)
	}
	end := func(who layer.Principal) error {
		_, err := action.Do(t.Context(), w.DB, who, "machines:write", func(tx *action.Tx) (int, error) { return 0, identity.RevokeTrust(tx.Tx, made.ID) })
		return err
	}
	isRefused(t, "another organization's administrator", end(globex), layer.RLS, layer.NotFound)
	if list, err := identity.Trusts(w.DB.As(t.Context(), globex)); err != nil || len(list) != 0 {
		t.Errorf("another organization sees %v %v", list, err)
	}
	if list, err := identity.Trusts(w.DB.As(t.Context(), acme)); err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].RevokedAt != nil {
		t.Errorf("got %v %v", list, err)
	}
	if _, err := identity.Trusts(w.DB.As(t.Context(), w.Member("Acme").Principal())); err == nil {
		t.Error("a member sees the trusts")
	}
	if err := end(acme); err != nil {
		t.Fatal(err)
	}
	refused(t, end(acme), layer.NotFound) // once
}

func TestATrustThatEndedGivesNothing(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	for name, sql := range map[string]string{
		"expired": `update identity.federation set expires_at = now() where id = $1`,
		"revoked": `update identity.federation set revoked_at = now() where id = $1`,
	} {
		change(t, w, sql, mustTrust(t, w, boss, newTrust()).ID)
		_, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
		if err == nil {
			t.Errorf("%s: exchanged", name)
		}
		unexchanged(t, err, layer.Unauthenticated)
	}
	mustTrust(t, w, boss, newTrust(func(n *identity.NewTrust) { n.Life = time.Hour }))
	if _, err := exchange(t, w, w.MachineToken("Acme").Sign(t)); err != nil {
		t.Errorf("one that ends in an hour: %v", err)
	}
}

// Who writes to the store makes no machine of anybody, and none stronger.
func TestAlteringTheTrustStoreGivesNothing(t *testing.T) { // SYSTEM I3, I9
	for name, sql := range map[string]string{
		"scopes widened":       `update identity.federation set scopes = scopes || '{members:write}' where id = $1`,
		"another subject":      `update identity.federation set subject_pattern = 'repo:evil/web:ref:refs/heads/main' where id = $1`,
		"a wider subject":      `update identity.federation set subject_pattern = 'repo:acme/*:ref:refs/heads/main' where id = $1`,
		"another issuer":       `update identity.federation set issuer = 'https://other-machines.example.test' where id = $1`,
		"more uses":            `update identity.federation set uses = 1000 where id = $1`,
		"a longer life":        `update identity.federation set expires_at = now() + interval '9 years' where id = $1`,
		"no end":               `update identity.federation set expires_at = null where id = $1`,
		"another id":           `update identity.federation set id = gen_random_uuid() where id = $1`,
		"another seal":         `update identity.federation set mac = sha256('x') where id = $1`,
		"given to another":     `update identity.federation set organization_id = (select id from identity.organization where id <> organization_id limit 1), made_by = null where id = $1`,
		"a copy with a new id": `insert into identity.federation (organization_id, name, issuer, audience, subject_pattern, scopes, uses, mac) select organization_id, name, issuer, audience, 'repo:evil/web:x', scopes, uses, mac from identity.federation where id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			w := layertest.World(t, scoped)
			made := mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust(func(n *identity.NewTrust) { n.Life = time.Hour }))
			change(t, w, sql, made.ID)
			m := w.MachineToken("Acme")
			switch name {
			case "another subject":
				m.Claims["sub"] = "repo:evil/web:ref:refs/heads/main"
			case "another issuer":
				m.Issuer, m.Claims["iss"] = layertest.OtherMachineIssuer, layertest.OtherMachineIssuer
			case "a copy with a new id":
				m.Claims["sub"] = "repo:evil/web:x"
			}
			if _, err := exchange(t, w, m.Sign(t)); err == nil {
				t.Error("exchanged")
			}
			want := 1
			if name == "given to another" {
				want = 0 // it is not found
			}
			if n := scan[int](t, w, `select count(*) from audit.log where action = 'federation.altered' and category = 'security' and organization_id = $1`, w.Organization("Acme")); n != want {
				t.Errorf("%d lines in the audit trail, want %d", n, want)
			}
		})
	}
}

func TestWhoMakesTrusts(t *testing.T) { // SYSTEM I9, A3
	w := layertest.World(t, scoped)
	boss, member := w.Administrator("Acme"), w.Member("Acme")
	if _, err := addTrust(t, w, member.Principal(), newTrust()); err == nil {
		t.Error("a member has made a trust")
	}
	key, err := w.Identity.Identify(by(t, "Bearer "+boss.APIKey("machines:write", "posts:write")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := addTrust(t, w, key, newTrust()); err == nil {
		t.Error("an API key has made a trust")
	}
	mustTrust(t, w, boss.Principal(), newTrust(func(n *identity.NewTrust) { n.Scopes = []string{"machines:write", "posts:write"} }))
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	machine, err := w.Identity.Identify(by(t, "Bearer "+issued.Token))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := addTrust(t, w, machine, newTrust()); err == nil {
		t.Error("a machine has made a trust")
	}
	if _, err := addTrust(t, w, boss.Principal(), newTrust(func(n *identity.NewTrust) { n.Scopes = []string{"posts:moderate"} })); err == nil {
		t.Error("a trust was given more than its maker has")
	}
	if _, err := addTrust(t, w, boss.Principal(), newTrust(func(n *identity.NewTrust) { n.Scopes = nil })); err == nil {
		t.Error("a trust was made for nothing")
	}
	for name, alter := range map[string]func(*identity.NewTrust){
		"issuer":          func(n *identity.NewTrust) { n.Issuer = "https://evil.example" },
		"uses":            func(n *identity.NewTrust) { n.Uses = 1001 },
		"subject_pattern": func(n *identity.NewTrust) { n.SubjectPattern = "repo:*/*" },
	} {
		_, err := addTrust(t, w, boss.Principal(), newTrust(alter))
		var r *layer.Refusal
		if !errors.As(err, &r) || r.Reason != layer.Invalid || len(r.Fields) != 1 || r.Fields[0].Name != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The database judges for itself, whatever the program asks it to record.
func TestTheDatabaseRefusesATrustBeyondItsMaker(t *testing.T) { // SYSTEM A4, D4
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	const add = `select redoubt.add_federation(gen_random_uuid(), 'x', 'https://x.example', 'x', $1, $2, $3, now() + $4::interval, sha256('x'))`
	type row struct {
		name, pattern string
		scopes        []string
		uses          int
		life          string
	}
	rows := []row{
		{"a scope that the maker lacks", mainBranch, []string{"posts:moderate"}, 1, "1 day"},
		{"no scope", mainBranch, []string{}, 1, "1 day"},
		{"a life that has ended", mainBranch, []string{"posts:write"}, 1, "-1 day"},
		{"no use", mainBranch, []string{"posts:write"}, 0, "1 day"},
		{"too many uses", mainBranch, []string{"posts:write"}, 1001, "1 day"},
	}
	for _, b := range brokenPatterns {
		if !strings.Contains(b.pattern, "\x00") { // PostgreSQL has no such text
			rows = append(rows, row{"the pattern: " + b.name, b.pattern, []string{"posts:write"}, 1, "1 day"})
		}
	}
	ask := func(c row) error {
		_, err := action.Do(t.Context(), w.DB, boss, "machines:write", func(tx *action.Tx) (int64, error) {
			return rls.Do(tx, add, c.pattern, c.scopes, c.uses, c.life)
		})
		return err
	}
	for _, c := range rows {
		if _, ok := ask(c).(*layer.Refusal); !ok {
			t.Errorf("%s: got %v, want a refusal", c.name, ask(c))
		}
	}
	for _, pattern := range []string{mainBranch, "repo:acme/*:ref:refs/heads/main", "repo:acme/web:ref:refs/tags/v*", "117650927823456789012", "system:serviceaccount:prod:*-web"} {
		if err := ask(row{"good", pattern, []string{"posts:write"}, 1, "1 day"}); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestTrustsAndTokensAreBounded(t *testing.T) { // SYSTEM T6
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	made := mustTrust(t, w, boss, newTrust())
	if _, err := w.Admin(t).Exec(t.Context(), `insert into identity.machine_token (hash, organization_id, federation_id, subject, scopes, mac, expires_at)
		select sha256(n::text::bytea || $2::text::bytea), organization_id, id, 'x', scopes, mac, now() + interval '15 minutes' from identity.federation, generate_series(1, 1000) n where id = $1`, made.ID, made.ID); err != nil {
		t.Fatal(err)
	}
	_, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if unexchanged(t, err, layer.Limited); untrusted(t, w, w.Organization("Acme")) != "limit" {
		t.Errorf("got %v", err)
	}
	for i := range 99 {
		if _, err := addTrust(t, w, boss, newTrust()); err != nil {
			t.Fatalf("trust %d: %v", i+2, err)
		}
	}
	if _, err := addTrust(t, w, boss, newTrust()); err == nil {
		t.Error("a hundred-and-first trust was made")
	}
}

// Who made a trust may leave: it is the organization's. Their name goes from it.
func TestATrustOutlivesItsMaker(t *testing.T) { // SYSTEM I8
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme")
	made := mustTrust(t, w, boss.Principal(), newTrust())
	if _, err := w.Admin(t).Exec(t.Context(), `delete from identity.session where profile_id = $1`, boss.Principal().Profile()); err != nil {
		t.Fatal(err)
	}
	change(t, w, `delete from identity.membership where id = $1`, boss.Principal().Profile())
	if _, err := exchange(t, w, w.MachineToken("Acme").Sign(t)); err != nil {
		t.Error(err)
	}
	if scan[bool](t, w, `select made_by is not null from identity.federation where id = $1`, made.ID) {
		t.Error("the maker's id is still there")
	}
}

// Identity's own role uses trusts and makes none.
func TestWhatIdentitysRoleMayDoAboutTrusts(t *testing.T) { // SYSTEM D3
	w := layertest.World(t, scoped)
	made := mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	for _, role := range []string{"redoubt_identity", "redoubt_app"} {
		conn := w.AsRole(t, role)
		for _, sql := range []string{
			`insert into identity.federation select gen_random_uuid(), organization_id, made_by, name, issuer, audience, subject_pattern, scopes, uses, mac from identity.federation`,
			`update identity.federation set scopes = '{members:write}' where id = '` + made.ID + `'`,
			`update identity.federation set revoked_at = null where id = '` + made.ID + `'`,
			`update identity.machine_token set expires_at = now() + interval '10 minutes'`,
			`update identity.api_key_network set suspect = false`,
			`delete from identity.api_key_network`,
			`delete from identity.federation`,
		} {
			if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %s: %v", role, sql, err)
			}
		}
	}
}
