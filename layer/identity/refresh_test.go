package identity_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// renewing is a desk whose provider gives refresh tokens, and whose sessions ask for groups anew when these are so old.
func renewing(t *testing.T, after time.Duration) *desk {
	t.Helper()
	return newDesk(t, func(cfg *identity.Config, sign *signon.Config) { cfg.RefreshAfter, sign.Refresh = after, true })
}

const always = time.Nanosecond

func (d *desk) groups(person string, groups ...string) {
	d.t.Helper()
	if err := d.provider.SetGroups(person, groups); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) database(token string) (administrator bool) {
	d.t.Helper()
	sum := sha256.Sum256([]byte(token))
	return scan[bool](d.t, d.W, `select administrator from identity.session where hash = $1`, sum[:])
}

func TestNewGroupsTakeEffectAtTheVeryRequest(t *testing.T) { // SYSTEM I3
	d := renewing(t, always)
	alice := d.come("alice")
	if !d.who(alice).Administrator() || !d.database(alice) {
		t.Fatal("alice is no administrator to begin with")
	}
	d.groups("alice")
	who := d.who(alice)
	if who.Nobody() || who.Administrator() || who.Has("members:write") || !who.Has("posts:write") || d.database(alice) {
		t.Errorf("got %v, administrator %t, in the database %t; want a member", who, who.Administrator(), d.database(alice))
	}
	snap, err := d.service.Snapshot(t.Context(), who)
	mac := hmac.New(sha256.New, d.ClaimsKey)
	mac.Write([]byte("redoubt session claims\x00" + string(snap.Hash) + string(snap.Claims)))
	if err != nil || !snap.Live || !hmac.Equal(mac.Sum(nil), snap.MAC) || strings.Contains(string(snap.Claims), "administrators") {
		t.Errorf("what the page gate reads is not what was said: %+v %v", snap, err)
	}
	d.groups("alice", identity.AdministratorGroup(d.acme))
	if !d.who(alice).Administrator() || !d.database(alice) {
		t.Error("in the group again, she is no administrator")
	}
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'session.refreshed' and credential = $1 and organization_id = $2`, who.CredentialID(), d.acme); n < 3 {
		t.Errorf("%d lines in the audit trail", n)
	}
}

func TestAnAdministratorsKeysEndWithTheGroup(t *testing.T) { // SYSTEM I3, I9
	d := renewing(t, always)
	alice := d.who(d.come("alice"))
	id := scan[string](t, d.W, `insert into identity.api_key (hash, organization_id, profile_id, person_id, administrator, name, hint, scopes, mac, expires_at)
		values (sha256($4), $1, $2, $3, true, 'x', 'rdk_x', '{members:read}', sha256('x'), now() + interval '1 day') returning id`, d.acme, alice.Profile(), alice.Person(), []byte(t.Name()+string(d.acme)))
	const lives = `select revoked_at is null from identity.api_key where id = $1`
	token := d.come("alice")
	if d.who(token); !scan[bool](t, d.W, lives, id) {
		t.Error("it ends while she administers")
	}
	d.groups("alice")
	if d.who(token); scan[bool](t, d.W, lives, id) {
		t.Error("it outlives her administration")
	}
}

func TestWhatWasSaidCountsUntilItIsOld(t *testing.T) { // SYSTEM I3
	d := renewing(t, time.Hour)
	alice := d.come("alice")
	d.groups("alice")
	if !d.who(alice).Administrator() || d.refreshes.Load() != 0 {
		t.Error("the provider is asked with every request")
	}
	bound := newDesk(t, func(cfg *identity.Config, _ *signon.Config) { cfg.RefreshAfter = always }) // gives no refresh token
	bob := bound.come("bob")
	if bound.who(bob).Nobody() || bound.refreshes.Load() != 0 {
		t.Error("without a refresh token the session cannot go on")
	}
}

func TestOfManyRequestsOneRefreshes(t *testing.T) { // SYSTEM I5
	d := renewing(t, 2*time.Second)
	alice := d.come("alice")
	other := d.open(d.cfg) // another process
	d.groups("alice")
	d.before(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			time.Sleep(300 * time.Millisecond) // long enough for all to come
		}
		return false
	})
	time.Sleep(3 * time.Second)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			service := d.service
			if i%2 == 1 {
				service = other
			}
			if who, err := service.Identify(with(t, alice)); err != nil || who.Nobody() {
				t.Errorf("a request is turned away: %v %v", who, err)
			}
		})
	}
	all.Wait()
	if n := d.refreshes.Load(); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
	if d.who(alice).Administrator() {
		t.Error("what the one was told is not what counts")
	}
}

func TestAReusedRefreshTokenEndsTheFamily(t *testing.T) { // SYSTEM I5
	d := renewing(t, always)
	var stolen url.Values
	d.before(func(_ http.ResponseWriter, r *http.Request) bool {
		if body, _ := io.ReadAll(r.Body); strings.HasSuffix(r.URL.Path, "/token") {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if form, _ := url.ParseQuery(string(body)); form.Has("refresh_token") && stolen == nil {
				stolen = form
			}
		} else {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		return false
	})
	alice, elsewhere := d.come("alice"), d.come("alice")
	sister := d.come("alice") // of the same family, by what somebody has written into the store
	d.who(alice)              // asks with the token that is about to be stolen
	change(t, d.W, `update identity.session s set family = f.family from identity.session f where s.hash = sha256($1) and f.hash = sha256($2)`, []byte(sister), []byte(alice))
	req, _ := http.NewRequestWithContext(t.Context(), "POST", d.idp.URL+"/token", strings.NewReader(stolen.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("app", "correct horse")
	resp, err := d.idp.Client().Do(req)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("the provider takes a spent token: %v %v", resp, err)
	}
	resp.Body.Close()
	id := scan[string](t, d.W, `select id::text from identity.session where hash = sha256($1)`, []byte(alice))
	alive(t, d.service, alice, false)
	alive(t, d.service, sister, false)
	alive(t, d.service, elsewhere, true)
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'session.ended_by_provider' and entity_id = $1`, id); n != 1 {
		t.Errorf("%d lines in the audit trail", n)
	}
	if scan[bool](t, d.W, `select refresh_token is not null or id_token <> '' from identity.session where id = $1`, id) {
		t.Error("its tokens are kept")
	}
}

