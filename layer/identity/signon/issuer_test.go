package signon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// A forge is a build service's issuer: it has a discovery document with nothing but keys in it, as most have.
type forge struct {
	*httptest.Server
	key      *ecdsa.PrivateKey
	clock    *clock
	asked    atomic.Int32         // for keys
	document func(map[string]any) // alters discovery
}

func newForge(t *testing.T) *forge {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &forge{key: key, clock: &clock{now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/keys" {
			f.asked.Add(1)
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "a", Use: "sig", Algorithm: "ES256"}}})
			return
		}
		document := map[string]any{"issuer": f.URL, "jwks_uri": f.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}}
		if f.document != nil {
			f.document(document)
		}
		json.NewEncoder(w).Encode(document)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *forge) issuer(t *testing.T, change ...func(*signon.IssuerConfig)) *signon.Issuer {
	t.Helper()
	cfg := signon.IssuerConfig{Issuer: f.URL, HTTP: f.Client(), Now: f.clock.Now}
	for _, c := range change {
		c(&cfg)
	}
	i, err := signon.NewIssuer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// token makes one, honest but for what change does to its claims.
func (f *forge) token(t *testing.T, change func(claims map[string]any)) string {
	t.Helper()
	now := f.clock.Now()
	claims := map[string]any{"iss": f.URL, "sub": "repo:acme/shop:ref:refs/heads/main", "aud": "https://shop.example", "jti": "1",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "repository": "acme/shop", "run": 7, "env": map[string]any{"deep": []string{"x"}}}
	change(claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return signParts(t, f.key, `{"alg":"ES256","kid":"a","typ":"JWT"}`, string(payload))
}

func honest(map[string]any) {}

func TestAMachineIsWhoItsIssuerSays(t *testing.T) { // SYSTEM I9 I10
	f := newForge(t)
	got, err := f.issuer(t).Verify(t.Context(), f.token(t, honest))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != f.URL || got.Subject != "repo:acme/shop:ref:refs/heads/main" || !slices.Equal(got.Audience, []string{"https://shop.example"}) || got.ID != "1" ||
		!got.IssuedAt.Equal(f.clock.Now()) || !got.Expires.Equal(f.clock.Now().Add(5*time.Minute)) {
		t.Errorf("got %q for %q from %v to %v", got.Subject, got.Audience, got.IssuedAt, got.Expires)
	}
	if got.Claims["repository"] != "acme/shop" || got.Claims["run"] != 7.0 || fmt.Sprint(got.Claims["env"]) != "map[deep:[x]]" {
		t.Error("the claims are not what was signed")
	}
	if printed := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(printed, "acme") {
		t.Errorf("it prints as %s", printed)
	}
}

func TestMachinesAreRefusedByName(t *testing.T) { // SYSTEM I10
	f := newForge(t)
	issuer := f.issuer(t, func(cfg *signon.IssuerConfig) { cfg.Audiences = []string{"https://shop.example"} })
	claim := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	in := func(name string, d time.Duration) func(map[string]any) {
		return claim(name, f.clock.Now().Add(d).Unix())
	}
	deep := any("x")
	for range 8 {
		deep = []any{deep}
	}
	for _, attack := range []struct {
		name  string
		do    func(map[string]any)
		cause error
	}{
		{"an honest token", honest, nil},
		{"several audiences, ours among them", claim("aud", []string{"other", "https://shop.example"}), nil},
		{"no identifier, which not all give", drop("jti"), nil},
		{"claims at their depth", claim("x", deep), nil},
		{"a subject at its bound", claim("sub", strings.Repeat("s", 255)), nil},
		{"a life of a day", func(c map[string]any) { in("exp", 24*time.Hour)(c) }, nil},
		{"another issuer", claim("iss", "https://evil.example"), signon.ErrIssuer},
		{"no issuer", drop("iss"), signon.ErrIssuer},
		{"another audience", claim("aud", "https://evil.example"), signon.ErrAudience},
		{"an audience that ours is a prefix of", claim("aud", "https://shop.example.evil.example"), signon.ErrAudience},
		{"no audience", drop("aud"), signon.ErrAudience},
		{"an empty list of audiences", claim("aud", []string{}), signon.ErrAudience},
		{"an empty audience", claim("aud", ""), signon.ErrAudience},
		{"no subject", drop("sub"), signon.ErrSubject},
		{"an empty subject", claim("sub", ""), signon.ErrSubject},
		{"a subject beyond its bound", claim("sub", strings.Repeat("s", 256)), signon.ErrSubject},
		{"a subject with a line break", claim("sub", "repo:acme/shop\nrepo:acme/other"), signon.ErrSubject},
		{"expired", in("exp", -61*time.Second), signon.ErrExpired},
		{"no expiry", drop("exp"), signon.ErrExpired},
		{"not valid yet", in("nbf", 61*time.Second), signon.ErrNotYet},
		{"issued in the future", in("iat", 61*time.Second), signon.ErrIssuedAt},
		{"no time of issue", drop("iat"), signon.ErrIssuedAt},
		{"a life of more than a day", in("exp", 24*time.Hour+time.Second), signon.ErrIssuedAt},
		{"a logout token", claim("events", map[string]any{}), signon.ErrType},
		{"an identifier beyond its bound", claim("jti", strings.Repeat("j", 256)), signon.ErrMalformed},
		{"101 claims", func(c map[string]any) {
			for n := range 101 {
				c[fmt.Sprint("x", n)] = n
			}
		}, signon.ErrMalformed},
		{"claims beyond their depth", claim("x", []any{deep}), signon.ErrMalformed},
		{"claims beyond their length", claim("x", strings.Repeat("x", 16<<10)), signon.ErrMalformed},
	} {
		t.Run(attack.name, func(t *testing.T) {
			raw := f.token(t, attack.do)
			_, err := issuer.Verify(t.Context(), raw)
			switch {
			case attack.cause != nil:
				refused(t, err, attack.cause)
			case err != nil:
				t.Errorf("got %v, want it to be taken", err)
			}
		})
	}
}

func TestMachinesInOtherSpellingsAreRefusedByName(t *testing.T) { // SYSTEM I10
	f := newForge(t)
	issuer := f.issuer(t)
	for _, attack := range spellings {
		if slices.Contains([]error{signon.ErrNonce, signon.ErrAccessTokenHash}, attack.cause) {
			continue // is about what machines have not
		}
		t.Run(attack.name, func(t *testing.T) {
			claims, _ := json.Marshal(map[string]any{"iss": f.URL, "sub": "alice", "aud": "shop", "iat": f.clock.Now().Unix(), "exp": f.clock.Now().Add(time.Minute).Unix()})
			header, payload := `{"alg":"ES256","kid":"a"}`, string(claims)
			if attack.header != nil {
				header = attack.header(header)
			}
			if attack.payload != nil {
				payload = attack.payload(payload)
			}
			raw := signParts(t, f.key, header, payload)
			if attack.raw != nil {
				raw = attack.raw(raw)
			}
			_, err := issuer.Verify(t.Context(), raw)
			switch {
			case len(raw) > 16<<10:
				refused(t, err, signon.ErrMalformed)
			case attack.cause != nil:
				refused(t, err, attack.cause)
			case err != nil:
				t.Errorf("got %v, want it to be taken", err)
			}
		})
	}
}

func TestAMachineOfAnotherTypeIsRefused(t *testing.T) {
	f := newForge(t)
	for _, typ := range []string{"at+jwt", "logout+jwt", "secevent+jwt", ""} {
		raw := f.token(t, honest)
		payload := strings.Split(raw, ".")[1]
		header := rawToken(`{"alg":"ES256","kid":"a","typ":"`+typ+`"}`, "", "")
		_, err := f.issuer(t).Verify(t.Context(), strings.SplitN(header, ".", 2)[0]+"."+payload+".AAAA")
		refused(t, err, signon.ErrType)
	}
}

func TestMadeUpMachinesDoNotHammerTheIssuer(t *testing.T) {
	f := newForge(t)
	issuer := f.issuer(t)
	for range 100 {
		_, err := issuer.Verify(t.Context(), rawToken(`{"alg":"ES256","kid":"made-up"}`, `{}`, "AAAA"))
		refused(t, err, signon.ErrKey)
	}
	if got := f.asked.Load(); got != 1 {
		t.Errorf("the keys were fetched %d times, want once", got)
	}
}

func TestAnIssuerThatAimsElsewhereIsRefused(t *testing.T) { // SYSTEM N5
	for name, to := range map[string]string{"http": "http://192.0.2.1/keys", "a file": "file:///etc/passwd", "nothing": "", "with a user": "https://a@b.example/"} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t)
			f.document = func(d map[string]any) { d["jwks_uri"] = to }
			_, err := f.issuer(t).Verify(t.Context(), f.token(t, honest))
			refused(t, err, signon.ErrDiscovery)
		})
	}
}

