package identity_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// newTrust is what an administrator says in the tests, unless it is altered.
func newTrust(alter ...func(*identity.NewTrust)) identity.NewTrust {
	n := identity.NewTrust{Name: "CI", Issuer: layertest.MachineIssuer, SubjectPattern: mainBranch, Scopes: []string{"posts:write"}}
	for _, a := range alter {
		a(&n)
	}
	return n
}

func addTrust(t *testing.T, w *layertest.W, who layer.Principal, n identity.NewTrust) (identity.Trust, error) {
	t.Helper()
	return action.Do(t.Context(), w.DB, who, "machines:write", func(tx *action.Tx) (identity.Trust, error) { return w.Identity.AddTrust(tx.Tx, who, n) })
}

func mustTrust(t *testing.T, w *layertest.W, who layer.Principal, n identity.NewTrust) identity.Trust {
	t.Helper()
	made, err := addTrust(t, w, who, n)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func exchange(t *testing.T, w *layertest.W, token string, scopes ...string) (identity.Issued, error) {
	t.Helper()
	return w.Identity.Exchange(t.Context(), identity.Exchange{Token: token, Scopes: scopes})
}

// untrusted is the last word of the audit trail about an exchange that was refused for org; "" for none.
func untrusted(t *testing.T, w *layertest.W, org any) string {
	t.Helper()
	return scan[string](t, w, `select coalesce((select changes->>'reason' from audit.log where action = 'federation.refused' and category = 'security'
		and organization_id is not distinct from $1 order by id desc limit 1), '')`, org)
}

func unexchanged(t *testing.T, err error, want layer.Reason) {
	t.Helper()
	refused(t, err, want)
	for _, secret := range []string{"repo:", "eyJ", "evil", "example.test"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the refusal says %q", err)
		}
	}
}

func TestAMachineActsForItsOrganization(t *testing.T) { // SYSTEM I9, D2
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme")
	made := mustTrust(t, w, boss.Principal(), newTrust())
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil || issued.Life < 14*time.Minute || issued.Life > 15*time.Minute || fmt.Sprint(issued.Scopes) != "[posts:write]" {
		t.Fatalf("got %v %v, want a quarter of an hour with the trust's scopes", issued.Life, err)
	}
	who, err := w.Identity.Identify(by(t, "Bearer "+issued.Token))
	if err != nil || who.Interactive() || who.Administrator() || who.Profile() != "" || who.Person() != "" || who.Organization() != w.Organization("Acme") ||
		!who.Has("posts:write") || who.Has("keys:write") || !strings.HasPrefix(who.String(), "machine ") {
		t.Fatalf("got %v %v", who, err)
	}
	kind, err := rls.One[string](w.DB.As(t.Context(), who), `select redoubt.credential_kind() || coalesce(redoubt.profile()::text, '-') || redoubt.org() || redoubt.has('posts:write') || redoubt.has('keys:write')`)
	if want := "m-" + string(w.Organization("Acme")) + "truefalse"; err != nil || kind != want {
		t.Errorf("the database knows %q %v, want %q", kind, err, want)
	}
	if n := scan[int](t, w, `select count(*) from audit.log where action = 'federation.exchanged' and category = 'credential' and organization_id = $1 and entity_id = $2
		and credential = $3 and changes->>'subject' = $4`, w.Organization("Acme"), made.ID, who.CredentialID(), mainBranch); n != 1 {
		t.Errorf("%d lines in the audit trail about the exchange", n)
	}
	if n := scan[int](t, w, `select count(*) from audit.log where action = 'federation.created' and entity_id = $1 and actor = $2`, made.ID, boss.Principal().Profile()); n != 1 {
		t.Errorf("%d lines in the audit trail about the trust", n)
	}
	if n := scan[int](t, w, `select count(*) from identity.machine_token t where to_jsonb(t)::text like '%' || $1 || '%'`, issued.Token); n != 0 {
		t.Error("the token is in the store")
	}
}

