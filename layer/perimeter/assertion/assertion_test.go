package perimeter_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
)

var (
	now     = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	private = ed25519.NewKeyFromSeed(make([]byte, 32))
	signing = perimeter.NewSigningKey(private)
)

// claims returns those of a good assertion for GET https://localhost/a?b=c.
func goodClaims() map[string]any {
	return map[string]any{
		"iss": "redoubt-edge/" + signing.ID, "aud": "app", "jti": "id", "ip": "192.0.2.1",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(30 * time.Second).Unix(),
		"htm": "GET", "hth": "localhost", "htu": "/a?b=c",
	}
}

func goodHeader() map[string]any {
	return map[string]any{"alg": "EdDSA", "kid": signing.ID, "typ": "redoubt-assertion+jwt"}
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

func verifierAt(t testing.TB, clock func() time.Time, replays int) (http.Handler, **layer.Refusal) {
	t.Helper()
	refusal := new(*layer.Refusal)
	v, err := perimeter.NewVerifier(perimeter.VerifierConfig{
		Keys: []perimeter.VerifyKey{signing.Public()}, Audience: "app", Now: clock, Replays: replays,
		Refuse: func(w http.ResponseWriter, r *http.Request, got *layer.Refusal) { *refusal = got; w.WriteHeader(401) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(perimeter.AssertionHeader) != "" {
			t.Error("the application sees the assertion")
		}
		visit, ok := perimeter.From(r.Context())
		if want := (perimeter.Visit{ClientIP: netip.MustParseAddr("192.0.2.1"), RequestID: visit.RequestID, Scheme: "https", Host: "localhost", Issued: visit.Issued}); !ok || visit.Issued.Before(now) || visit != want {
			t.Errorf("got %+v, want %+v", visit, want)
		}
	})), refusal
}

func request(method, host, target string, tokens ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = host
	for _, x := range tokens {
		r.Header.Add(perimeter.AssertionHeader, x)
	}
	return r
}

// SYSTEM P5: nothing but the edge's word on this very request is believed.
func TestForgedAssertionsAreRefused(t *testing.T) {
	good := token(goodHeader(), goodClaims(), ed(private))
	other := ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes"))
	hmacWithPublic := func(s string) []byte {
		m := hmac.New(sha256.New, private.Public().(ed25519.PublicKey))
		m.Write([]byte(s))
		return m.Sum(nil)
	}
	claim := func(name string, value any) string {
		return token(goodHeader(), with(goodClaims(), name, value), ed(private))
	}
	header := func(name string, value any) string {
		return token(with(goodHeader(), name, value), goodClaims(), ed(private))
	}
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(other.Public().(ed25519.PublicKey))}
	parts := strings.Split(good, ".")
	for _, a := range []struct {
		name string
		r    *http.Request
	}{
		{"no assertion", request("GET", "localhost", "/a?b=c")},
		{"an empty one", request("GET", "localhost", "/a?b=c", "")},
		{"two of them", request("GET", "localhost", "/a?b=c", good, good)},
		{"two in one", request("GET", "localhost", "/a?b=c", good+", "+good)},
		{"algorithm none", request("GET", "localhost", "/a?b=c", token(with(goodHeader(), "alg", "none"), goodClaims(), func(string) []byte { return nil }))},
		{"algorithm none, signed", request("GET", "localhost", "/a?b=c", header("alg", "none"))},
		{"HS256 with the public key", request("GET", "localhost", "/a?b=c", token(with(goodHeader(), "alg", "HS256"), goodClaims(), hmacWithPublic))},
		{"EdDSA with an HMAC", request("GET", "localhost", "/a?b=c", token(goodHeader(), goodClaims(), hmacWithPublic))},
		{"another key", request("GET", "localhost", "/a?b=c", token(goodHeader(), goodClaims(), ed(other)))},
		{"another key that the header brings along", request("GET", "localhost", "/a?b=c", token(with(goodHeader(), "jwk", jwk), goodClaims(), ed(other)))},
		{"a key in the header beside a good signature", request("GET", "localhost", "/a?b=c", header("jwk", jwk))},
		{"an unknown key's name", request("GET", "localhost", "/a?b=c", header("kid", "unknown"))},
		{"no key's name", request("GET", "localhost", "/a?b=c", header("kid", nil))},
		{"another type", request("GET", "localhost", "/a?b=c", header("typ", "JWT"))},
		{"no type", request("GET", "localhost", "/a?b=c", header("typ", nil))},
		{"a critical extension", request("GET", "localhost", "/a?b=c", header("crit", []string{"x"}))},
		{"another issuer", request("GET", "localhost", "/a?b=c", claim("iss", "redoubt-edge/other"))},
		{"another audience", request("GET", "localhost", "/a?b=c", claim("aud", "other"))},
		{"a list of audiences", request("GET", "localhost", "/a?b=c", claim("aud", []string{"app"}))},
		{"expired", request("GET", "localhost", "/a?b=c", claim("exp", now.Add(-5*time.Second).Unix()))},
		{"without an end", request("GET", "localhost", "/a?b=c", claim("exp", nil))},
		{"living too long", request("GET", "localhost", "/a?b=c", claim("exp", now.Add(31*time.Second).Unix()))},
		{"not valid yet", request("GET", "localhost", "/a?b=c", claim("nbf", now.Add(6*time.Second).Unix()))},
		{"issued in the future", request("GET", "localhost", "/a?b=c", claim("iat", now.Add(6*time.Second).Unix()))},
		{"without an identifier", request("GET", "localhost", "/a?b=c", claim("jti", nil))},
		{"with a long identifier", request("GET", "localhost", "/a?b=c", claim("jti", strings.Repeat("x", 65)))},
		{"with an unknown claim", request("GET", "localhost", "/a?b=c", claim("sub", "admin"))},
		{"with a client that is no address", request("GET", "localhost", "/a?b=c", claim("ip", "localhost"))},
		{"for another method", request("POST", "localhost", "/a?b=c", good)},
		{"for another host", request("GET", "localhost:443", "/a?b=c", good)},
		{"for another path", request("GET", "localhost", "/a/?b=c", good)},
		{"for another spelling of the path", request("GET", "localhost", "/%61?b=c", good)},
		{"for another query", request("GET", "localhost", "/a?b=d", good)},
		{"for no query", request("GET", "localhost", "/a", good)},
		{"a signature cut short", request("GET", "localhost", "/a?b=c", good[:len(good)-4])},
		{"a header that is not JSON", request("GET", "localhost", "/a?b=c", "eA."+parts[1]+"."+parts[2])},
		{"JSON serialization", request("GET", "localhost", "/a?b=c", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]))},
		{"a huge one", request("GET", "localhost", "/a?b=c", claim("jti", strings.Repeat("x", 2048)))},
		{"a very huge one", request("GET", "localhost", "/a?b=c", strings.Repeat(".", 1<<20))},
	} {
		t.Run(a.name, func(t *testing.T) {
			h, refusal := verifierAt(t, func() time.Time { return now }, 0)
			h.ServeHTTP(httptest.NewRecorder(), a.r)
			got := *refusal
			if got == nil {
				t.Fatal("it was let through")
			}
			if got.By != layer.Perimeter || got.Reason != layer.Unauthenticated || got.Cause == nil {
				t.Errorf("got %+v", got)
			}
			for _, value := range a.r.Header[perimeter.AssertionHeader] {
				if len(value) > 20 && strings.Contains(got.Error(), value[:20]) {
					t.Errorf("the refusal quotes the assertion: %.80s", got.Error())
				}
			}
		})
	}
}