// A provider far away must not aim our requests at this machine.
func TestOnlyALocalProviderHasLocalEndpoints(t *testing.T) {
	asked := 0
	far := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"issuer": "https://far.example", "jwks_uri": "https://127.0.0.1:6379/"})
	})}
	issuer, err := signon.NewIssuer(signon.IssuerConfig{Issuer: "https://far.example", HTTP: &http.Client{Transport: far}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = issuer.Verify(t.Context(), rawToken(`{"alg":"ES256","kid":"a"}`, `{}`, "AAAA"))
	refused(t, err, signon.ErrDiscovery)
	if asked != 1 {
		t.Errorf("asked %d times, want for the document alone", asked)
	}
}

func TestNewIssuerReportsEveryProblemAtOnce(t *testing.T) {
	for _, address := range []string{"", "http://127.0.0.1:9", "http://build.example", "https://build.example?x", "https://build.example/#x", "https://a:b@build.example",
		"https://bu\u0456ld.example", "https://build.example/\n", "//build.example", "file:///etc"} {
		_, err := signon.NewIssuer(signon.IssuerConfig{Issuer: address, Algorithms: []string{"HS256"}, Audiences: []string{""}})
		for _, want := range []string{"Issuer", `"HS256"`, "Audiences"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want it to mention %s", address, err, want)
			}
		}
	}
	if _, err := signon.NewIssuer(signon.IssuerConfig{Issuer: "http://127.0.0.1:9", InsecureLoopback: true}); err != nil {
		t.Error(err)
	}
	if _, err := signon.NewIssuer(signon.IssuerConfig{Issuer: "http://build.example", InsecureLoopback: true}); err == nil {
		t.Error("an issuer elsewhere over http was taken")
	}
}

func FuzzMachine(f *testing.F) {
	f.Add(rawToken(`{"alg":"ES256","kid":"a"}`, `{"iss":"https://far.example","sub":"x"}`, "AAAA"))
	f.Add("..")
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	far := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"issuer": "https://far.example", "jwks_uri": "https://far.example/keys",
			"keys": []jose.JSONWebKey{{Key: key.Public(), KeyID: "a"}}})
	})}
	issuer, err := signon.NewIssuer(signon.IssuerConfig{Issuer: "https://far.example", HTTP: &http.Client{Transport: far}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := issuer.Verify(t.Context(), raw); err == nil {
			t.Error("an unsigned token was taken")
		} else if !slices.Contains(signon.Names(), signon.Name(err)) {
			t.Errorf("%v has no name", err)
		}
	})
}