// Only the application presents it: the worker's password, or another's, opens nothing with it.
func TestAMachinesTokenIsTheApplicationsToPresent(t *testing.T) { // SYSTEM D3
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"redoubt_app", "redoubt_worker", "redoubt_webhook", "redoubt_analytics"} {
		_, err := w.AsRole(t, role).Exec(t.Context(), `select redoubt.enter($1)`, issued.Token)
		if (err == nil) != (role == "redoubt_app") {
			t.Errorf("%s presents it: %v", role, err)
		}
	}
}

// hostileMachines is what somebody with an allowed issuer's account, or with a token that leaked, may send.
var hostileMachines = []struct {
	name   string
	do     func(w *layertest.W, m *layertest.MachineToken)
	raw    func(string) string
	reason string
	known  bool // the token is authentic, and for Acme: its administrators read about it
}{
	{name: "alg none", do: withHeader("alg", "none"), reason: "token"},
	{name: "alg none in other letters, unsigned", do: withHeader("alg", "NoNe"), raw: func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }, reason: "token"},
	{name: "HS256", do: withHeader("alg", "HS256"), reason: "token"},
	{name: "another algorithm's name", do: withHeader("alg", "RS256"), reason: "token"},
	{name: "no signature", raw: func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }, reason: "token"},
	{name: "a signature of zeros", raw: func(s string) string {
		return s[:strings.LastIndexByte(s, '.')+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	}, reason: "token"},
	{name: "an altered payload", raw: func(s string) string {
		parts := strings.Split(s, ".")
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), "acme", "evil", 1)))
		return strings.Join(parts, ".")
	}, reason: "token"},
	{name: "another issuer's key", do: func(_ *layertest.W, m *layertest.MachineToken) { m.Issuer = layertest.OtherMachineIssuer }, reason: "token"},
	{name: "a key in the header", do: withHeader("jwk", map[string]string{"kty": "EC"}), reason: "token"},
	{name: "a key's address in the header", do: withHeader("jku", "https://evil.example/keys"), reason: "token"},
	{name: "a critical extension", do: withHeader("crit", []string{"b64"}), reason: "token"},
	{name: "an access token", do: withHeader("typ", "at+jwt"), reason: "token"},
	{name: "a logout token", do: withClaim("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), reason: "token"},
	{name: "expired", do: withClaim("exp", time.Now().Add(-5*time.Minute).Unix()), reason: "token"},
	{name: "without an end", do: withClaim("exp", nil), reason: "token"},
	{name: "of a life of two days", do: withClaim("exp", time.Now().Add(48*time.Hour).Unix()), reason: "token"},
	{name: "not valid yet", do: withClaim("nbf", time.Now().Add(time.Hour).Unix()), reason: "token"},
	{name: "issued tomorrow", do: withClaim("iat", time.Now().Add(24*time.Hour).Unix()), reason: "token"},
	{name: "without a subject", do: withClaim("sub", nil), reason: "token"},
	{name: "a subject that is a list", do: withClaim("sub", []string{mainBranch}), reason: "token"},

	{name: "an issuer that is not trusted", do: withClaim("iss", "https://evil.example"), reason: "issuer"},
	{name: "the issuer with a slash", do: withClaim("iss", layertest.MachineIssuer+"/"), reason: "issuer"},
	{name: "the issuer in capitals", do: withClaim("iss", strings.ToUpper(layertest.MachineIssuer)), reason: "issuer"},
	{name: "an inner address as the issuer", do: withClaim("iss", "http://169.254.169.254/latest"), reason: "issuer"},
	{name: "without an issuer", do: withClaim("iss", nil), reason: "malformed"},
	{name: "an issuer that is a list", do: withClaim("iss", []string{layertest.MachineIssuer}), reason: "malformed"},

	{name: "without an audience", do: withClaim("aud", nil), reason: "token"},
	{name: "for another service", do: withClaim("aud", "https://other.example"), reason: "audience"},
	{name: "for the deployment as a whole", do: withClaim("aud", layertest.Origin), reason: "audience"},
	{name: "for no organization", do: withClaim("aud", layertest.Origin+"/organizations/"), reason: "audience"},
	{name: "for every organization", do: withClaim("aud", layertest.Origin+"/organizations/*"), reason: "audience"},
	{name: "for a path beneath", do: withAudience(func(own string) any { return own + "/x" }), reason: "audience"},
	{name: "for the organization in capitals", do: withAudience(func(own string) any { return strings.ToUpper(own) }), reason: "audience"},
	{name: "for the organization with a line break", do: withAudience(func(own string) any { return own + "\n" }), reason: "token"},
	{name: "also for somebody else", do: withAudience(func(own string) any { return []string{own, "https://other.example"} }), reason: "audience"},
	{name: "for two organizations", do: func(w *layertest.W, m *layertest.MachineToken) {
		m.Claims["aud"] = []string{w.Identity.MachineAudience(w.Organization("Acme")), w.Identity.MachineAudience(w.Organization("Globex"))}
	}, reason: "audience"},

	{name: "another subject", do: withClaim("sub", "repo:acme/web:ref:refs/heads/other"), reason: "subject", known: true},
	{name: "another owner's repository", do: withClaim("sub", "repo:evil/web:ref:refs/heads/main"), reason: "subject", known: true},
	{name: "a longer subject", do: withClaim("sub", mainBranch+"/x"), reason: "subject", known: true},
	{name: "a pull request", do: withClaim("sub", "repo:acme/web:pull_request"), reason: "subject", known: true},
	{name: "the subject in capitals", do: withClaim("sub", strings.ToUpper(mainBranch)), reason: "subject", known: true},
	{name: "the same subject at another issuer", do: func(_ *layertest.W, m *layertest.MachineToken) {
		m.Issuer, m.Claims["iss"] = layertest.OtherMachineIssuer, layertest.OtherMachineIssuer
	}, reason: "subject", known: true},

	{name: "nothing", raw: func(string) string { return "" }, reason: "malformed"},
	{name: "a word", raw: func(string) string { return "hello" }, reason: "malformed"},
	{name: "five parts", raw: func(s string) string { return s + ".b.c" }, reason: "malformed"},
	{name: "a JSON serialization", raw: func(s string) string { return `{"payload":"e30","protected":"e30","signature":"e30"}` }, reason: "malformed"},
	{name: "one of our own tokens", raw: func(string) string { return "rdm_" + strings.Repeat("0", 38) }, reason: "malformed"},
	{name: "a megabyte", raw: func(s string) string { return s + strings.Repeat("A", 1<<20) }, reason: "malformed"},
	{name: "padding", raw: func(s string) string { return s + "==" }, reason: "token"},
	{name: "a line break after", raw: func(s string) string { return s + "\n" }, reason: "token"},
}

func withHeader(name string, value any) func(*layertest.W, *layertest.MachineToken) {
	return func(_ *layertest.W, m *layertest.MachineToken) { m.Header[name] = value }
}

func withClaim(name string, value any) func(*layertest.W, *layertest.MachineToken) {
	return func(_ *layertest.W, m *layertest.MachineToken) {
		if m.Claims[name] = value; value == nil {
			delete(m.Claims, name)
		}
	}
}

func withAudience(of func(own string) any) func(*layertest.W, *layertest.MachineToken) {
	return func(w *layertest.W, m *layertest.MachineToken) { m.Claims["aud"] = of(m.Claims["aud"].(string)) }
}

func TestHostileTokensAreNotExchanged(t *testing.T) { // SYSTEM I9, I10
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	mustTrust(t, w, w.Administrator("Globex").Principal(), newTrust())
	for _, attack := range hostileMachines {
		m := w.MachineToken("Acme")
		if attack.do != nil {
			attack.do(w, m)
		}
		token := m.Sign(t)
		if attack.raw != nil {
			token = attack.raw(token)
		}
		issued, err := exchange(t, w, token)
		if err == nil || issued.Token != "" {
			t.Errorf("%s: exchanged", attack.name)
			continue
		}
		unexchanged(t, err, layer.Unauthenticated)
		var org any
		if attack.known {
			org = w.Organization("Acme")
		}
		if got := untrusted(t, w, org); got != attack.reason {
			t.Errorf("%s: the trail says %q, want %q (%v)", attack.name, got, attack.reason, err)
		}
	}
	if _, err := exchange(t, w, w.MachineToken("Acme").Sign(t)); err != nil {
		t.Errorf("an honest token afterwards: %v", err)
	}
}

// What was given for a trust is worth what the trust is worth, at the very next statement.
func TestWhatEndsAMachine(t *testing.T) { // SYSTEM I9, I7
	for name, end := range map[string]string{ // $1 is the trust
		"the trust is revoked":          `update identity.federation set revoked_at = now() where id = $1`,
		"the trust expires":             `update identity.federation set expires_at = now() where id = $1`,
		"the organization is stopped":   `update identity.organization set active = false where id = (select organization_id from identity.federation where id = $1)`,
		"the token expires":             `update identity.machine_token set expires_at = now() where federation_id = $1`,
		"the token goes with the trust": `delete from identity.machine_token where federation_id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			w := layertest.World(t, scoped)
			made := mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
			issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
			if err != nil {
				t.Fatal(err)
			}
			who, err := w.Identity.Identify(by(t, "Bearer "+issued.Token))
			if _, ask := rls.One[string](w.DB.As(t.Context(), who), `select redoubt.org()::text`); err != nil || ask != nil {
				t.Fatal(err, ask)
			}
			change(t, w, end, made.ID)
			if _, err := rls.One[string](w.DB.As(t.Context(), who), `select redoubt.org()::text`); err == nil {
				t.Error("the database still believes it")
			}
			again, err := w.Identity.Identify(by(t, "Bearer "+issued.Token))
			if !again.Nobody() {
				t.Errorf("identified %v", again)
			}
			refused(t, err, layer.Unauthenticated)
		})
	}
}

// A trust and its tokens are of one organization by a foreign key, so neither moves alone; both at once, and the application, which has
// sealed them, does not believe it.
func TestATrustDoesNotBecomeAnothers(t *testing.T) { // SYSTEM D4, I9
	w := layertest.World(t, scoped)
	made := mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, globex := w.Admin(t), w.Organization("Globex")
	for _, move := range []string{
		`update identity.federation set organization_id = $2, made_by = null where id = $1`,
		`update identity.machine_token set organization_id = $2 where federation_id = $1`,
	} {
		if _, err := admin.Exec(t.Context(), move, made.ID, globex); err == nil || !strings.Contains(err.Error(), "23503") {
			t.Errorf("%s: %v", move, err)
		}
	}
	if _, err := admin.Exec(t.Context(), `with moved as (update identity.federation set organization_id = $2, made_by = null where id = $1)
		update identity.machine_token set organization_id = $2 where federation_id = $1`, made.ID, globex); err != nil {
		t.Fatal(err)
	}
	_, err = w.Identity.Identify(by(t, "Bearer "+issued.Token))
	refused(t, err, layer.Unauthenticated)
}

func TestAlteringAMachinesTokenGivesNothing(t *testing.T) { // SYSTEM I3, I9
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	wide := mustTrust(t, w, boss, newTrust(func(n *identity.NewTrust) {
		n.Scopes, n.SubjectPattern = []string{"posts:write", "members:write"}, "repo:acme/other"
	}))
	mustTrust(t, w, boss, newTrust())
	for name, sql := range map[string]string{ // $1 is the token
		"scopes widened": `update identity.machine_token set scopes = scopes || '{members:write}', federation_id = '` + wide.ID + `' where hash = sha256($1)`,
		"a longer life":  `update identity.machine_token set expires_at = expires_at + interval '30 seconds' where hash = sha256($1)`,
		"another id":     `update identity.machine_token set id = gen_random_uuid() where hash = sha256($1)`,
		"another seal":   `update identity.machine_token set mac = sha256('x') where hash = sha256($1)`,
	} {
		issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
		if err != nil {
			t.Fatal(err)
		}
		change(t, w, sql, []byte(issued.Token))
		if who, err := w.Identity.Identify(by(t, "Bearer "+issued.Token)); err == nil {
			t.Errorf("%s: identified %v", name, who)
		}
	}
	// A year's life is refused by the store itself.
	issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.machine_token set expires_at = now() + interval '1 year' where hash = sha256($1)`, []byte(issued.Token)); err == nil {
		t.Error("the store keeps a token for a year")
	}
	// Of another kind, it is another secret.
	for _, prefix := range []string{"rdk_", "rdw_", "rdj_", "rds_"} {
		if who, err := w.Identity.Identify(by(t, "Bearer "+prefix+issued.Token[4:])); err == nil {
			t.Errorf("as %s identified %v", prefix, who)
		}
	}
}

func TestATokenIsExchangedOnce(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	mustTrust(t, w, boss, newTrust())
	mustTrust(t, w, boss, newTrust(func(n *identity.NewTrust) {
		n.SubjectPattern = "repo:acme/*:ref:refs/heads/main"
		n.Scopes = []string{"keys:write"}
	}))
	token := w.MachineToken("Acme").Sign(t)
	if _, err := exchange(t, w, token); err != nil {
		t.Fatal(err)
	}
	for name, scopes := range map[string][]string{"again": nil, "by another trust that fits": {"keys:write"}} {
		_, err := exchange(t, w, token, scopes...)
		unexchanged(t, err, layer.Unauthenticated)
		if got := untrusted(t, w, w.Organization("Acme")); got != "replayed" {
			t.Errorf("%s: the trail says %q (%v)", name, got, err)
		}
	}
	another := w.MachineToken("Acme")
	delete(another.Claims, "jti")
	raw := another.Sign(t)
	if _, err := exchange(t, w, raw); err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(t, w, raw); err == nil {
		t.Error("a token without jti is exchanged twice")
	}
}

// Of an ECDSA signature (r, s) there is another, (r, n-s), as good: the same token must not count as two.
func TestATokenSpelledOtherwiseIsTheSame(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	token := w.MachineToken("Acme").Sign(t)
	if _, err := exchange(t, w, token); err != nil {
		t.Fatal(err)
	}
	twin := twinOf(t, token)
	if twin == token {
		t.Fatal("it is no other spelling")
	}
	_, err := exchange(t, w, twin)
	unexchanged(t, err, layer.Unauthenticated)
	if got := untrusted(t, w, w.Organization("Acme")); got != "replayed" {
		t.Errorf("the trail says %q, want that the twin is authentic and has been used", got)
	}
}

func twinOf(t *testing.T, token string) string {
	t.Helper()
	at := strings.LastIndexByte(token, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[at:])
	if err != nil || len(signature) != 64 {
		t.Fatal(len(signature), err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:at] + base64.RawURLEncoding.EncodeToString(signature)
}

func TestATokenIsExchangedAsOftenAsItsTrustSays(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust(func(n *identity.NewTrust) { n.Uses = 3 }))
	token := w.MachineToken("Acme").Sign(t)
	var good, replayed int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			_, err := w.Identity.Exchange(context.Background(), identity.Exchange{Token: token})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				good++
			} else {
				replayed++
			}
		})
	}
	all.Wait()
	if good != 3 || replayed != 9 {
		t.Errorf("of twelve at once %d were exchanged, want 3", good)
	}
}

