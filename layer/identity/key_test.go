package identity_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestAKeyDoesWhatItWasGiven(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	c := w.Administrator("Acme")
	key := c.APIKey("posts:write")
	who, err := w.Identity.Identify(by(t, "Bearer "+key))
	if err != nil || who.Interactive() || who.Administrator() || !who.Has("posts:write") || who.Has("members:write") || who.Profile() != c.Principal().Profile() {
		t.Errorf("got %v %v", who, err)
	}
	if !scan[bool](t, w, `select last_used_at > now() - interval '10 seconds' from identity.api_key where id = $1`, who.CredentialID()) {
		t.Error("its use is not recorded")
	}
	if n := scan[int](t, w, `select count(*) from audit.log where action = 'api_key.created' and entity_id = $1 and actor = $2`, who.CredentialID(), c.Principal().Profile()); n != 1 {
		t.Errorf("%d lines in the audit trail", n)
	}
}

func TestALeakedKeyIsRecognised(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	key := w.Member("Acme").APIKey("posts:write")
	if !regexp.MustCompile(`^` + identity.KeyPattern + `$`).MatchString(key) {
		t.Errorf("a key does not match its pattern")
	}
}

func TestHeadersThatAreNoKey(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	c := w.Member("Acme")
	key := c.APIKey("posts:write")
	typo := key[:10] + string(key[10]^1) + key[11:]
	for name, header := range map[string][]string{
		"nothing": {""}, "a scheme alone": {"Bearer"}, "an empty key": {"Bearer "}, "another scheme": {"Basic " + key}, "no scheme": {key},
		"two headers": {"Bearer " + key, "Bearer " + key}, "two keys": {"Bearer " + key + " " + key}, "a comma": {"Bearer " + key + ","},
		"a session": {"Bearer " + c.Session()}, "a letter mistyped": {"Bearer " + typo}, "two letters changed about": {"Bearer " + key[:4] + key[5:6] + key[4:5] + key[6:] + "x"},
		"a letter less": {"Bearer " + key[:41]}, "a letter more": {"Bearer " + key + "0"}, "in capitals": {"Bearer " + strings.ToUpper(key)}, "a space before": {"Bearer  " + key},
		"long": {"Bearer " + strings.Repeat("x", 1<<20)},
	} {
		who, err := w.Identity.Identify(by(t, header...))
		if !who.Nobody() {
			t.Errorf("%s: identified %v", name, who)
		}
		refused(t, err, layer.Unauthenticated)
	}
	if who, err := w.Identity.Identify(by(t, "bearer "+key)); err != nil || who.Nobody() { // RFC 9110 §11.1: a scheme has no case
		t.Errorf("got %v %v", who, err)
	}
	r := by(t, "Bearer "+typo)
	r.AddCookie(identity.SessionCookie(c.Session()))
	_, err := w.Identity.Identify(r)
	refused(t, err, layer.Unauthenticated) // a bad key is not made good by a cookie
}

func TestAlteringTheKeyStoreGivesNothing(t *testing.T) { // SYSTEM I3, I9
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme")
	for name, sql := range map[string]string{ // $1 is the hash
		"scopes widened":                 `update identity.api_key set scopes = scopes || '{members:write}' where hash = sha256($1)`,
		"scopes exchanged":               `update identity.api_key set scopes = '{members:write}' where hash = sha256($1)`,
		"scopes run together":            `update identity.api_key set scopes = '{keys:writeposts:write}' where hash = sha256($1)`,
		"administrator set":              `update identity.api_key set administrator = true where hash = sha256($1)`,
		"a longer life":                  `update identity.api_key set expires_at = expires_at + interval '1 day' where hash = sha256($1)`,
		"given to another member":        `update identity.api_key set profile_id = '` + string(boss.Principal().Profile()) + `', person_id = '` + string(boss.Principal().Person()) + `' where hash = sha256($1)`,
		"given another id":               `update identity.api_key set id = gen_random_uuid() where hash = sha256($1)`,
		"given another seal":             `update identity.api_key set mac = decode(repeat('00', 32), 'hex') where hash = sha256($1)`,
		"expired":                        `update identity.api_key set expires_at = now() where hash = sha256($1)`,
		"revoked":                        `update identity.api_key set revoked_at = now() where hash = sha256($1)`,
		"deleted":                        `delete from identity.api_key where hash = sha256($1)`,
		"moved under another key's hash": `update identity.api_key set hash = sha256('x' || $1) where hash = sha256($1)`,
	} {
		key := w.Member("Acme").APIKey("keys:write", "posts:write")
		change(t, w, sql, []byte(key))
		who, err := w.Identity.Identify(by(t, "Bearer "+key))
		if !who.Nobody() {
			t.Errorf("%s: identified %v", name, who)
		}
		refused(t, err, layer.Unauthenticated)
	}
}

func addKey(t *testing.T, w *layertest.W, who layer.Principal, scopes []string, life time.Duration) (identity.Key, error) {
	t.Helper()
	return action.Do(t.Context(), w.DB, who, "keys:write", func(tx *action.Tx) (identity.Key, error) {
		_, key, err := w.Identity.AddKey(tx.Tx, who, "mine", scopes, life)
		return key, err
	})
}

