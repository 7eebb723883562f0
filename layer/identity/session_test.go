package identity_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

func TestASessionIsWhoSignedInWhere(t *testing.T) { // SYSTEM I2, I3, I4
	w := layertest.World(t, scoped)
	for _, c := range []struct {
		caller *layertest.Caller
		admin  bool
	}{{w.Member("Acme"), false}, {w.Administrator("Acme"), true}} {
		who, err := w.Identity.Identify(with(t, c.caller.Session()))
		if err != nil {
			t.Fatal(err)
		}
		if who.Organization() != w.Organization("Acme") || !who.Interactive() || who.Administrator() != c.admin ||
			who.Has("members:write") != c.admin || !who.Has("posts:write") || time.Since(who.AuthTime()) > time.Minute {
			t.Errorf("got %v, administrator %t", who, who.Administrator())
		}
	}
	if who, err := w.Identity.Identify(httptest.NewRequest("GET", "/", nil)); err != nil || !who.Nobody() {
		t.Errorf("without a credential: %v %v", who, err)
	}
}

func TestOnlyHashesAreStored(t *testing.T) { // SYSTEM I5, I9
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	key := c.APIKey("posts:write")
	rows := scan[string](t, w, `select coalesce((select string_agg(s::text, '') from identity.session s where organization_id = $1), '') ||
		(select string_agg(k::text, '') from identity.api_key k where organization_id = $1) || (select string_agg(l::text, '') from audit.log l where organization_id = $1)`, w.Organization("Acme"))
	for _, secret := range []string{c.Session(), c.Session()[4:], key, key[8:]} {
		if strings.Contains(rows, secret) {
			t.Error("a secret is stored")
		}
	}
}

