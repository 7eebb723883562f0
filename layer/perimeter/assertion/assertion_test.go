package assertion_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

var (
	now     = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	private = ed25519.NewKeyFromSeed(make([]byte, 32))
	other   = ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes"))
	signing = assertion.NewSigningKey(private)
	keys    = []assertion.VerifyKey{signing.Public()}
	facts   = assertion.RequestFacts{Method: "GET", Host: "localhost", Target: "/a?b=c", ID: "id", Client: netip.MustParseAddr("192.0.2.1")}
	alice   = assertion.SignOn{By: assertion.ByProvider, Provider: "acme", Subject: "alice", Email: "alice@acme.test",
		Groups: []string{"staff", "ops"}, Session: "s1", At: now.Add(-time.Hour)}
	nobody = assertion.SignOn{By: assertion.ByNobody}
)

// A form is one of the two: how a good one looks, and how it is opened.
type form struct {
	name, typ string
	life      time.Duration
	limit     int
	own       map[string]any // claims that the other form does not have
	open      func(text string, at time.Time) error
}

var forms = []form{
	{"token", "redoubt-signon+jwt", assertion.TokenLife, assertion.MaxToken, map[string]any{"lnk": "link-1"},
		func(text string, at time.Time) error {
			_, err := assertion.Open(text, keys, "app", "link-1", at)
			return err
		}},
	{"header", "redoubt-assertion+jwt", assertion.HeaderLife, assertion.MaxHeader,
		map[string]any{"jti": "id", "ip": "192.0.2.1", "htm": "GET", "hth": "localhost", "htu": "/a?b=c"},
		func(text string, at time.Time) error {
			_, err := assertion.OpenHeader(text, keys, "app", facts, at)
			return err
		}},
}

func (f form) claims() map[string]any {
	c := map[string]any{
		"iss": "redoubt-edge/" + signing.ID, "aud": "app", "by": "provider", "sub": "alice", "idp": "acme", "sid": "s1",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(f.life).Unix(),
	}
	maps.Copy(c, f.own)
	return c
}

func (f form) header() map[string]any {
	return map[string]any{"alg": "EdDSA", "kid": signing.ID, "typ": f.typ}
}

func (f form) good() string { return token(f.header(), f.claims(), ed(private)) }

func (f form) claim(name string, value any) string {
	return token(f.header(), with(f.claims(), name, value), ed(private))
}

func (f form) head(name string, value any) string {
	return token(with(f.header(), name, value), f.claims(), ed(private))
}

func ed(key ed25519.PrivateKey) func(string) []byte {
	return func(s string) []byte { return ed25519.Sign(key, []byte(s)) }
}

// token makes a JWS by hand, so that it can be wrong in every way.
func token(header, claims map[string]any, sign func(string) []byte) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func with(m map[string]any, name string, value any) map[string]any {
	if value == nil {
		delete(m, name)
	} else {
		m[name] = value
	}
	return m
}

func hmacWithPublic(s string) []byte {
	m := hmac.New(sha256.New, private.Public().(ed25519.PublicKey))
	m.Write([]byte(s))
	return m.Sum(nil)
}

type attack struct{ name, text string }

// attacks are those that either form must withstand.
func (f form) attacks() []attack {
	good := f.good()
	parts := strings.Split(good, ".")
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(other.Public().(ed25519.PublicKey))}
	return []attack{
		{"an empty one", ""},
		{"two in one", good + ", " + good},
		{"algorithm none", token(with(f.header(), "alg", "none"), f.claims(), func(string) []byte { return nil })},
		{"algorithm none, signed", f.head("alg", "none")},
		{"HS256 with the public key", token(with(f.header(), "alg", "HS256"), f.claims(), hmacWithPublic)},
		{"EdDSA with an HMAC", token(f.header(), f.claims(), hmacWithPublic)},
		{"another key", token(f.header(), f.claims(), ed(other))},
		{"another key that the header brings along", token(with(f.header(), "jwk", jwk), f.claims(), ed(other))},
		{"a key in the header beside a good signature", f.head("jwk", jwk)},
		{"an unknown key's name", f.head("kid", "unknown")},
		{"no key's name", f.head("kid", nil)},
		{"another type", f.head("typ", "JWT")},
		{"no type", f.head("typ", nil)},
		{"a critical extension", f.head("crit", []string{"x"})},
		{"another issuer", f.claim("iss", "redoubt-edge/other")},
		{"another audience", f.claim("aud", "other")},
		{"no audience", f.claim("aud", nil)},
		{"a list of audiences", f.claim("aud", []string{"app"})},
		{"expired", f.claim("exp", now.Add(-5*time.Second).Unix())},
		{"without an end", f.claim("exp", nil)},
		{"living too long", f.claim("exp", now.Add(f.life+time.Second).Unix())},
		{"not valid yet", f.claim("nbf", now.Add(6*time.Second).Unix())},
		{"issued in the future", f.claim("iat", now.Add(6*time.Second).Unix())},
		{"with an unknown claim", f.claim("admin", true)},
		{"without a word on how somebody was let in", f.claim("by", nil)},
		{"let in in an unknown way", f.claim("by", "magic")},
		{"nobody with a name", f.claim("by", "nobody")},
		{"somebody of a provider without a name", f.claim("sub", nil)},
		{"somebody without a provider", f.claim("idp", nil)},
		{"by mail without an address", f.claim("by", "mail")},
		{"groups that are named and left out", token(f.header(), with(with(f.claims(), "groups", []string{"a"}), "groups_omitted", true), ed(private))},
		{"a line break in it", good[:10] + "\n" + good[10:]},
		{"a signature cut short", good[:len(good)-4]},
		{"a header that is not JSON", "eA." + parts[1] + "." + parts[2]},
		{"claims that are not JSON", parts[0] + ".eA." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(parts[0]+".eA")))},
		{"JSON serialization", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])},
		{"a huge one", f.claim("sid", strings.Repeat("x", f.limit))},
		{"a very huge one", strings.Repeat(".", 1<<20)},
	}
}