// SYSTEM P5: an assertion is good once, until it ends, give or take the skew of two clocks.
func TestAssertionIsGoodOnceAndInTime(t *testing.T) {
	at := now
	h, refusal := verifierAt(t, func() time.Time { return at }, 0)
	try := func(id string) *layer.Refusal {
		*refusal = nil
		h.ServeHTTP(httptest.NewRecorder(), request("GET", "localhost", "/a?b=c", token(goodHeader(), with(goodClaims(), "jti", id), ed(private))))
		return *refusal
	}
	for _, step := range []struct {
		name string
		id   string
		at   time.Duration
		want bool
	}{
		{"by a clock that is 5 s behind", "a", -5 * time.Second, true},
		{"by a clock that is behind further", "b", -6 * time.Second, false},
		{"at once", "c", 0, true},
		{"again", "c", time.Second, false},
		{"again at its very end", "a", 34 * time.Second, false},
		{"late, but within the skew", "d", 34 * time.Second, true},
		{"too late", "e", 35 * time.Second, false},
		{"again, when it is forgotten", "a", time.Hour, false},
	} {
		at = now.Add(step.at)
		if got := try(step.id); (got == nil) != step.want {
			t.Errorf("%s: got %v, want it taken: %v", step.name, got, step.want)
		}
	}
}