func TestAlteringTheSessionStoreGivesNothing(t *testing.T) { // SYSTEM I3, I5, I7
	w := layertest.World(t, scoped)
	admin, org := w.Administrator("Acme"), w.Organization("Acme")
	second := w.Organization("Globex")
	cases := []struct {
		name string
		sql  string // $1 is the session's id
		want layer.Reason
		who  bool // somebody all the same
	}{
		{"nothing altered", `update identity.session set user_agent = 'x' where id = $1`, "", true},
		{"the column administrator set", `update identity.session set administrator = true where id = $1`, "", true},
		{"a group written into the claims", `update identity.session set claims = convert_to(jsonb_set(convert_from(claims, 'UTF8')::jsonb, '{groups}', '["redoubt:administrators:` + string(org) + `"]')::text, 'UTF8') where id = $1`, layer.Unauthenticated, false},
		{"the claims of an administrator's session", `update identity.session set (claims, mac, administrator) = (select claims, mac, true from identity.session where id = '` + admin.Principal().CredentialID() + `') where id = $1`, layer.Unauthenticated, false},
		{"no claims", `update identity.session set claims = '' where id = $1`, layer.Unauthenticated, false},
		{"another seal", `update identity.session set mac = decode(repeat('00', 32), 'hex') where id = $1`, layer.Unauthenticated, false},
		{"moved to another organization of the person's", `update identity.session s set organization_id = m.organization_id, profile_id = m.id from identity.membership m where s.id = $1 and m.person_id = s.person_id and m.organization_id = '` + string(second) + `'`, layer.Unauthenticated, false},
		{"moved to another member", `update identity.session set profile_id = '` + string(admin.Principal().Profile()) + `', person_id = '` + string(admin.Principal().Person()) + `' where id = $1`, layer.Unauthenticated, false},
		{"revoked", `update identity.session set revoked_at = now() where id = $1`, "", false},
		{"expired", `update identity.session set expires_at = now() where id = $1`, "", false},
		{"idle", `update identity.session set seen_at = now() - idle where id = $1`, "", false},
		{"deleted", `delete from identity.session where id = $1`, "", false},
		{"member stopped", `update identity.membership m set active = false from identity.session s where s.id = $1 and m.id = s.profile_id`, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			member := w.Member("Acme", layertest.AlsoOf("Globex"))
			change(t, w, c.sql, member.Principal().CredentialID())
			who, err := w.Identity.Identify(with(t, member.Session()))
			if c.want != "" {
				refused(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
			if who.Nobody() == c.who || who.Administrator() || who.Has("members:write") {
				t.Errorf("got %v, administrator %t", who, who.Administrator())
			}
		})
	}
}

func TestAnOrganizationThatIsStoppedIsClosed(t *testing.T) {
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	key := c.APIKey("posts:write")
	change(t, w, `update identity.organization set active = false where id = $1`, w.Organization("Acme"))
	living(t, w, c.Session(), false)
	if w.Identity.KeyLives(t.Context(), key) {
		t.Error("its key lives")
	}
}

func TestUseKeepsASessionFromIdlingOut(t *testing.T) { // SYSTEM I5
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	id := c.Principal().CredentialID()
	const seen = `select seen_at > now() - interval '5 seconds' from identity.session where id = $1`
	for _, step := range []struct {
		ago  string
		want bool
	}{{"30 seconds", false}, {"2 minutes", true}} { // once a minute is enough
		change(t, w, `update identity.session set seen_at = now() - $2::interval where id = $1`, id, step.ago)
		living(t, w, c.Session(), true)
		if got := scan[bool](t, w, seen, id); got != step.want {
			t.Errorf("seen %s ago: touched %t, want %t", step.ago, got, step.want)
		}
	}
	change(t, w, `update identity.session set seen_at = now() - interval '2 minutes', expires_at = now() where id = $1`, id)
	living(t, w, c.Session(), false)
}

func TestCookiesThatAreNoSession(t *testing.T) {
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	key := c.APIKey("posts:write")
	for name, value := range map[string]string{
		"empty": "", "short": "rds_", "an API key": key, "without its prefix": c.Session()[4:], "a letter more": c.Session() + "x", "in capitals": strings.ToUpper(c.Session()),
		"of another": "rds_" + strings.Repeat("A", 43), "a quote": `rds_' or 1=1 --` + strings.Repeat("x", 32), "long": strings.Repeat("x", 4000),
	} {
		if who, err := w.Identity.Identify(with(t, value)); err != nil || !who.Nobody() {
			t.Errorf("%s: %v %v", name, who, err)
		}
	}
	r := with(t, c.Session())
	r.AddCookie(&http.Cookie{Name: cookieName, Value: c.Session()})
	_, err := w.Identity.Identify(r)
	refused(t, err, layer.Malformed) // somebody has planted one
}

func TestSwitchingEndsTheOldSession(t *testing.T) { // SYSTEM I4, I5
	w := layertest.World(t, scoped)
	c := w.Member("Acme", layertest.AlsoOf("Globex"))
	w.Organization("Elsewhere")
	const expires = `update identity.session set expires_at = now() + interval '2 hours' where id = $1`
	change(t, w, expires, c.Principal().CredentialID())
	switchTo := func(from string, org layer.OrgID) (*httptest.ResponseRecorder, error) {
		rec := httptest.NewRecorder()
		who, err := w.Identity.Identify(with(t, from))
		if err != nil {
			t.Fatal(err)
		}
		return rec, w.Identity.Switch(rec, with(t, from), who, org)
	}
	_, err := switchTo(c.Session(), w.Organization("Elsewhere"))
	refused(t, err, layer.NotFound)
	living(t, w, c.Session(), true)
	rec, err := switchTo(c.Session(), w.Organization("Globex"))
	if err != nil {
		t.Fatal(err)
	}
	cookie := rec.Result().Cookies()[0]
	strict(t, cookie, cookieName)
	if left := time.Duration(cookie.MaxAge) * time.Second; left > 2*time.Hour || left < 119*time.Minute {
		t.Errorf("the new session has %v, want the rest of the old one's", left)
	}
	living(t, w, c.Session(), false)
	who, err := w.Identity.Identify(with(t, cookie.Value))
	if err != nil || who.Organization() != w.Organization("Globex") || who.Person() != c.Principal().Person() || who.Profile() == c.Principal().Profile() {
		t.Errorf("got %v %v", who, err)
	}
	if left := scan[float64](t, w, `select extract(epoch from expires_at - now())::float8 from identity.session where id = $1`, who.CredentialID()); left > 7200 || left < 7100 {
		t.Errorf("the store gives it %v s", left)
	}
	_, err = switchTo(c.Session(), w.Organization("Acme"))
	refused(t, err, layer.Unauthenticated) // with the old one nothing is possible
	change(t, w, `update identity.membership set active = false where id = $1`, c.Principal().Profile())
	_, err = switchTo(cookie.Value, w.Organization("Acme"))
	refused(t, err, layer.NotFound) // stopped there
}

// An administrator of one organization is none in another, whatever they switch to.
func TestSwitchingJudgesAdministrationAnew(t *testing.T) { // SYSTEM I3, I4
	w := layertest.World(t, scoped)
	c := w.Administrator("Acme", layertest.AlsoOf("Globex"))
	rec := httptest.NewRecorder()
	if err := w.Identity.Switch(rec, with(t, c.Session()), c.Principal(), w.Organization("Globex")); err != nil {
		t.Fatal(err)
	}
	who, err := w.Identity.Identify(with(t, rec.Result().Cookies()[0].Value))
	if err != nil || who.Nobody() || who.Administrator() {
		t.Errorf("got %v, administrator %t, %v", who, who.Administrator(), err)
	}
	if scan[bool](t, w, `select administrator from identity.session where id = $1`, who.CredentialID()) {
		t.Error("the database makes them one")
	}
}

func TestOfParallelSwitchesOneWins(t *testing.T) { // SYSTEM I5
	w := layertest.World(t, scoped)
	c := w.Member("Acme", layertest.AlsoOf("Globex"))
	const n = 8
	var won [n]bool
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			rec := httptest.NewRecorder()
			err := w.Identity.Switch(rec, with(t, c.Session()), c.Principal(), w.Organization([]string{"Acme", "Globex"}[i%2]))
			won[i] = err == nil
		})
	}
	all.Wait()
	count := 0
	for _, ok := range won {
		if ok {
			count++
		}
	}
	if alive := scan[int](t, w, `select count(*) from identity.session where person_id = $1 and revoked_at is null`, c.Principal().Person()); count != 1 || alive != 1 {
		t.Errorf("%d switches won and %d sessions live, want 1 and 1", count, alive)
	}
}