func TestAProviderThatIsDownStopsNobody(t *testing.T) { // SYSTEM I3, I5
	d := renewing(t, always)
	alice := d.come("alice")
	d.before(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	for range 5 {
		if who := d.who(alice); !who.Administrator() {
			t.Errorf("got %v", who)
		}
	}
	if n := d.refreshes.Load(); n != 1 {
		t.Errorf("it was asked %d times within its quarter of a minute, want once", n)
	}
	change(t, d.W, `update identity.session set expires_at = now() where hash = sha256($1)`, []byte(alice))
	alive(t, d.service, alice, false) // it goes on to its end, and not beyond
}

func TestAProviderThatHangsIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	d := renewing(t, always)
	alice, bob := d.come("alice"), d.come("bob")
	done := make(chan struct{})
	d.before(func(http.ResponseWriter, *http.Request) bool { <-done; return true })
	t.Cleanup(func() { close(done) })
	begun := time.Now()
	if d.who(alice).Nobody() {
		t.Error("the session has ended")
	}
	if waited := time.Since(begun); waited > 8*time.Second {
		t.Errorf("waited %v", waited)
	}
	if d.who(alice); d.refreshes.Load() != 1 {
		t.Errorf("asked %d times for one session", d.refreshes.Load())
	}
	if d.who(bob); d.refreshes.Load() != 1 {
		t.Error("everybody waits for it in turn")
	}
}

// The successor of a refresh token is kept though the visitor for whom it was asked has gone: without it the next refresh would be a
// reuse, and end the family.
func TestAVisitorWhoLeavesCostsNobodyTheSession(t *testing.T) {
	d := renewing(t, always)
	alice := d.come("alice")
	r := with(t, alice)
	ctx, leave := context.WithCancel(t.Context())
	d.before(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			leave()
			time.Sleep(50 * time.Millisecond)
		}
		return false
	})
	d.service.Identify(r.WithContext(ctx))
	d.before(func(http.ResponseWriter, *http.Request) bool { return false })
	if !scan[bool](t, d.W, `select refreshing_at is null from identity.session where hash = sha256($1)`, []byte(alice)) {
		t.Error("the refresh was left half done")
	}
	change(t, d.W, `update identity.session set refreshing_at = null where hash = sha256($1)`, []byte(alice))
	d.service = d.open(d.cfg) // which asks at once
	for range 2 {
		if d.who(alice).Nobody() {
			t.Error("the session has ended")
		}
	}
}