// SYSTEM P5 T6: when no further assertion can be remembered, none is taken; and memory is free again when they have ended.
func TestReplayMemoryIsBoundedAndFailsClosed(t *testing.T) {
	at := now
	h, refusal := verifierAt(t, func() time.Time { return at }, 3)
	try := func(id int) *layer.Refusal {
		*refusal = nil
		claims := with(goodClaims(), "jti", fmt.Sprint(id))
		for _, name := range []string{"iat", "nbf"} {
			claims[name] = at.Unix()
		}
		claims["exp"] = at.Add(30 * time.Second).Unix()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", "localhost", "/a?b=c", token(goodHeader(), claims, ed(private))))
		return *refusal
	}
	for id := range 3 {
		if got := try(id); got != nil {
			t.Fatalf("assertion %d: %v", id, got)
		}
	}
	if got := try(3); got == nil || got.Reason != layer.Unavailable {
		t.Errorf("the fourth: got %v, want it refused as unavailable", got)
	}
	if got := try(0); got == nil || got.Reason != layer.Unauthenticated {
		t.Errorf("a replay when full: got %v", got)
	}
	for at = now.Add(40 * time.Second); at.Before(now.Add(time.Hour)); at = at.Add(40 * time.Second) {
		for id := range 3 {
			if got := try(id); got != nil {
				t.Fatalf("after %v: %v", at.Sub(now), got)
			}
		}
	}
}

