package signon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

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
	}, signon.ErrHeader},
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
	{"an issuer with a null byte", func(t *devidp.Token, w *world) { t.Claims["iss"] = w.server.URL + "\x00" }, signon.ErrIssuer},
	{"an issuer in full-width digits", func(t *devidp.Token, w *world) { t.Claims["iss"] = strings.ReplaceAll(w.server.URL, "1", "１") }, signon.ErrIssuer},
	{"an issuer with an invisible letter", func(t *devidp.Token, w *world) { t.Claims["iss"] = w.server.URL + "\u200d" }, signon.ErrIssuer},
	{"an issuer in capitals", func(t *devidp.Token, w *world) { t.Claims["iss"] = strings.ToUpper(w.server.URL) }, signon.ErrIssuer},
	{"an issuer with a user", func(t *devidp.Token, w *world) { t.Claims["iss"] = strings.Replace(w.server.URL, "//", "//x@", 1) }, signon.ErrIssuer},
	{"an issuer that ours is a prefix of", func(t *devidp.Token, w *world) { t.Claims["iss"] = w.server.URL + ".evil.example" }, signon.ErrIssuer},
	{"a list of issuers", func(t *devidp.Token, w *world) { t.Claims["iss"] = []string{w.server.URL} }, signon.ErrIssuer},
	{"an audience in capitals", set("aud", "SHOP"), signon.ErrAudience},
	{"an audience with a space", set("aud", "shop "), signon.ErrAudience},
	{"an audience with a null byte", set("aud", "shop\x00"), signon.ErrAudience},
	{"an audience within a list within a list", set("aud", []any{[]string{"shop"}}), signon.ErrAudience},
	{"21 audiences", set("aud", append(many(20, "x"), "shop")), signon.ErrAudience},
	{"an authorized party that is empty", set("azp", ""), signon.ErrAuthorizedParty},
	{"an expiry before all time", set("exp", -1), signon.ErrExpired},
	{"an expiry of zero", set("exp", 0), signon.ErrExpired},
	{"an expiry that overflows", set("exp", json.Number("9223372036854775808")), signon.ErrExpired},
	{"an expiry that is true", set("exp", true), signon.ErrExpired},
	{"a beginning beyond all time", set("nbf", json.Number("99999999999999999999")), signon.ErrNotYet},
	{"a beginning that is a string", set("nbf", "0"), signon.ErrNotYet},
	{"a time of issue before all time", set("iat", -1), signon.ErrIssuedAt},
	{"a nonce of another kind", set("nonce", []string{"x"}), signon.ErrNonce},
	{"a nonce in another spelling of its name", func(t *devidp.Token, _ *world) { t.Claims["Nonce"] = t.Claims["nonce"]; delete(t.Claims, "nonce") }, signon.ErrNonce},
	{"a subject in another spelling of its name", func(t *devidp.Token, _ *world) { t.Claims["SUB"] = t.Claims["sub"]; delete(t.Claims, "sub") }, signon.ErrSubject},
	{"a subject with a null byte", set("sub", "alice\x00"), signon.ErrSubject},
	{"a subject that turns around", set("sub", "alice\u202e"), signon.ErrSubject},
	{"an at_hash in another spelling", func(t *devidp.Token, _ *world) { t.Claims["at_hash"] = t.Claims["at_hash"].(string) + "=" }, signon.ErrAccessTokenHash},
	{"an at_hash that is cut", func(t *devidp.Token, _ *world) { t.Claims["at_hash"] = t.Claims["at_hash"].(string)[:8] }, signon.ErrAccessTokenHash},
	{"signed in before all time", set("auth_time", -5), signon.ErrAuthTime},
	{"HS384 with the public key", func(t *devidp.Token, _ *world) { t.Algorithm, t.Key = "HS384", der(t) }, signon.ErrAlgorithm},
	{"RS512, to which a key of ours belongs as well", func(t *devidp.Token, _ *world) {
		t.Key, _ = rsa.GenerateKey(rand.Reader, 2048)
		t.Algorithm = "RS512"
	}, signon.ErrAlgorithm},
	{"RS256 where the key is for ES256", func(t *devidp.Token, _ *world) {
		t.Key, _ = rsa.GenerateKey(rand.Reader, 2048)
		t.Algorithm = "RS256"
	}, signon.ErrKey},
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

