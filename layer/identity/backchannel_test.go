package identity_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// leave signs out at the provider the session that token belongs to, and returns the logout token that it sends.
func (d *desk) leave(token string, alter ...func(*devidp.Token)) string {
	d.t.Helper()
	for _, f := range alter {
		d.provider.MisbehaveLogout(f)
	}
	hint := scan[string](d.t, d.W, `select id_token from identity.session where hash = sha256($1)`, []byte(token))
	resp, err := d.idp.Client().Get(d.idp.URL + "/end_session?id_token_hint=" + hint)
	if err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case told := <-d.told:
		return told
	case <-time.After(5 * time.Second):
		d.t.Fatalf("the provider says nothing (status %d)", resp.StatusCode)
		return ""
	}
}

func withoutSID(t *devidp.Token) { delete(t.Claims, "sid") }
func withoutSub(t *devidp.Token) { delete(t.Claims, "sub") }

func TestTheProviderEndsASession(t *testing.T) { // SYSTEM I5, Back-Channel Logout 1.0
	for name, alter := range map[string][]func(*devidp.Token){"by sid and sub": nil, "by sid": {withoutSub}} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			here, there, bob := d.come("alice"), d.come("alice"), d.come("bob")
			id := d.who(here).CredentialID()
			if err := d.service.EndByProvider(t.Context(), d.leave(here, alter...)); err != nil {
				t.Fatal(err)
			}
			alive(t, d.service, here, false)
			alive(t, d.service, there, true)
			alive(t, d.service, bob, true)
			if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'session.ended_by_provider' and entity_id = $1 and organization_id = $2`, id, d.acme); n != 1 {
				t.Errorf("%d lines in the audit trail", n)
			}
		})
	}
	t.Run("by sub: all of the person's", func(t *testing.T) {
		d := newDesk(t)
		here, there, bob := d.come("alice"), d.come("alice"), d.come("bob")
		if err := d.service.EndByProvider(t.Context(), d.leave(here, withoutSID)); err != nil {
			t.Fatal(err)
		}
		alive(t, d.service, here, false)
		alive(t, d.service, there, false)
		alive(t, d.service, bob, true)
	})
	t.Run("a session that nobody has here", func(t *testing.T) {
		d := newDesk(t)
		here := d.come("alice")
		if err := d.service.EndByProvider(t.Context(), d.leave(here, func(t *devidp.Token) { t.Claims["sid"] = "another" })); err != nil {
			t.Error(err)
		}
		alive(t, d.service, here, true)
	})
	t.Run("the sid of one and the sub of another", func(t *testing.T) {
		d := newDesk(t)
		here, bob := d.come("alice"), d.come("bob")
		if err := d.service.EndByProvider(t.Context(), d.leave(here, func(t *devidp.Token) { t.Claims["sub"] = "bob" })); err != nil {
			t.Error(err)
		}
		alive(t, d.service, here, true)
		alive(t, d.service, bob, true)
	})
}

func TestALogoutTokenIsHeededOnceByAllProcesses(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	told := d.leave(d.come("bob"), withoutSID)
	if err := d.service.EndByProvider(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	again := d.come("bob")
	before := d.events("logout_token.refused")
	for _, service := range []*identity.Service{d.service, d.open(d.cfg)} {
		refused(t, service.EndByProvider(t.Context(), told), layer.Unauthenticated)
	}
	alive(t, d.service, again, true)
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'logout_token.refused' and entity_id = 'replayed' and category = 'security'`); n < 2 || d.events("logout_token.refused")-before != 2 {
		t.Errorf("%d lines in the audit trail", n)
	}
	var all sync.WaitGroup
	told = d.leave(again, withoutSID)
	var heeded [8]bool
	for i := range heeded {
		all.Go(func() { heeded[i] = d.service.EndByProvider(t.Context(), told) == nil })
	}
	all.Wait()
	if n := strings.Count(strings.Join(strings.Fields(sprint(heeded[:])), ""), "true"); n != 1 {
		t.Errorf("heeded %d times at once", n)
	}
	if _, err := d.Admin(t).Exec(t.Context(), `update identity.logout set expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if err := d.service.EndByProvider(t.Context(), d.leave(d.come("bob"))); err != nil {
		t.Fatal(err)
	}
	if n := scan[int](t, d.W, `select count(*) from identity.logout`); n != 1 {
		t.Errorf("%d are remembered, want the last", n)
	}
}

func TestLogoutTokensThatAreNotHeeded(t *testing.T) { // SYSTEM I5
	d, other := newDesk(t), newDesk(t)
	here := d.come("alice")
	for _, c := range []struct {
		name  string
		token func() string
		want  string // the check's name
	}{
		{"nothing", func() string { return "" }, "no_provider"},
		{"no token", func() string { return "a.b.c" }, "no_provider"},
		{"too long", func() string { return strings.Repeat("a", 20<<10) }, "no_provider"},
		{"of a provider that is not configured", func() string { return other.leave(other.come("alice")) }, "no_provider"},
		{"of another provider under this one's name", func() string {
			return other.leave(other.come("alice"), func(t *devidp.Token) { t.Claims["iss"] = d.idp.URL })
		}, "key"},
		{"for another client", func() string {
			return d.leave(d.come("alice"), func(t *devidp.Token) { t.Claims["aud"] = "other" })
		}, "audience"},
		{"without an event", func() string {
			return d.leave(d.come("alice"), func(t *devidp.Token) { delete(t.Claims, "events") })
		}, "event"},
		{"with a nonce", func() string {
			return d.leave(d.come("alice"), func(t *devidp.Token) { t.Claims["nonce"] = "x" })
		}, "event"},
		{"of an hour ago", func() string {
			return d.leave(d.come("alice"), func(t *devidp.Token) { t.Claims["iat"] = time.Now().Add(-time.Hour).Unix() })
		}, "stale"},
		{"unsigned", func() string { return d.leave(d.come("alice"), func(t *devidp.Token) { t.Algorithm = "none" }) }, "algorithm"},
		{"an ID token", func() string {
			return scan[string](t, d.W, `select id_token from identity.session where hash = sha256($1)`, []byte(here))
		}, "event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := c.token()
			before := d.events("logout_token.refused")
			refused(t, d.service.EndByProvider(t.Context(), token), layer.Unauthenticated)
			if n := d.events("logout_token.refused") - before; n != 1 {
				t.Errorf("%d lines in the audit trail", n)
			}
			name := scan[string](t, d.W, `select entity_id from audit.log where action = 'logout_token.refused' order by id desc limit 1`)
			if !strings.Contains(" "+c.want+" malformed ", " "+name+" ") {
				t.Errorf("refused by %q, want %q", name, c.want)
			}
			alive(t, d.service, here, true)
		})
	}
}

// A provider sends a logout token once. What holds a row for a moment must not keep the session alive; what holds it for long must not
// use the token up.
func TestALogoutWaitsForABusyDatabase(t *testing.T) { // SYSTEM I5
	t.Parallel()
	d := newDesk(t)
	here := d.come("alice")
	hold := func() (release func()) {
		tx, err := d.Admin(t).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `select from identity.session where hash = sha256($1) for update`, []byte(here)); err != nil {
			t.Fatal(err)
		}
		return func() { tx.Rollback(t.Context()) }
	}
	told := d.leave(here)
	release := hold()
	refused(t, d.service.EndByProvider(t.Context(), told), layer.Unavailable)
	release()
	alive(t, d.service, here, true)
	release = hold()
	time.AfterFunc(3*time.Second, release)
	if err := d.service.EndByProvider(t.Context(), told); err != nil { // the same token: nothing had come of it
		t.Error(err)
	}
	alive(t, d.service, here, false)
}

// waitForLocks waits until so many transactions of this database wait for another's lock.
func (d *desk) waitForLocks(n int) {
	d.t.Helper()
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		if scan[int](d.t, d.W, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) >= n {
			return
		}
	}
	d.t.Fatalf("%d transactions never wait for a lock", n)
}

func TestASwitchDoesNotEscapeALogout(t *testing.T) { // SYSTEM I4, I5
	d := newDesk(t)
	globex := d.Organization("Globex")
	if err := identity.Provision(t.Context(), d.Admin(t), nil, []identity.Provisioned{{Issuer: d.idp.URL, Subject: "bob", Organizations: []layer.OrgID{globex}}}); err != nil {
		t.Fatal(err)
	}
	token := d.come("bob")
	who, told := d.who(token), d.leave(token)
	// The switch has opened its new session, and waits to record that: now the logout comes, and waits for it. What it looked for
	// before the switch has committed is not all there is.
	tx, err := d.Admin(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table audit.log in share mode`); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := d.service.Switch(httptest.NewRecorder(), with(t, token), who, globex); err != nil {
			t.Error(err)
		}
	})
	d.waitForLocks(1)
	all.Go(func() {
		if err := d.service.EndByProvider(t.Context(), told); err != nil {
			t.Error(err)
		}
	})
	d.waitForLocks(2)
	tx.Rollback(t.Context())
	all.Wait()
	if n := scan[int](t, d.W, `select count(*) from identity.session where person_id = $1`, who.Person()); n != 2 {
		t.Errorf("%d sessions, want one and what came of it", n)
	}
	if n := scan[int](t, d.W, `select count(*) from identity.session where person_id = $1 and revoked_at is null`, who.Person()); n != 0 {
		t.Errorf("%d have escaped", n)
	}
}

func TestASignInThatIsOvertakenByALogoutOpensNothing(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	to, remembered := d.begin()
	answer := d.choose(to, "alice")
	first := d.come("alice")
	sid := ""
	d.provider.Misbehave(func(t *devidp.Token) { sid, _ = t.Claims["sid"].(string) }) // of the sign-in under way
	told := d.leave(first, func(t *devidp.Token) { t.Claims["sid"] = "overtaken" })
	if err := d.service.EndByProvider(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	d.provider.Misbehave(func(t *devidp.Token) { sid = "overtaken"; t.Claims["sid"] = sid })
	rec, _, err := d.finish(answer, remembered)
	refused(t, err, layer.Unauthenticated)
	if cookieOf(rec, cookieName) != nil || sid == "" {
		t.Error("a session cookie was given")
	}
	if name := scan[string](t, d.W, `select entity_id from audit.log where action = 'sign_in.refused' order by id desc limit 1`); name != "logged_out" {
		t.Errorf("refused by %q", name)
	}
	d.come("alice") // the next one is another session of the provider's
}
