package signon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

func set(name string, value any) func(*devidp.Token, *world) {
	return func(t *devidp.Token, _ *world) { t.Claims[name] = value }
}

func without(name string) func(*devidp.Token, *world) {
	return func(t *devidp.Token, _ *world) { delete(t.Claims, name) }
}

// at puts a time into a claim, relative to now.
func at(name string, d time.Duration) func(*devidp.Token, *world) {
	return func(t *devidp.Token, w *world) { t.Claims[name] = w.clock.Now().Add(d).Unix() }
}

func many(n int, s string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// hostile is what a provider, or somebody in its place, may try with an ID token.
var hostile = []struct {
	name  string
	do    func(*devidp.Token, *world)
	cause error
}{
	{"alg none", func(t *devidp.Token, _ *world) { t.Algorithm = "none" }, signon.ErrAlgorithm},
	{"alg none in other letters", func(t *devidp.Token, _ *world) { t.Raw = rawToken(`{"alg":"nOnE"}`, `{}`, "") }, signon.ErrAlgorithm},
	{"HS256 with the public key as DER", func(t *devidp.Token, _ *world) { t.Algorithm, t.Key = "HS256", der(t) }, signon.ErrAlgorithm},
	{"HS256 with the public key as PEM", func(t *devidp.Token, _ *world) {
		t.Algorithm, t.Key = "HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der(t)})
	}, signon.ErrAlgorithm},
	{"HS256 with the client secret", func(t *devidp.Token, _ *world) {
		t.Algorithm, t.Key = "HS256", []byte("correct horse correct horse correct horse")
	}, signon.ErrAlgorithm},
	{"an algorithm that is not pinned", func(t *devidp.Token, _ *world) {
		t.Key, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		t.Algorithm = "ES384"
	}, signon.ErrAlgorithm},
	{"a stranger's key", func(t *devidp.Token, _ *world) { t.Key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, signon.ErrSignature},
	{"a stale key identifier", func(t *devidp.Token, _ *world) { t.Header["kid"] = "stale" }, signon.ErrKey},
	{"a key identifier that is a path", func(t *devidp.Token, _ *world) { t.Header["kid"] = "../../dev/null" }, signon.ErrKey},
	{"an unknown critical header", func(t *devidp.Token, _ *world) {
		t.Header["crit"] = []string{"x"}
		t.Header["x"] = "y"
	}, signon.ErrSignature},
	{"the type of an access token", func(t *devidp.Token, _ *world) { t.Header["typ"] = "at+jwt" }, signon.ErrType},
	{"the type of a logout token", func(t *devidp.Token, _ *world) { t.Header["typ"] = "logout+jwt" }, signon.ErrType},
	{"a type that is a number", func(t *devidp.Token, _ *world) { t.Header["typ"] = 7 }, signon.ErrType},
	{"a logout event", set("events", map[string]any{}), signon.ErrType},
	{"not a token", func(t *devidp.Token, _ *world) { t.Raw = "hello" }, signon.ErrMalformed},
	{"five parts, an encrypted token", func(t *devidp.Token, _ *world) { t.Raw = "a.b.c.d.e" }, signon.ErrMalformed},
	{"a JSON serialization", func(t *devidp.Token, _ *world) {
		t.Raw = `{"payload":"e30","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"a.b."}`
	}, signon.ErrMalformed},
	{"a token beyond its bound", func(t *devidp.Token, _ *world) { t.Raw = "a.b." + strings.Repeat("c", 128<<10) }, signon.ErrMalformed},
	{"another issuer", set("iss", "https://evil.example"), signon.ErrIssuer},
	{"the issuer with a slash", func(t *devidp.Token, w *world) { t.Claims["iss"] = w.server.URL + "/" }, signon.ErrIssuer},
	{"no issuer", without("iss"), signon.ErrIssuer},
	{"another audience", set("aud", "other"), signon.ErrAudience},
	{"no audience", without("aud"), signon.ErrAudience},
	{"an audience that is a number", set("aud", 7), signon.ErrAudience},
	{"two audiences without azp", set("aud", []string{"shop", "other"}), signon.ErrAuthorizedParty},
	{"two audiences and another azp", func(t *devidp.Token, _ *world) { t.Claims["aud"], t.Claims["azp"] = []string{"shop", "other"}, "other" }, signon.ErrAuthorizedParty},
	{"one audience and another azp", set("azp", "other"), signon.ErrAuthorizedParty},
	{"an expired token", at("exp", -61*time.Second), signon.ErrExpired},
	{"no expiry", without("exp"), signon.ErrExpired},
	{"an expiry beyond all time", set("exp", 1e300), signon.ErrExpired},
	{"an expiry that is a string", set("exp", "9999999999"), signon.ErrExpired},
	{"not valid yet", at("nbf", 61*time.Second), signon.ErrNotYet},
	{"issued in the future", at("iat", 61*time.Second), signon.ErrIssuedAt},
	{"issued last week", at("iat", -7*24*time.Hour), signon.ErrIssuedAt},
	{"no time of issue", without("iat"), signon.ErrIssuedAt},
	{"another nonce", set("nonce", "x"), signon.ErrNonce},
	{"no nonce", without("nonce"), signon.ErrNonce},
	{"another access token's hash", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), signon.ErrAccessTokenHash},
	{"signed in in the future", at("auth_time", 2*time.Minute), signon.ErrAuthTime},
	{"no subject", without("sub"), signon.ErrSubject},
	{"an empty subject", set("sub", ""), signon.ErrSubject},
	{"a subject beyond its bound", set("sub", strings.Repeat("s", 256)), signon.ErrSubject},
	{"a subject with a line break", set("sub", "alice\nbob"), signon.ErrSubject},
	{"a subject that is a list", set("sub", []string{"alice"}), signon.ErrSubject},
	{"groups as one string", set("groups", "admins"), signon.ErrGroups},
	{"groups with a number", set("groups", []any{"a", 7}), signon.ErrGroups},
	{"an empty group", set("groups", []any{"a", ""}), signon.ErrGroups},
	{"201 groups", set("groups", many(201, "g")), signon.ErrGroups},
	{"a group of 256 bytes", set("groups", []string{strings.Repeat("g", 256)}), signon.ErrGroups},
	{"an e-mail address with a hidden character", set("email", "ali\u0000ce@acme.example"), signon.ErrEmail},
	{"an e-mail address with a header", set("email", "a@b.example\r\nBcc: c@d.example"), signon.ErrEmail},
	{"an e-mail address beyond its bound", set("email", strings.Repeat("a", 255)), signon.ErrEmail},
	{"a verification that is neither yes nor no", set("email_verified", 1), signon.ErrMalformed},
	{"21 methods", set("amr", many(21, "m")), signon.ErrMalformed},
	{"a session beyond its bound", set("sid", strings.Repeat("s", 256)), signon.ErrMalformed},
	{"claims that come from elsewhere without saying where", set("_claim_names", map[string]string{"groups": "src"}), signon.ErrSecondOpinion},
}

func TestHostileTokensAreRefusedByName(t *testing.T) { // SYSTEM I10
	w := newWorld(t)
	for _, attack := range hostile {
		t.Run(attack.name, func(t *testing.T) {
			var raw string
			w.idp.Misbehave(func(token *devidp.Token) { attack.do(token, w); raw = token.Raw })
			w.t = t
			_, err := w.signIn("alice")
			refused(t, err, attack.cause)
			if raw != "" && strings.Contains(err.Error(), raw) {
				t.Error("the error repeats the token")
			}
		})
	}
	w.t = t
	if _, err := w.signIn("alice"); err != nil {
		t.Errorf("an honest token afterwards: %v", err)
	}
}

func TestTokensAtTheirBoundsAreTaken(t *testing.T) {
	w := newWorld(t)
	for name, do := range map[string]func(*devidp.Token, *world){
		"expired by less than the skew":     at("exp", -60*time.Second),
		"valid in less than the skew":       at("nbf", 60*time.Second),
		"issued in less than the skew":      at("iat", 60*time.Second),
		"200 groups of 255 bytes":           set("groups", many(200, strings.Repeat("g", 255))),
		"a subject of 255 bytes":            set("sub", strings.Repeat("s", 255)),
		"an e-mail address of 254 bytes":    set("email", strings.Repeat("a", 254)),
		"two audiences and our azp":         func(t *devidp.Token, _ *world) { t.Claims["aud"], t.Claims["azp"] = []string{"shop", "other"}, "shop" },
		"no at_hash, which is optional":     without("at_hash"),
		"no groups":                         set("groups", nil),
		"a verification in quotes":          set("email_verified", "true"),
		"no type":                           func(t *devidp.Token, _ *world) { delete(t.Header, "typ") },
		"no key identifier, but one key":    func(t *devidp.Token, _ *world) { delete(t.Header, "kid") },
		"a type in full and in other cases": func(t *devidp.Token, _ *world) { t.Header["typ"] = "Application/JWT" },
		"a fraction of a second":            func(t *devidp.Token, w *world) { t.Claims["iat"] = float64(w.clock.Now().Unix()) + 0.5 },
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.idp.Misbehave(func(token *devidp.Token) { do(token, w) })
			if _, err := w.signIn("alice"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAClaimGivenTwiceIsRefused(t *testing.T) {
	w := newWorld(t)
	w.idp.Misbehave(func(token *devidp.Token) {
		payload, _ := json.Marshal(token.Claims)
		token.Claims = nil
		forged := strings.Replace(string(payload), "{", `{"sub":"mallory",`, 1)
		token.Raw = signRaw(t, token, forged)
	})
	_, err := w.signIn("alice")
	refused(t, err, signon.ErrMalformed)
}

func TestNamesAreCleaned(t *testing.T) {
	w := newWorld(t)
	for given, want := range map[string]string{
		"  Alice\t\nArcher ":             "Alice Archer",
		"Alice\u202Egnp.exe\u200b\u0007": "Alicegnp.exe",
		strings.Repeat("ä", 300):         strings.Repeat("ä", 200),
	} {
		w.idp.Misbehave(func(token *devidp.Token) { token.Claims["name"] = given })
		if got, err := w.signIn("alice"); err != nil || got.Name != want {
			t.Errorf("%q: got %q, %v, want %q", given, got.Name, err, want)
		}
	}
}

func TestAnEmptyAddressIsNotVerified(t *testing.T) {
	w := newWorld(t)
	w.idp.Misbehave(func(token *devidp.Token) { token.Claims["email"] = "" })
	if got, err := w.signIn("alice"); err != nil || got.EmailVerified {
		t.Errorf("got %v, %v, want an address that is not verified", got.EmailVerified, err)
	}
}

func TestKeysRotate(t *testing.T) { // SYSTEM I10
	w := newWorld(t)
	for _, keep := range []bool{true, false} {
		if _, err := w.signIn("alice"); err != nil {
			t.Fatal(err)
		}
		if err := w.idp.RotateKeys(keep); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.signIn("alice"); err != nil {
		t.Fatal(err)
	}
	// Two keys and no identifier: which one is not for us to guess.
	if err := w.idp.RotateKeys(true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signIn("alice"); err != nil {
		t.Fatal(err)
	}
	w.idp.Misbehave(func(token *devidp.Token) { delete(token.Header, "kid") })
	_, err := w.signIn("alice")
	refused(t, err, signon.ErrKey)
}

func TestAWithdrawnKeyIsBelievedForAnHourAtMost(t *testing.T) {
	w := newWorld(t)
	var old devidp.Token
	w.idp.Misbehave(func(token *devidp.Token) { old = *token })
	if _, err := w.signIn("alice"); err != nil {
		t.Fatal(err)
	}
	if err := w.idp.RotateKeys(false); err != nil {
		t.Fatal(err)
	}
	stolen := func(token *devidp.Token) { token.Key, token.Header["kid"] = old.Key, old.Header["kid"] }
	w.clock.pass(time.Hour)
	w.idp.Misbehave(stolen)
	_, err := w.signIn("alice")
	refused(t, err, signon.ErrKey)
}

func TestKeySetsThatAreWrong(t *testing.T) {
	for name, attack := range map[string]struct {
		body  string
		cause error
	}{
		"not JSON":        {`hello`, signon.ErrUnreachable},
		"65 keys":         {`{"keys":[` + strings.TrimSuffix(strings.Repeat(`{},`, 65), ",") + `]}`, signon.ErrUnreachable},
		"a secret as key": {`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`, signon.ErrKey},
		"no keys":         {`{"keys":[]}`, signon.ErrKey},
		"two mebibytes":   {`{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`, signon.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/jwks" {
					rw.Write([]byte(attack.body))
					return
				}
				w.idp.ServeHTTP(rw, r)
			})
			w.front.Store(&front)
			_, err := w.signIn("alice")
			refused(t, err, attack.cause)
		})
	}
}

func TestMadeUpKeyIdentifiersDoNotHammerTheProvider(t *testing.T) {
	w := newWorld(t)
	w.begin()
	var asked atomic.Int32
	front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			asked.Add(1)
		}
		w.idp.ServeHTTP(rw, r)
	})
	w.front.Store(&front)
	for range 100 {
		_, err := w.rp.VerifyLogout(t.Context(), rawToken(`{"alg":"ES256","kid":"made-up"}`, `{}`, "AAAA"))
		refused(t, err, signon.ErrKey)
	}
	w.clock.pass(11 * time.Second)
	w.rp.VerifyLogout(t.Context(), rawToken(`{"alg":"ES256","kid":"made-up"}`, `{}`, "AAAA"))
	if got := asked.Load(); got != 2 {
		t.Errorf("the keys were fetched %d times, want once per ten seconds", got)
	}
}

func der(t *devidp.Token) []byte {
	b, _ := x509.MarshalPKIXPublicKey(t.Public)
	return b
}

func rawToken(header, payload, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + signature
}