func TestAKeyCanDoNoMoreThanItsMaker(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	member := w.Member("Acme")
	_, err := addKey(t, w, member.Principal(), []string{"members:write"}, time.Hour)
	refused(t, err, layer.Forbidden)
	machine, err := w.Identity.Identify(by(t, "Bearer "+member.APIKey("keys:write", "posts:write")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := addKey(t, w, machine, []string{"posts:write"}, time.Hour); err == nil {
		t.Error("a key has made a key")
	}
	key, err := addKey(t, w, member.Principal(), []string{"posts:write", "posts:write"}, 10*365*24*time.Hour)
	if err != nil || key.ExpiresAt.After(time.Now().Add(366*24*time.Hour+time.Minute)) || len(key.Scopes) != 1 {
		t.Errorf("got %v %v, want a year at most and each scope once", key, err)
	}
	for name, life := range map[string]time.Duration{"none": 0, "less": -time.Hour} {
		if _, err := addKey(t, w, member.Principal(), []string{"posts:write"}, life); err == nil {
			t.Errorf("a life of %s was given", name)
		}
	}
	if _, err := addKey(t, w, member.Principal(), nil, time.Hour); err == nil {
		t.Error("a key without scopes was made")
	}
}

// The database judges for itself, whatever the program asks it to record.
func TestTheDatabaseRefusesAKeyBeyondItsMaker(t *testing.T) { // SYSTEM A4, I9
	w := layertest.World(t, scoped)
	member := w.Member("Acme").Principal()
	const add = `select redoubt.add_api_key(gen_random_uuid(), sha256($1), 'x', 'rdk_xxxx', $2, $3, now() + $4::interval, sha256('x'))`
	for _, c := range []struct {
		name   string
		scopes []string
		admin  bool
		life   string
		want   layer.Reason
	}{
		{"a scope that the member lacks", []string{"members:write"}, false, "1 day", layer.Forbidden},
		{"an administrator's key", []string{"posts:write"}, true, "1 day", layer.Forbidden},
		{"two years", []string{"posts:write"}, false, "2 years", layer.Conflict},
		{"a life that has ended", []string{"posts:write"}, false, "-1 day", layer.Conflict},
	} {
		_, err := action.Do(t.Context(), w.DB, member, "keys:write", func(tx *action.Tx) (int64, error) {
			return rls.Do(tx, add, []byte(c.name), c.scopes, c.admin, c.life)
		})
		if r, ok := err.(*layer.Refusal); !ok || r.Reason != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestKeysAreBounded(t *testing.T) {
	w := layertest.World(t, scoped)
	who := w.Member("Acme").Principal()
	for i := range 50 {
		if _, err := addKey(t, w, who, []string{"posts:write"}, time.Hour); err != nil {
			t.Fatalf("key %d: %v", i+1, err)
		}
	}
	if _, err := addKey(t, w, who, []string{"posts:write"}, time.Hour); err == nil {
		t.Error("a fifty-first key was made")
	}
}

func TestAnAdministratorsKeyEndsWithTheirAdministration(t *testing.T) { // SYSTEM I3
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme")
	strong, weak := boss.APIKey("members:write"), boss.APIKey("posts:write")
	who, err := w.Identity.Identify(by(t, "Bearer "+strong))
	if err != nil || !who.Has("members:write") || !who.Administrator() {
		t.Fatalf("got %v %v", who, err)
	}
	said := boss.Claims()
	said.Groups = nil // the provider has taken them out of the group, and says so at the next sign-in
	if _, _, err := w.Identity.InsecureSignIn(t.Context(), said, w.Organization("Acme")); err != nil {
		t.Fatal(err)
	}
	if w.Identity.KeyLives(t.Context(), strong) {
		t.Error("the administrator's key lives")
	}
	if !w.Identity.KeyLives(t.Context(), weak) {
		t.Error("the member's key has ended with it")
	}
}

func TestAMemberSeesAndRevokesTheirOwnKeysAlone(t *testing.T) { // SYSTEM I9, A5
	w := layertest.World(t, scoped)
	alice, bob := w.Member("Acme"), w.Member("Acme")
	secret := alice.APIKey("posts:write")
	keys, err := identity.Keys(w.DB.As(t.Context(), alice.Principal()))
	if err != nil || len(keys) != 1 || keys[0].Hint != secret[:8] {
		t.Fatalf("got %v %v", keys, err)
	}
	if keys, err := identity.Keys(w.DB.As(t.Context(), bob.Principal())); err != nil || len(keys) != 0 {
		t.Errorf("another sees %v %v", keys, err)
	}
	revoke := func(who layer.Principal) error {
		_, err := action.Do(t.Context(), w.DB, who, "keys:write", func(tx *action.Tx) (int, error) { return 0, identity.RevokeKey(tx.Tx, keys[0].ID) })
		return err
	}
	refused(t, revoke(bob.Principal()), layer.NotFound)
	if !w.Identity.KeyLives(t.Context(), secret) {
		t.Error("another has revoked it")
	}
	if err := revoke(alice.Principal()); err != nil || w.Identity.KeyLives(t.Context(), secret) {
		t.Errorf("it lives on: %v", err)
	}
	refused(t, revoke(alice.Principal()), layer.NotFound) // once
}