// SYSTEM P5: nothing but the edge's own word is believed, in either form.
func TestForgedAssertionsAreRefused(t *testing.T) {
	for i, f := range forms {
		other := forms[1-i]
		attacks := append(f.attacks(),
			attack{"the other form", other.good()},
			attack{"the other form under this one's type", token(f.header(), other.claims(), ed(private))},
			attack{"this form under the other one's type", token(other.header(), f.claims(), ed(private))})
		for name := range f.own {
			attacks = append(attacks, attack{"without " + name, f.claim(name, nil)}, attack{"another " + name, f.claim(name, strings.Repeat("x", 65))})
		}
		if err := f.open(f.good(), now); err != nil {
			t.Fatalf("%s: a good one is refused: %v", f.name, err)
		}
		for _, a := range attacks {
			t.Run(f.name+"/"+a.name, func(t *testing.T) {
				err := f.open(a.text, now)
				if err == nil {
					t.Fatal("it was believed")
				}
				if len(a.text) > 20 && strings.Contains(err.Error(), a.text[:20]) {
					t.Errorf("the error quotes the assertion: %.80s", err)
				}
			})
		}
	}
}

// SYSTEM P5: a token is for one link and application, a header for one request.
func TestAssertionsAreBound(t *testing.T) {
	tokens, headers := forms[0].good(), forms[1].good()
	change := func(f func(*assertion.RequestFacts)) assertion.RequestFacts { r := facts; f(&r); return r }
	for _, c := range []struct {
		name              string
		application, link string
		request           assertion.RequestFacts
		token, header     bool
	}{
		{"as it was made", "app", "link-1", facts, true, true},
		{"on another link", "app", "link-2", facts, false, true},
		{"on a link without a name", "app", "", facts, false, true},
		{"for another application", "app2", "link-1", facts, false, false},
		{"for an application without a name", "", "link-1", facts, false, false},
		{"for another method", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Method = "POST" }), true, false},
		{"for another host", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Host = "localhost:443" }), true, false},
		{"for another path", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Target = "/a/?b=c" }), true, false},
		{"for another spelling of the path", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Target = "/%61?b=c" }), true, false},
		{"for another query", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Target = "/a?b=d" }), true, false},
		{"for no query", "app", "link-1", change(func(r *assertion.RequestFacts) { r.Target = "/a" }), true, false},
	} {
		_, err := assertion.Open(tokens, keys, c.application, c.link, now)
		if (err == nil) != c.token {
			t.Errorf("token %s: got %v, want it believed: %t", c.name, err, c.token)
		}
		if _, err := assertion.OpenHeader(headers, keys, c.application, c.request, now); (err == nil) != c.header {
			t.Errorf("header %s: got %v, want it believed: %t", c.name, err, c.header)
		}
	}
}

// SYSTEM P5: an assertion is good until it ends, give or take the skew of two clocks.
func TestAssertionsAreGoodInTime(t *testing.T) {
	for _, f := range forms {
		for _, step := range []struct {
			name string
			at   time.Duration
			want bool
		}{
			{"by a clock that is 5 s behind", -5 * time.Second, true},
			{"by a clock that is behind further", -6 * time.Second, false},
			{"at once", 0, true},
			{"late, but within the skew", f.life + 4*time.Second, true},
			{"too late", f.life + 5*time.Second, false},
			{"much too late", f.life + time.Hour, false},
		} {
			if err := f.open(f.good(), now.Add(step.at)); (err == nil) != step.want {
				t.Errorf("%s %s: got %v, want it taken: %v", f.name, step.name, err, step.want)
			}
		}
	}
}

// SYSTEM P3 P5: the next key is believed beside the current one, and one that was taken out is not.
func TestKeysRotate(t *testing.T) {
	next := assertion.NewSigningKey(other)
	f := forms[0]
	byNext := token(with(f.header(), "kid", next.ID), with(f.claims(), "iss", "redoubt-edge/"+next.ID), ed(other))
	for _, c := range []struct {
		name       string
		keys       []assertion.VerifyKey
		old, fresh bool
	}{
		{"the old key alone", []assertion.VerifyKey{signing.Public()}, true, false},
		{"both", []assertion.VerifyKey{signing.Public(), next.Public()}, true, true},
		{"the next alone", []assertion.VerifyKey{next.Public()}, false, true},
		{"none", nil, false, false},
		{"one that is cut short", []assertion.VerifyKey{{ID: signing.ID, Public: signing.Public().Public[:8]}}, false, false},
	} {
		_, old := assertion.Open(f.good(), c.keys, "app", "link-1", now)
		_, fresh := assertion.Open(byNext, c.keys, "app", "link-1", now)
		if (old == nil) != c.old || (fresh == nil) != c.fresh {
			t.Errorf("%s: got %v and %v", c.name, old, fresh)
		}
	}
}

func TestSigningKeyDoesNotPrint(t *testing.T) { // SYSTEM S6
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, signing); got != "assertion key "+signing.ID {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func FuzzAssertion(f *testing.F) {
	for _, form := range forms {
		f.Add(form.good())
		f.Add(token(with(form.header(), "alg", "none"), form.claims(), func(string) []byte { return nil }))
	}
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range forms {
			good := form.good()
			if form.open(s, now) == nil && !strings.HasPrefix(s, good[:strings.LastIndexByte(good, '.')]+".") {
				t.Errorf("a %s that the edge did not sign was believed: %q", form.name, s)
			}
		}
	})
}