func TestAPersonEndsTheirOwnSessionsAlone(t *testing.T) { // SYSTEM I5, A5
	w := layertest.World(t, scoped)
	alice, bob := w.Member("Acme", layertest.AlsoOf("Globex")), w.Member("Acme")
	there := alice.SignIn("Globex")
	list, err := identity.Sessions(w.DB.As(t.Context(), alice.Principal()))
	if err != nil || len(list) != 2 {
		t.Fatalf("got %d sessions, %v; want those of both organizations", len(list), err)
	}
	revoke := func(who layer.Principal, id string) error {
		_, err := action.Do(t.Context(), w.DB, who, "sessions:write", func(tx *action.Tx) (int, error) { return 0, identity.RevokeSession(tx.Tx, id) })
		return err
	}
	refused(t, revoke(bob.Principal(), there.Principal().CredentialID()), layer.NotFound)
	living(t, w, there.Session(), true)
	if err := revoke(alice.Principal(), there.Principal().CredentialID()); err != nil {
		t.Error(err)
	}
	living(t, w, there.Session(), false)
	third := alice.SignIn("Acme")
	n, err := action.Do(t.Context(), w.DB, alice.Principal(), "sessions:write", func(tx *action.Tx) (int, error) { return identity.RevokeOtherSessions(tx.Tx) })
	if n != 1 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	living(t, w, third.Session(), false)
	living(t, w, alice.Session(), true)
	living(t, w, bob.Session(), true)
}