func TestAMachineAsksForLessAndNeverForMore(t *testing.T) { // SYSTEM I9
	w := layertest.World(t, scoped)
	boss := w.Administrator("Acme").Principal()
	mustTrust(t, w, boss, newTrust(func(n *identity.NewTrust) { n.Scopes = []string{"posts:write", "members:read"} }))
	mustTrust(t, w, boss, newTrust(func(n *identity.NewTrust) { n.Scopes = []string{"keys:write"} }))
	for _, c := range []struct {
		name   string
		scopes []string
		want   string // "" is refused
	}{
		{"nothing", nil, "members:read posts:write"},
		{"less", []string{"posts:write"}, "posts:write"},
		{"all of it twice", []string{"posts:write", "members:read", "posts:write"}, "members:read posts:write"},
		{"what another trust gives", []string{"keys:write"}, "keys:write"},
		{"of two trusts at once", []string{"keys:write", "posts:write"}, ""},
		{"what none gives", []string{"members:write"}, ""},
		{"more", []string{"posts:write", "members:write"}, ""},
		{"an empty one", []string{""}, ""},
		{"every one", []string{"*"}, ""},
		{"one within another", []string{"posts:writ"}, ""},
		{"in capitals", []string{"POSTS:WRITE"}, ""},
		{"a hundred thousand", strings.Fields(strings.Repeat("posts:write x ", 50000)), ""},
	} {
		issued, err := exchange(t, w, w.MachineToken("Acme").Sign(t), c.scopes...)
		if got := strings.Join(issued.Scopes, " "); got != c.want {
			t.Errorf("%s: got %q %v, want %q", c.name, got, err, c.want)
		}
		if c.want == "" {
			unexchanged(t, err, layer.Forbidden)
			if !errors.Is(err, identity.ErrScope) || untrusted(t, w, w.Organization("Acme")) != "scope" {
				t.Errorf("%s: got %v", c.name, err)
			}
		}
	}
}