func TestTargetsOfAnyLengthFit(t *testing.T) {
	h, refusal := verifierAt(t, func() time.Time { return now }, 0)
	for i, target := range []string{"/", "/?" + strings.Repeat("é", 3000), "/" + strings.Repeat("a", 60000), "/" + strings.Repeat("a", 511), "/" + strings.Repeat("a", 512), `/?"\`} {
		claims := with(with(goodClaims(), "htu", perimeter.TargetClaim(target)), "jti", fmt.Sprint(i))
		r := request("GET", "localhost", "/", token(goodHeader(), claims, ed(private)))
		r.RequestURI = target
		if h.ServeHTTP(httptest.NewRecorder(), r); *refusal != nil {
			t.Errorf("%.20s…: %v", target, *refusal)
		}
	}
}

func TestConfigurationProblemsAreReportedTogether(t *testing.T) {
	for name, c := range map[string]struct {
		err  func() error
		want []string
	}{
		"verifier": {func() error { _, err := perimeter.NewVerifier(perimeter.VerifierConfig{Replays: -1}); return err },
			[]string{"no key", "audience", "refused requests", "negative"}},
		"edge": {func() error {
			_, err := perimeter.NewEdge(perimeter.EdgeConfig{Origin: "http://x/y", MinVersion: 1, MaxBody: -1})
			return err
		}, []string{"link's certificate", "no peer", "origin", "audience", "public certificate", "TLS version", "negative", "assertion key"}},
		"connector": {func() error {
			_, err := perimeter.NewConnector(perimeter.ConnectorConfig{Links: 65, EdgeKeys: []perimeter.Pin{{}}})
			return err
		}, []string{"link's certificate", "pinned key is empty", "host:port", "no handler", "between 0 and 64"}},
	} {
		err := c.err()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
	}
}

func TestSigningKeyDoesNotPrint(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, signing); got != "assertion key "+signing.ID {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func FuzzAssertion(f *testing.F) {
	f.Add(token(goodHeader(), goodClaims(), ed(private)))
	f.Add(token(with(goodHeader(), "alg", "none"), goodClaims(), func(string) []byte { return nil }))
	f.Add("a.b.c")
	f.Add("")
	good := token(goodHeader(), goodClaims(), ed(private))
	signed := good[:strings.LastIndexByte(good, '.')]
	f.Fuzz(func(t *testing.T, s string) {
		h, refusal := verifierAt(t, func() time.Time { return now }, 0)
		h.ServeHTTP(httptest.NewRecorder(), request("GET", "localhost", "/a?b=c", s))
		if *refusal == nil && !strings.HasPrefix(s, signed+".") {
			t.Errorf("a token that the edge did not sign was believed: %q", s)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/b?c=d", "/%2e%2e/", "/..;/", "//x", "/a%2fb", "/a\\b", "/é", "*", "/%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if perimeter.CheckTarget(target) != "" {
			return
		}
		r, err := http.NewRequest("GET", "https://localhost"+target, nil)
		if err != nil {
			t.Fatalf("%q passes, but cannot be parsed: %v", target, err)
		}
		if got := r.URL.RequestURI(); got != target {
			t.Errorf("%q would be forwarded as %q", target, got)
		}
		for segment := range strings.SplitSeq(r.URL.Path, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\x00") {
				t.Errorf("%q passes with the segment %q", target, segment)
			}
		}
		if strings.Count(r.URL.Path, "/") != strings.Count(strings.SplitN(target, "?", 2)[0], "/") {
			t.Errorf("%q has segments that are not seen", target)
		}
	})
}

// FuzzGuard holds the guard against net/http: where the guard lets whole requests through, net/http sees the same ends.
func FuzzGuard(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n")
	f.Add("GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\nContent-Length: 1\r\n\r\na")
	f.Fuzz(func(t *testing.T, s string) {
		good, reason, between := perimeter.Judge([]byte(s))
		if reason == "" && good != len(s) || good > len(s) {
			t.Fatalf("%d of %d bytes pass without a reason", good, len(s))
		}
		if reason != "" || !between {
			return
		}
		// Every byte belongs to a whole request: net/http must come to the same end, unless it refuses some request.
		if err := readAll(s); err != nil && !errors.Is(err, errRefusedByHTTP) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

var errRefusedByHTTP = errors.New("refused by net/http")

func readAll(s string) error {
	r := bufio.NewReader(strings.NewReader(s))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		request, err := http.ReadRequest(r)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			return errRefusedByHTTP
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
	}
}

// SYSTEM P5: what an assertion costs. The figures in the package comment are from here.
func BenchmarkSign(b *testing.B) {
	sign, err := perimeter.Sign(signing, "app")
	if err != nil {
		b.Fatal(err)
	}
	r := request("GET", "localhost", "/a?b=c")
	for b.Loop() {
		if _, err := sign(r, "abcdefghijklmnopqrstuvwxyz", "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	open, err := perimeter.Open(perimeter.VerifierConfig{Keys: []perimeter.VerifyKey{signing.Public()}, Audience: "app", Refuse: refuse})
	if err != nil {
		b.Fatal(err)
	}
	good := token(goodHeader(), goodClaims(), ed(private))
	for b.Loop() {
		if err := open(good); err != nil {
			b.Fatal(err)
		}
	}
}