func TestStoppingAMemberIsTheirOwnOrganizationsBusiness(t *testing.T) { // SYSTEM I7, A5
	w := layertest.World(t, scoped)
	boss, other, bob := w.Administrator("Acme"), w.Administrator("Globex"), w.Member("Acme", layertest.AlsoOf("Globex"))
	elsewhere, key := bob.SignIn("Globex"), bob.APIKey("posts:write")
	set := func(who layer.Principal, member layer.ProfileID, active bool) error {
		_, err := action.Do(t.Context(), w.DB, who, "members:write", func(tx *action.Tx) (int, error) { return 0, identity.SetMemberActive(tx.Tx, member, active) })
		return err
	}
	isRefused(t, "another organization's administrator", set(other.Principal(), bob.Principal().Profile(), false), layer.RLS, layer.NotFound)
	living(t, w, bob.Session(), true)
	if err := set(boss.Principal(), bob.Principal().Profile(), false); err != nil {
		t.Fatal(err)
	}
	living(t, w, bob.Session(), false)
	living(t, w, elsewhere.Session(), true) // their place elsewhere is not Acme's
	if w.Identity.KeyLives(t.Context(), key) {
		t.Error("their key lives")
	}
	if err := set(boss.Principal(), bob.Principal().Profile(), true); err != nil {
		t.Fatal(err)
	}
	living(t, w, bob.Session(), false) // readmitted, but their sessions have ended
	if err := set(boss.Principal(), boss.Principal().Profile(), false); err == nil {
		t.Error("an administrator stopped themselves")
	}
	living(t, w, boss.Session(), true)
}

// strict checks a cookie's attributes (SYSTEM T3).
func strict(t *testing.T, c *http.Cookie, name string) {
	t.Helper()
	if c.Name != name || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("got %v", c)
	}
}

// TestWhatHasEndedStaysEnded tries with the one role that has to be able to end sessions and keys, and with the superuser, whom policies do not hold.
func TestWhatHasEndedStaysEnded(t *testing.T) { // SYSTEM D3, I5, I9
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	id, key := c.Principal().CredentialID(), c.APIKey("posts:write")
	identityRole, admin := w.AsIdentity(t), w.Admin(t)
	for _, table := range []string{"session", "api_key"} {
		row := ` where id = '` + id + `'`
		if table == "api_key" {
			row = ` where profile_id = '` + string(c.Principal().Profile()) + `'`
		}
		if tag, err := identityRole.Exec(t.Context(), `update identity.`+table+` set revoked_at = now()`+row); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("ending a %s: %v %v", table, tag, err)
		}
		for _, revive := range []string{`null`, `now() + interval '1 day'`} {
			if tag, err := identityRole.Exec(t.Context(), `update identity.`+table+` set revoked_at = `+revive+row); err == nil && tag.RowsAffected() != 0 {
				t.Errorf("identity's role sets revoked_at of an ended %s to %s", table, revive)
			}
			if _, err := admin.Exec(t.Context(), `update identity.`+table+` set revoked_at = `+revive+row); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("the trigger lets revoked_at of an ended %s become %s: %v", table, revive, err)
			}
		}
	}
	if w.Identity.KeyLives(t.Context(), key) {
		t.Error("the key lives")
	}
}

// TestNobodyIsInAnothersPlace tries what a mistake in choosing a membership would do: the schema refuses it, whoever writes.
func TestNobodyIsInAnothersPlace(t *testing.T) { // SYSTEM D4, I4
	w := layertest.World(t, scoped)
	c, boss := w.Member("Acme"), w.Administrator("Acme")
	c.APIKey("posts:write")
	for _, table := range []string{"session", "api_key"} {
		for _, set := range []string{`profile_id = '` + string(boss.Principal().Profile()) + `'`, `person_id = '` + string(boss.Principal().Person()) + `'`} {
			_, err := w.Admin(t).Exec(t.Context(), `update identity.`+table+` set `+set+` where profile_id = '`+string(c.Principal().Profile())+`'`)
			if err == nil || !strings.Contains(err.Error(), "23503") {
				t.Errorf("%s: %s: %v", table, set, err)
			}
		}
	}
}