func TestTheAudienceThatIsAskedForIsTheTokens(t *testing.T) { // RFC 8693 section 2.1
	w := layertest.World(t, scoped)
	mustTrust(t, w, w.Administrator("Acme").Principal(), newTrust())
	_, err := w.Identity.Exchange(t.Context(), identity.Exchange{Token: w.MachineToken("Acme").Sign(t), Audience: w.Identity.MachineAudience(w.Organization("Globex"))})
	if refused(t, err, layer.Invalid); !errors.Is(err, identity.ErrTarget) || untrusted(t, w, w.Organization("Acme")) != "target" {
		t.Errorf("got %v", err)
	}
	if _, err := w.Identity.Exchange(t.Context(), identity.Exchange{Token: w.MachineToken("Acme").Sign(t), Audience: w.Identity.MachineAudience(w.Organization("Acme"))}); err != nil {
		t.Error(err)
	}
}

func TestMachinesConfigurationNamesItsFaults(t *testing.T) {
	const ours = "https://app.example/organizations/"
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf("https://ci%d.example", i))
	}
	for name, m := range map[string]identity.Machines{
		"no audience":                 {Issuers: []string{"https://ci.example"}},
		"an audience without a slash": {Issuers: []string{"https://ci.example"}, Audience: strings.TrimSuffix(ours, "/")},
		"plain http":                  {Issuers: []string{"http://ci.example"}, Audience: ours},
		"no address":                  {Issuers: []string{"ci"}, Audience: ours},
		"an empty one":                {Issuers: []string{""}, Audience: ours},
		"the same twice":              {Issuers: []string{"https://ci.example", "https://ci.example"}, Audience: ours},
		"too many":                    {Issuers: many, Audience: ours},
	} {
		if err := m.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, m := range map[string]identity.Machines{
		"nothing":     {},
		"two issuers": {Issuers: []string{"https://ci.example", "https://gitlab.example:8443/x"}, Audience: ours},
	} {
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an unverified token claims must not be read past its bounds.
func FuzzExchange(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.")
	f.Fuzz(func(t *testing.T, token string) {
		if issuer, err := identity.ClaimedIssuer(token); err == nil {
			part, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if issuer == "" || !json.Valid(part) || len(token) > 16<<10 {
				t.Fatalf("%q claims %q", token, issuer)
			}
		}
	})
}