// A spelling is a token whose bytes no encoder would write. The signature is right unless the spelling is about it.
var spellings = []struct {
	name            string
	header, payload func(honest string) string
	raw             func(honest string) string
	cause           error
}{
	{name: "the algorithm in small letters", header: replace(`"ES256"`, `"es256"`), cause: signon.ErrAlgorithm},
	{name: "the algorithm with a space", header: replace(`"ES256"`, `"ES256 "`), cause: signon.ErrAlgorithm},
	{name: "the algorithm with an escape, which is the same", header: replace(`"ES256"`, `"\u0045S256"`)},
	{name: "no algorithm", header: replace(`"alg":"ES256",`, ``), cause: signon.ErrAlgorithm},
	{name: "an algorithm that is a list", header: replace(`"ES256"`, `["ES256"]`), cause: signon.ErrAlgorithm},
	{name: "an algorithm that is null", header: replace(`"ES256"`, `null`), cause: signon.ErrAlgorithm},
	{name: "a second algorithm", header: replace(`{`, `{"alg":"none",`), cause: signon.ErrMalformed},
	{name: "a second algorithm in an escape", header: replace(`{`, `{"\u0061lg":"none",`), cause: signon.ErrMalformed},
	{name: "an algorithm in other letters beside ours", header: replace(`{`, `{"Alg":"none",`)},
	{name: "a second key identifier", header: replace(`{`, `{"kid":"x",`), cause: signon.ErrMalformed},
	{name: "a key identifier that is a path", header: kid(`../../../../dev/null`), cause: signon.ErrKey},
	{name: "a key identifier that is SQL", header: kid(`x' union select 'AAAA' -- `), cause: signon.ErrKey},
	{name: "a key identifier that is an address", header: kid(`https://evil.example/jwks`), cause: signon.ErrKey},
	{name: "a key identifier that is a command", header: kid(`|id`), cause: signon.ErrKey},
	{name: "a key identifier with a null byte", header: kid(`a\u0000`), cause: signon.ErrKey},
	{name: "a key identifier of 256 bytes", header: kid(strings.Repeat("k", 256)), cause: signon.ErrKey},
	{name: "a key identifier that is a number", header: regexpReplace(`"kid":"[^"]*"`, `"kid":7`), cause: signon.ErrKey},
	{name: "a key of the sender's", header: replace(`{`, `{"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},`), cause: signon.ErrHeader},
	{name: "an address of keys", header: replace(`{`, `{"jku":"https://evil.example/jwks",`), cause: signon.ErrHeader},
	{name: "an address of a certificate", header: replace(`{`, `{"x5u":"https://evil.example/x.pem",`), cause: signon.ErrHeader},
	{name: "a certificate of the sender's", header: replace(`{`, `{"x5c":["MIIB"],`), cause: signon.ErrHeader},
	{name: "a certificate that is null", header: replace(`{`, `{"x5c":null,`), cause: signon.ErrHeader},
	{name: "nothing that is critical", header: replace(`{`, `{"crit":[],`), cause: signon.ErrHeader},
	{name: "a payload that is not encoded", header: replace(`{`, `{"b64":false,"crit":["b64"],`), cause: signon.ErrHeader},
	{name: "a payload that is not encoded, by the way", header: replace(`{`, `{"b64":false,`), cause: signon.ErrHeader},
	{name: "a compressed payload", header: replace(`{`, `{"zip":"DEF",`), cause: signon.ErrHeader},
	{name: "an encrypted payload", header: replace(`{`, `{"enc":"A128GCM",`), cause: signon.ErrHeader},
	{name: "a nested token", header: replace(`{`, `{"cty":"JWT",`), cause: signon.ErrHeader},
	{name: "a nested token that does not say so", payload: func(string) string { return rawToken(`{"alg":"none"}`, `{"sub":"mallory"}`, "") }, cause: signon.ErrMalformed},
	{name: "a header of five kibibytes", header: replace(`{`, `{"x":"`+strings.Repeat("x", 5<<10)+`",`), cause: signon.ErrMalformed},
	{name: "a header that is a list", header: func(h string) string { return "[" + h + "]" }, cause: signon.ErrMalformed},
	{name: "a header that is not UTF-8", header: replace(`{`, "{\"x\":\"\xff\","), cause: signon.ErrMalformed},
	{name: "a header that goes on", header: func(h string) string { return h + "{}" }, cause: signon.ErrMalformed},
	{name: "a header with a mark in front", header: func(h string) string { return "\xef\xbb\xbf" + h }, cause: signon.ErrMalformed},
	{name: "a claim given twice", payload: replace(`{`, `{"sub":"mallory",`), cause: signon.ErrMalformed},
	{name: "a claim given twice, once in an escape", payload: replace(`{`, `{"s\u0075b":"mallory",`), cause: signon.ErrMalformed},
	{name: "a claim given twice within another", payload: replace(`{`, `{"x":{"y":[{"z":1,"z":2}]},`), cause: signon.ErrMalformed},
	{name: "claims that are not UTF-8", payload: replace(`"alice"`, "\"alice\xff\""), cause: signon.ErrMalformed},
	{name: "half a letter", payload: replace(`"alice"`, `"alice\ud800"`), cause: signon.ErrMalformed},
	{name: "claims with a mark in front", payload: func(p string) string { return "\xef\xbb\xbf" + p }, cause: signon.ErrMalformed},
	{name: "claims that go on", payload: func(p string) string { return p + p }, cause: signon.ErrMalformed},
	{name: "claims with a comment", payload: replace(`{`, `{/**/`), cause: signon.ErrMalformed},
	{name: "claims that are null", payload: func(string) string { return "null" }, cause: signon.ErrMalformed},
	{name: "claims that are a list", payload: func(p string) string { return "[" + p + "]" }, cause: signon.ErrMalformed},
	{name: "no claims", payload: func(string) string { return "" }, cause: signon.ErrMalformed},
	{name: "eleven thousand lists in each other", payload: replace(`{`, `{"x":`+strings.Repeat("[", 11000)+strings.Repeat("]", 11000)+`,`), cause: signon.ErrMalformed},
	{name: "a number that no machine holds", payload: regexpReplace(`"exp":\d+`, `"exp":1e999`), cause: signon.ErrExpired},
	{name: "a number of ten thousand digits", payload: regexpReplace(`"exp":\d+`, `"exp":1`+strings.Repeat("0", 10000)), cause: signon.ErrExpired},
	{name: "a space in front", raw: func(s string) string { return " " + s }, cause: signon.ErrMalformed},
	{name: "a line break at the end", raw: func(s string) string { return s + "\n" }, cause: signon.ErrMalformed},
	{name: "a line break within", raw: func(s string) string { return s[:20] + "\r\n" + s[20:] }, cause: signon.ErrMalformed},
	{name: "a null byte at the end", raw: func(s string) string { return s + "\x00" }, cause: signon.ErrMalformed},
	{name: "padding", raw: func(s string) string { return s + "==" }, cause: signon.ErrMalformed},
	{name: "the other alphabet", raw: func(s string) string { return s[:len(s)-4] + "+/+/" }, cause: signon.ErrMalformed},
	{name: "another spelling of the same signature", raw: respell, cause: signon.ErrMalformed},
	{name: "an empty signature", raw: func(s string) string { return s[:strings.LastIndex(s, ".")+1] }, cause: signon.ErrSignature},
	{name: "no signature", raw: func(s string) string { return s[:strings.LastIndex(s, ".")] }, cause: signon.ErrMalformed},
	{name: "a signature of nothing but zeros", raw: resign(make([]byte, 64)), cause: signon.ErrSignature},
	{name: "a signature of one byte", raw: resign([]byte{1}), cause: signon.ErrSignature},
	{name: "a signature with more behind it", raw: func(s string) string { return s + "AAAA" }, cause: signon.ErrSignature},
	{name: "two signatures", raw: func(s string) string { return s + s[strings.LastIndex(s, "."):] }, cause: signon.ErrMalformed},
	{name: "other claims under the same signature", raw: func(s string) string {
		parts := strings.Split(s, ".")
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"mallory"}`)) + "." + parts[2]
	}, cause: signon.ErrSignature},
	{name: "two signatures in JSON", raw: func(s string) string {
		parts := strings.Split(s, ".")
		one := `{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
		return `{"payload":"` + parts[1] + `","signatures":[` + one + "," + one + `]}`
	}, cause: signon.ErrMalformed},
	{name: "one signature in JSON", raw: func(s string) string {
		parts := strings.Split(s, ".")
		return `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
	}, cause: signon.ErrMalformed},
	{name: "an honest token, spelled by hand"},
}

func TestTokensInOtherSpellingsAreRefusedByName(t *testing.T) { // SYSTEM I10
	w := newWorld(t)
	for _, attack := range spellings {
		t.Run(attack.name, func(t *testing.T) {
			w.t = t
			w.idp.Misbehave(func(token *devidp.Token) {
				header := `{"alg":"ES256","kid":"` + token.Header["kid"].(string) + `"}`
				claims, _ := json.Marshal(token.Claims)
				payload := string(claims)
				if attack.header != nil {
					header = attack.header(header)
				}
				if attack.payload != nil {
					payload = attack.payload(payload)
				}
				token.Raw = signParts(t, token.Key, header, payload)
				if attack.raw != nil {
					token.Raw = attack.raw(token.Raw)
				}
			})
			_, err := w.signIn("alice")
			if attack.cause == nil {
				if err != nil {
					t.Errorf("got %v, want it to be taken", err)
				}
				return
			}
			refused(t, err, attack.cause)
		})
	}
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func regexpReplace(old, new string) func(string) string {
	return func(s string) string { return regexp.MustCompile(old).ReplaceAllLiteralString(s, new) }
}

func kid(id string) func(string) string { return regexpReplace(`"kid":"[^"]*"`, `"kid":"`+id+`"`) }

func resign(signature []byte) func(string) string {
	return func(s string) string {
		return s[:strings.LastIndex(s, ".")+1] + base64.RawURLEncoding.EncodeToString(signature)
	}
}

// respell changes the bits of the last letter that stand for nothing.
func respell(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, s[len(s)-1])
	return s[:len(s)-1] + string(letters[last^1])
}

// signParts signs what no library would write, with ES256.
func signParts(t *testing.T, key any, header, payload string) string {
	t.Helper()
	raw := rawToken(header, payload, "")
	raw = raw[:len(raw)-1]
	sum := sha256.Sum256([]byte(raw))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return raw + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// Keys of the provider's that must not verify what they are told to.
func TestKeysOfTheWrongKindVerifyNothing(t *testing.T) { // SYSTEM I10
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	short, _ := rsa.GenerateKey(rand.Reader, 1024)
	long, _ := rsa.GenerateKey(rand.Reader, 2048)
	for _, attack := range []struct {
		name      string
		keys      []jose.JSONWebKey
		algorithm string
		key       any
		cause     error
	}{
		{"the right one", []jose.JSONWebKey{{Key: p256.Public(), KeyID: "a"}}, "ES256", p256, nil},
		{"the right one among others", []jose.JSONWebKey{{Key: p384.Public(), KeyID: "a"}, {Key: p256.Public(), KeyID: "a", Use: "sig"}}, "ES256", p256, nil},
		{"one on another curve", []jose.JSONWebKey{{Key: p384.Public(), KeyID: "a", Algorithm: "ES256"}}, "ES256", p256, signon.ErrKey},
		{"one for encryption", []jose.JSONWebKey{{Key: p256.Public(), KeyID: "a", Use: "enc"}}, "ES256", p256, signon.ErrKey},
		{"one for another algorithm", []jose.JSONWebKey{{Key: long.Public(), KeyID: "a", Algorithm: "PS256"}}, "RS256", long, signon.ErrKey},
		{"one that is too short", []jose.JSONWebKey{{Key: short.Public(), KeyID: "a"}}, "RS256", short, signon.ErrKey},
		{"a private one", []jose.JSONWebKey{{Key: p256, KeyID: "a"}}, "ES256", p256, signon.ErrKey},
		{"two of one name", []jose.JSONWebKey{{Key: p256.Public(), KeyID: "a"}, {Key: p256.Public(), KeyID: "a"}}, "ES256", p256, signon.ErrKey},
		{"one whose name is too long", []jose.JSONWebKey{{Key: p256.Public(), KeyID: strings.Repeat("k", 256)}}, "ES256", p256, signon.ErrKey},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := newWorld(t)
			front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/jwks" {
					w.idp.ServeHTTP(rw, r)
					return
				}
				rw.Header().Set("Content-Type", "application/jwk-set+json")
				json.NewEncoder(rw).Encode(jose.JSONWebKeySet{Keys: attack.keys})
			})
			w.front.Store(&front)
			w.idp.Misbehave(func(token *devidp.Token) {
				token.Algorithm, token.Key, token.Header["kid"] = attack.algorithm, attack.key, "a"
				delete(token.Claims, "at_hash")
			})
			_, err := w.signIn("alice")
			if attack.cause == nil && err != nil {
				t.Errorf("got %v, want it to be taken", err)
			}
			if attack.cause != nil {
				refused(t, err, attack.cause)
			}
		})
	}
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
					rw.Header().Set("Content-Type", "application/json")
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