func TestWhoReadBeforeARefreshDoesNotBeginAnother(t *testing.T) { // SYSTEM I5
	d := renewing(t, time.Hour)
	token := d.come("bob")
	hash := sha256.Sum256([]byte(token))
	mac := scan[[]byte](t, d.W, `select mac from identity.session where hash = $1`, hash[:])
	conn := d.AsIdentity(t)
	for _, c := range []struct {
		name, sql string // $1 is the session's hash, $2 its seal
		want      int64
	}{
		{"the first", `update identity.session set refreshing_at = null where hash = $1`, 1},
		{"one that comes while it asks", `update identity.session set seen_at = now() where hash = $1`, 0},
		{"one when its half minute is over", `update identity.session set refreshing_at = now() - interval '31 seconds' where hash = $1`, 1},
		{"one that read what has been renewed since", `update identity.session set refreshing_at = null, mac = sha256('renewed') where hash = $1`, 0},
		{"one whose session has ended", `update identity.session set revoked_at = now(), mac = $2 where hash = $1`, 0},
	} {
		args := []any{hash[:], mac}
		change(t, d.W, c.sql, args[:strings.Count(c.sql, "$")]...)
		if tag, err := conn.Exec(t.Context(), identity.BeginRefresh, hash[:], mac); err != nil || tag.RowsAffected() != c.want {
			t.Errorf("%s: %d may, %v; want %d", c.name, tag.RowsAffected(), err, c.want)
		}
	}
}

func TestASessionThatEndsWhileItIsRefreshedStaysEnded(t *testing.T) { // SYSTEM I5, I7
	d := renewing(t, always)
	for _, c := range []struct{ name, sql string }{
		{"revoked", `update identity.session set revoked_at = now() where hash = sha256($1)`},
		{"member stopped", `update identity.membership m set active = false from identity.session s where s.hash = sha256($1) and m.id = s.profile_id`}, // and so the last
	} {
		alice := d.come("alice")
		d.before(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/token") {
				change(t, d.W, c.sql, []byte(alice))
			}
			return false
		})
		if who, err := d.service.Identify(with(t, alice)); err != nil || !who.Nobody() {
			t.Errorf("%s: got %v %v", c.name, who, err)
		}
		d.before(func(http.ResponseWriter, *http.Request) bool { return false })
	}
}

func TestWhoCanWriteToTheStoreCannotPutOffARefresh(t *testing.T) { // SYSTEM I3
	d := renewing(t, always)
	for _, c := range []struct {
		name, sql string
		reason    layer.Reason // "" for none
		nobody    bool
	}{
		{"nothing altered", `update identity.session set user_agent = '' where hash = sha256($1)`, "", false},
		{"a refresh that seems to begin in a year", `update identity.session set refreshing_at = now() + interval '1 year' where hash = sha256($1)`, "", false},
		{"a refresh that has begun long ago", `update identity.session set refreshing_at = now() - interval '1 hour' where hash = sha256($1)`, "", false},
		{"no refresh token", `update identity.session set refresh_token = null where hash = sha256($1)`, "", true},
		{"the refresh token of another session", `update identity.session s set refresh_token = (select o.refresh_token from identity.session o where o.revoked_at is null and o.refresh_token is not null and o.id <> s.id limit 1) where hash = sha256($1)`, "", true},
		{"a longer session", `update identity.session set expires_at = now() + interval '1 year' where hash = sha256($1)`, layer.Unauthenticated, true},
		{"another issuer", `update identity.session set issuer = 'https://evil.test' where hash = sha256($1)`, layer.Unauthenticated, true},
		{"another session of the provider's", `update identity.session set sid = '' where hash = sha256($1)`, layer.Unauthenticated, true},
		{"claims that say it has just been done", `update identity.session set claims = convert_to(jsonb_set(convert_from(claims, 'UTF8')::jsonb, '{refreshed_at}', '99999999999')::text, 'UTF8') where hash = sha256($1)`, layer.Unauthenticated, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.groups("alice", identity.AdministratorGroup(d.acme))
			alice := d.come("alice")
			d.groups("alice")
			change(t, d.W, c.sql, []byte(alice))
			who, err := d.service.Identify(with(t, alice))
			if c.reason != "" {
				refused(t, err, c.reason)
			} else if err != nil {
				t.Error(err)
			}
			if who.Nobody() != c.nobody || who.Administrator() {
				t.Errorf("got %v, administrator %t", who, who.Administrator())
			}
		})
	}
}

