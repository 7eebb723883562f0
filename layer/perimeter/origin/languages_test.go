package origin_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

var (
	private  = ed25519.NewKeyFromSeed(make([]byte, 32))
	signing  = assertion.NewSigningKey(private)
	stranger = assertion.NewSigningKey(ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes")))
	alice    = assertion.SignOn{By: assertion.ByProvider, Provider: "acme", Subject: "alice", Groups: []string{"staff"}, Session: "s1"}
)

// An office is what the edge has: it signs with a key, by a clock, and publishes the key.
type office struct {
	*assertion.Signer
	url   string
	asked atomic.Int32 // how often for the keys

	mu   sync.Mutex
	keys []assertion.VerifyKey
}

func newOffice(t testing.TB, key assertion.SigningKey, late time.Duration) *office {
	t.Helper()
	o := &office{keys: []assertion.VerifyKey{key.Public()}}
	var err error
	o.Signer, err = assertion.NewSigner(assertion.SignerConfig{
		Key: func() assertion.SigningKey { return key }, Keys: o.published,
		Now: func() time.Time { return time.Now().Add(late) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		text, err := o.JWKS()
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Write(text)
	}))
	t.Cleanup(s.Close)
	o.url = s.URL + "/.redoubt/keys"
	return o
}

func (o *office) published() []assertion.VerifyKey {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keys
}

func (o *office) publish(keys ...assertion.VerifyKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys = keys
}

func (o *office) environment() []string {
	return []string{"KEYS_URL=" + o.url, "APPLICATION=shop", "PUBLIC_HOST=app.test"}
}

func (o *office) header(t testing.TB, application string, r assertion.RequestFacts) string {
	t.Helper()
	text, err := o.Header(application, r, alice)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// byHand makes a JWS that can be wrong in every way.
func byHand(head, claims map[string]any, sign func(string) []byte) string {
	h, _ := json.Marshal(head)
	c, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func ed(key ed25519.PrivateKey) func(string) []byte {
	return func(s string) []byte { return ed25519.Sign(key, []byte(s)) }
}

func hmacWithPublic(s string) []byte {
	m := hmac.New(sha256.New, private.Public().(ed25519.PublicKey))
	m.Write([]byte(s))
	return m.Sum(nil)
}

// SYSTEM P5 P7: what docs/assertion.md prints is run, in each language, and refuses what must be refused. The requests come past the
// edge, from another program on the same machine.
func TestAssertionsAreVerifiedInOtherLanguages(t *testing.T) {
	for language, run := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			edge, past, ahead := newOffice(t, signing, 0), newOffice(t, signing, -time.Minute), newOffice(t, signing, time.Minute)
			edge.publish(signing.Public())
			url := run(t, edge.environment()...)
			facts := assertion.RequestFacts{Method: "GET", Host: "app.test", Target: "/private/a?b=c", ID: "id", Client: netip.MustParseAddr("192.0.2.1")}
			change := func(f func(*assertion.RequestFacts)) assertion.RequestFacts { r := facts; f(&r); return r }
			send := func(method, target string, headers ...string) (int, string) {
				r, err := http.NewRequest(method, url+target, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header[assertion.HeaderName] = headers
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				var said map[string]string
				json.NewDecoder(answer.Body).Decode(&said)
				return answer.StatusCode, said["sub"] + " " + said["by"] + " " + said["ip"]
			}
			for _, target := range []string{"/private/a?b=c", "/private/%61/", "/private/" + strings.Repeat("a", 600) + "?x", "/private/a?x=\\y"} {
				r := change(func(r *assertion.RequestFacts) { r.Target = target })
				if status, who := send("GET", target, edge.header(t, "shop", r)); status != 200 || who != "alice provider 192.0.2.1" {
					t.Errorf("a good one for %.40s: got %d %q", target, status, who)
				}
			}

			good := edge.header(t, "shop", facts)
			parts := strings.Split(good, ".")
			token, err := edge.Token("shop", "link-1", alice)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().Unix()
			head := func(name string, value any) map[string]any {
				h := map[string]any{"alg": "EdDSA", "kid": signing.ID, "typ": "redoubt-assertion+jwt"}
				if h[name] = value; value == nil {
					delete(h, name)
				}
				return h
			}
			claims := func(name string, value any) map[string]any {
				c := map[string]any{"iss": "redoubt-edge/" + signing.ID, "aud": "shop", "iat": now, "nbf": now, "exp": now + 30, "jti": "id", "ip": "192.0.2.1",
					"htm": "GET", "hth": "app.test", "htu": "/private/a?b=c", "by": "provider", "sub": "alice", "idp": "acme"}
				if c[name] = value; value == nil {
					delete(c, name)
				}
				return c
			}
			jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(stranger.Public().Public)}
			if status, _ := send("GET", facts.Target, byHand(head("alg", "EdDSA"), claims("aud", "shop"), ed(private))); status != 200 {
				t.Errorf("one made by hand: got %d", status)
			}
			for _, a := range []struct {
				name    string
				headers []string
			}{
				{"none", nil},
				{"an empty one", []string{""}},
				{"two", []string{good, good}},
				{"two in one", []string{good + ", " + good}},
				{"for another path", []string{edge.header(t, "shop", change(func(r *assertion.RequestFacts) { r.Target = "/private/b?b=c" }))}},
				{"for another query", []string{edge.header(t, "shop", change(func(r *assertion.RequestFacts) { r.Target = "/private/a" }))}},
				{"for another method", []string{edge.header(t, "shop", change(func(r *assertion.RequestFacts) { r.Method = "POST" }))}},
				{"for another host", []string{edge.header(t, "shop", change(func(r *assertion.RequestFacts) { r.Host = "other.test" }))}},
				{"for another application", []string{edge.header(t, "shop2", facts)}},
				{"expired", []string{past.header(t, "shop", facts)}},
				{"from the future", []string{ahead.header(t, "shop", facts)}},
				{"of a stranger's key", []string{newOffice(t, stranger, 0).header(t, "shop", facts)}},
				{"the token form", []string{token}},
				{"algorithm none", []string{byHand(head("alg", "none"), claims("aud", "shop"), func(string) []byte { return nil })}},
				{"algorithm none, signed", []string{byHand(head("alg", "none"), claims("aud", "shop"), ed(private))}},
				{"HS256 with the public key", []string{byHand(head("alg", "HS256"), claims("aud", "shop"), hmacWithPublic)}},
				{"EdDSA with an HMAC", []string{byHand(head("alg", "EdDSA"), claims("aud", "shop"), hmacWithPublic)}},
				{"another key under our name", []string{byHand(head("alg", "EdDSA"), claims("aud", "shop"), ed(stranger.Private))}},
				{"a key that it brings along", []string{byHand(head("jwk", jwk), claims("aud", "shop"), ed(stranger.Private))}},
				{"no key's name", []string{byHand(head("kid", nil), claims("aud", "shop"), ed(private))}},
				{"a key's name that is an object's own", []string{byHand(head("kid", "__proto__"), claims("iss", "redoubt-edge/__proto__"), ed(private))}},
				{"another type", []string{byHand(head("typ", "JWT"), claims("aud", "shop"), ed(private))}},
				{"a critical extension", []string{byHand(head("crit", []string{"exp"}), claims("aud", "shop"), ed(private))}},
				{"another issuer", []string{byHand(head("alg", "EdDSA"), claims("iss", "redoubt-edge/x"), ed(private))}},
				{"a list of audiences", []string{byHand(head("alg", "EdDSA"), claims("aud", []string{"shop"}), ed(private))}},
				{"without an end", []string{byHand(head("alg", "EdDSA"), claims("exp", nil), ed(private))}},
				{"with an end that is no number", []string{byHand(head("alg", "EdDSA"), claims("exp", "never"), ed(private))}},
				{"without a beginning", []string{byHand(head("alg", "EdDSA"), claims("nbf", nil), ed(private))}},
				{"living too long", []string{byHand(head("alg", "EdDSA"), claims("exp", now+3600), ed(private))}},
				{"without a path", []string{byHand(head("alg", "EdDSA"), claims("htu", nil), ed(private))}},
				{"claims that were changed", []string{parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`)) + "." + parts[2]}},
				{"a signature cut short", []string{good[:len(good)-4]}},
				{"no signature", []string{parts[0] + "." + parts[1] + "."}},
				{"nonsense", []string{"a.b.c"}},
				{"a large one", []string{strings.Repeat("a", 4097) + ".b.c"}},
			} {
				if status, who := send("GET", facts.Target, a.headers...); status != 401 {
					t.Errorf("%s: got %d %q", a.name, status, who)
				}
			}
			if status, _ := send("GET", facts.Target, good); status != 200 {
				t.Errorf("a good one after all that: got %d", status)
			}
			if n := edge.asked.Load(); n > 1 {
				t.Errorf("the keys were asked for %d times within a minute", n)
			}
		})
	}
}

// SYSTEM P3 P5: the next key, published beside the current one before it signs, is believed at once when it does.
func TestKeysRotateInOtherLanguages(t *testing.T) {
	for language, run := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			current, next := newOffice(t, signing, 0), newOffice(t, stranger, 0)
			current.publish(signing.Public(), stranger.Public())
			url := run(t, current.environment()...)
			facts := assertion.RequestFacts{Method: "GET", Host: "app.test", Target: "/private/a", ID: "id", Client: netip.MustParseAddr("192.0.2.1")}
			for name, o := range map[string]*office{"current": current, "next": next} {
				r, _ := http.NewRequest("GET", url+"/private/a", nil)
				r.Header.Set(assertion.HeaderName, o.header(t, "shop", facts))
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != 200 {
					t.Errorf("%s: got %d", name, answer.StatusCode)
				}
			}
		})
	}
}