func TestRefreshTokensAreSealed(t *testing.T) { // SYSTEM I5
	d := renewing(t, time.Hour)
	token := d.come("bob")
	sealed := string(scan[[]byte](t, d.W, `select refresh_token from identity.session where hash = sha256($1)`, []byte(token)))
	if len(sealed) < 60 || strings.Contains(sealed, "rdf1.") || strings.Contains(sealed, "token") {
		t.Errorf("%d bytes, readable", len(sealed))
	}
}

func TestASwitchCarriesTheRefreshTokenOn(t *testing.T) { // SYSTEM I4, I5
	d := renewing(t, always)
	globex := d.Organization("Globex")
	if err := identity.Provision(t.Context(), d.Admin(t), nil, []identity.Provisioned{{Issuer: d.idp.URL, Subject: "alice", Organizations: []layer.OrgID{globex}}}); err != nil {
		t.Fatal(err)
	}
	alice := d.come("alice")
	rec := httptest.NewRecorder()
	if err := d.service.Switch(rec, with(t, alice), d.who(alice), globex); err != nil {
		t.Fatal(err)
	}
	moved := cookieOf(rec, cookieName).Value
	d.groups("alice", identity.AdministratorGroup(globex))
	if who := d.who(moved); who.Organization() != globex || !who.Administrator() {
		t.Errorf("got %v, administrator %t: groups are judged for where the session is", who, who.Administrator())
	}
	alive(t, d.service, alice, false)
	if n := scan[int](t, d.W, `select count(distinct family) from identity.session where hash in (sha256($1), sha256($2))`, []byte(alice), []byte(moved)); n != 1 {
		t.Errorf("%d families", n)
	}
}

func TestSessionsSurviveARestartOfEverything(t *testing.T) { // SYSTEM I5
	d := renewing(t, always)
	alice := d.come("alice")
	d.service.Close()
	d.service = d.open(d.cfg)
	if who := d.who(alice); !who.Administrator() || d.refreshes.Load() == 0 {
		t.Errorf("got %v after %d refreshes", who, d.refreshes.Load())
	}
	other := d.cfg
	other.Key = []byte(strings.Repeat("o", 32))
	_, err := d.open(other).Identify(with(t, alice))
	refused(t, err, layer.Unauthenticated) // another key is another house
}

func TestSessionsAreLimited(t *testing.T) { // SYSTEM I5
	d := newDesk(t, func(cfg *identity.Config, _ *signon.Config) { cfg.MaxSessions = 3 })
	first := d.come("bob")
	id := d.who(first).CredentialID()
	bystander := d.come("alice")
	var rest []string
	for range 2 {
		rest = append(rest, d.come("bob"))
	}
	alive(t, d.service, first, true) // three are three
	rest = append(rest, d.come("bob"))
	alive(t, d.service, first, false)
	for _, token := range append(rest, bystander) {
		alive(t, d.service, token, true)
	}
	if n := scan[int](t, d.W, `select count(*) from audit.log where action = 'session.limit' and entity_id = $1 and organization_id = $2`, id, d.acme); n != 1 {
		t.Errorf("%d lines in the audit trail", n)
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			_, _, err := d.service.InsecureSignIn(t.Context(), signon.Claims{Issuer: d.idp.URL, Subject: "bob", AuthTime: time.Now()}, d.acme)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := scan[int](t, d.W, `select count(*) from identity.session s join identity.person p on p.id = s.person_id where p.issuer = $1 and p.subject = 'bob' and s.revoked_at is null`, d.idp.URL); n != 3 {
		t.Errorf("%d live after six sign-ins at once, want 3", n)
	}
}
