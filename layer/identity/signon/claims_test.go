package signon_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// move puts a claim somewhere else.
func move(from, to string) func(*devidp.Token) {
	return func(token *devidp.Token) {
		token.Claims[to] = token.Claims[from]
		delete(token.Claims, from)
	}
}

func TestClaimsMayHaveOtherNames(t *testing.T) {
	groups := []string{"acme", "acme-admins"}
	for name, one := range map[string]struct {
		rp   func(*signon.Config)
		move func(*devidp.Token)
	}{
		"groups under an address":       {func(c *signon.Config) { c.GroupsClaim = "https://shop.example/groups" }, move("groups", "https://shop.example/groups")},
		"groups under a name with dots": {func(c *signon.Config) { c.GroupsClaim = "shop.groups" }, move("groups", "shop.groups")},
		"groups nested": {func(c *signon.Config) { c.GroupsClaim = "/realm_access/roles" }, func(t *devidp.Token) {
			t.Claims["realm_access"] = map[string]any{"roles": groups}
			delete(t.Claims, "groups")
		}},
		"groups nested under an address": {func(c *signon.Config) { c.GroupsClaim = "/resource_access/https:~1~1shop.example/roles" }, func(t *devidp.Token) {
			t.Claims["resource_access"] = map[string]any{"https://shop.example": map[string]any{"roles": groups}}
			delete(t.Claims, "groups")
		}},
		"another subject":      {func(c *signon.Config) { c.SubjectClaim = "oid" }, func(t *devidp.Token) { t.Claims["oid"], t.Claims["sub"] = "alice", "pairwise" }},
		"another address":      {func(c *signon.Config) { c.EmailClaim = "upn" }, move("email", "upn")},
		"another verification": {func(c *signon.Config) { c.EmailVerifiedClaim = "xms_edov" }, move("email_verified", "xms_edov")},
		"another name":         {func(c *signon.Config) { c.NameClaim = "display_name" }, move("name", "display_name")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) { one.rp(rp) })
			w.idp.Misbehave(one.move)
			got, err := w.signIn("alice")
			want := signon.Claims{Issuer: w.server.URL, Subject: "alice", Email: "alice@acme.example", EmailVerified: true, Name: "Alice Archer",
				Groups: groups, AuthTime: w.clock.Now(), ACR: devidp.ACRTwoFactor, AMR: []string{"pwd", "otp", "mfa"}}
			if g, w := fmt.Sprint(fields(got)), fmt.Sprint(fields(want)); g != w || err != nil {
				t.Errorf("got\n%s, %v\nwant\n%s", g, err, w)
			}
		})
	}
}

func TestAPathLeadsNowhereElse(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"nothing there":             {},
		"half of it":                {"realm_access": map[string]any{}},
		"a text on the way":         {"realm_access": "roles"},
		"a list on the way":         {"realm_access": []any{map[string]any{"roles": []string{"acme-admins"}}}},
		"the path as a name":        {"/realm_access/roles": []string{"acme-admins"}},
		"the path with dots":        {"realm_access.roles": []string{"acme-admins"}},
		"the usual name":            {"groups": []string{"acme-admins"}},
		"the path in other letters": {"Realm_Access": map[string]any{"roles": []string{"acme-admins"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) { rp.GroupsClaim = "/realm_access/roles" })
			w.idp.Misbehave(func(token *devidp.Token) {
				for claim, value := range claims {
					token.Claims[claim] = value
				}
			})
			if got, err := w.signIn("alice"); err != nil || len(got.Groups) != 0 {
				t.Errorf("got %q, %v, want no groups", got.Groups, err)
			}
		})
	}
}

func TestSubjectsUnderAnotherNameAreHeldToTheSameBounds(t *testing.T) {
	for name, change := range map[string]func(*devidp.Token){
		"missing":        func(t *devidp.Token) { delete(t.Claims, "oid") },
		"empty":          func(t *devidp.Token) { t.Claims["oid"] = "" },
		"a list":         func(t *devidp.Token) { t.Claims["oid"] = []string{"alice"} },
		"without a sub":  func(t *devidp.Token) { delete(t.Claims, "sub") },
		"beyond a bound": func(t *devidp.Token) { t.Claims["oid"] = strings.Repeat("s", 256) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) { rp.SubjectClaim = "oid" })
			w.idp.Misbehave(func(token *devidp.Token) { token.Claims["oid"] = "alice"; change(token) })
			_, err := w.signIn("alice")
			refused(t, err, signon.ErrSubject)
		})
	}
}

// lean is a world whose ID tokens say nothing of groups, name and address.
func lean(t *testing.T) *world {
	w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) { rp.Userinfo, rp.Refresh = true, true })
	w.idp.Misbehave(func(token *devidp.Token) {
		for _, claim := range []string{"groups", "name", "email", "email_verified"} {
			delete(token.Claims, claim)
		}
	})
	return w
}

func TestUserinfoCompletesAnIDToken(t *testing.T) { // SYSTEM I3
	w := lean(t)
	got, err := w.signIn("alice")
	if err != nil || !slices.Equal(got.Groups, []string{"acme", "acme-admins"}) || got.Email != "alice@acme.example" || !got.EmailVerified || got.Name != "Alice Archer" {
		t.Errorf("got %v, %v", fields(got), err)
	}
	// An ID token that has groups, or says that there are none, needs no second question.
	var asked atomic.Int32
	w.before("/userinfo", func(rw http.ResponseWriter, _ *http.Request) { asked.Add(1) })
	w.idp.Misbehave(func(token *devidp.Token) { token.Claims["groups"] = []string{} })
	if got, err := w.signIn("alice"); err != nil || len(got.Groups) != 0 || asked.Load() != 0 {
		t.Errorf("got %v, %v after %d questions", fields(got), err, asked.Load())
	}
}

func TestAnAddressAndItsVerificationAreOneStatement(t *testing.T) {
	w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) { rp.Userinfo = true })
	w.idp.Misbehave(func(token *devidp.Token) {
		delete(token.Claims, "groups")
		token.Claims["email"], token.Claims["email_verified"] = "mallory@evil.example", false
	})
	if got, err := w.signIn("alice"); err != nil || got.Email != "mallory@evil.example" || got.EmailVerified {
		t.Errorf("got %v, %v, want the token's own address, which is not verified", fields(got), err)
	}
}

func TestUserinfoThatIsWrongIsRefused(t *testing.T) { // SYSTEM I10
	const kind = "application/json"
	for _, attack := range []struct {
		name   string
		answer http.HandlerFunc
		cause  error
	}{
		{"somebody else's", saying(200, kind, `{"sub":"bob","groups":["acme-admins"]}`), signon.ErrUserinfo},
		{"nobody's", saying(200, kind, `{"groups":["acme-admins"]}`), signon.ErrUserinfo},
		{"the subject in other letters", saying(200, kind, `{"Sub":"alice"}`), signon.ErrUserinfo},
		{"a subject that is a list", saying(200, kind, `{"sub":["alice"]}`), signon.ErrUserinfo},
		{"two subjects", saying(200, kind, `{"sub":"bob","sub":"alice"}`), signon.ErrUserinfo},
		{"groups as one string", saying(200, kind, `{"sub":"alice","groups":"acme-admins"}`), signon.ErrGroups},
		{"a page", saying(200, "text/html", `{"sub":"alice"}`), signon.ErrUserinfo},
		{"no type", saying(200, "", `{"sub":"alice"}`), signon.ErrUserinfo},
		{"not JSON", saying(200, kind, `hunter2`), signon.ErrUserinfo},
		{"401", saying(401, kind, `{"error":"hunter2"}`), signon.ErrUserinfo},
		{"a redirect", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/stolen", http.StatusTemporaryRedirect)
		}, signon.ErrUserinfo},
		{"503", saying(503, kind, `hunter2`), signon.ErrUnreachable},
		{"two mebibytes", saying(200, kind, `{"sub":"alice","x":"`+strings.Repeat("x", 2<<20)+`"}`), signon.ErrUnreachable},
		{"a token that nobody signed", saying(200, "application/jwt", rawToken(`{"alg":"none"}`, `{"sub":"alice"}`, "")), signon.ErrUserinfo},
		{"a token of a stranger's", saying(200, "application/jwt", rawToken(`{"alg":"ES256","kid":"x"}`, `{"sub":"alice"}`, "AAAA")), signon.ErrUserinfo},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := lean(t)
			w.before("/userinfo", attack.answer)
			got, err := w.signIn("alice")
			refused(t, err, attack.cause)
			if got.Subject != "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q, %v, want nobody, and no repetition", got.Subject, err)
			}
		})
	}
}

// A signed userinfo is a token, so everything that is true of tokens is true of it.
func TestSignedUserinfoIsVerified(t *testing.T) { // SYSTEM I10
	for _, attack := range []struct {
		name   string
		claims string
		cause  error
	}{
		{"honest", `{"iss":"ISSUER","aud":"shop","sub":"alice","groups":["new"]}`, nil},
		{"somebody else's", `{"iss":"ISSUER","aud":"shop","sub":"bob"}`, signon.ErrUserinfo},
		{"for somebody else", `{"iss":"ISSUER","aud":"other","sub":"alice"}`, signon.ErrUserinfo},
		{"by somebody else", `{"iss":"https://evil.example","aud":"shop","sub":"alice"}`, signon.ErrUserinfo},
		{"without issuer", `{"aud":"shop","sub":"alice"}`, signon.ErrUserinfo},
		{"a logout token", `{"iss":"ISSUER","aud":"shop","sub":"alice","events":{}}`, signon.ErrUserinfo},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := lean(t)
			var raw string
			w.idp.Misbehave(func(token *devidp.Token) {
				delete(token.Claims, "groups")
				raw = signParts(t, token.Key, `{"alg":"ES256","kid":"`+token.Header["kid"].(string)+`"}`, strings.Replace(attack.claims, "ISSUER", w.server.URL, 1))
			})
			w.before("/userinfo", func(rw http.ResponseWriter, r *http.Request) { saying(200, "application/jwt", raw)(rw, r) })
			got, err := w.signIn("alice")
			switch {
			case attack.cause != nil:
				refused(t, err, attack.cause)
			case err != nil || !slices.Equal(got.Groups, []string{"new"}):
				t.Errorf("got %q, %v", got.Groups, err)
			}
		})
	}
}

func TestWhatAProviderNeedsBesides(t *testing.T) {
	w := newWorld(t, func(_ *devidp.Config, rp *signon.Config) {
		rp.Refresh, rp.Consent, rp.Parameters = true, true, map[string]string{"access_type": "offline"}
	})
	for prompt, want := range map[string]string{"": "consent", "login": "login consent", "none": "none", "consent": "consent"} {
		to, _ := w.begin(signon.BeginOptions{Prompt: prompt})
		u, _ := url.Parse(to)
		if q := u.Query(); q.Get("access_type") != "offline" || q.Get("prompt") != want || !strings.Contains(q.Get("scope"), "offline_access") {
			t.Errorf("prompt %q: got %v", prompt, q)
		}
	}
	w.alterDiscovery(func(d map[string]any) { d["scopes_supported"] = []string{"openid"} })
	w.clock.pass(2 * time.Hour)
	to, _ := w.begin()
	if strings.Contains(to, "offline_access") {
		t.Error("a scope is asked for that the provider does not know")
	}
	for name, cfg := range map[string]signon.Config{"a parameter of the protocol": {Parameters: map[string]string{"redirect_uri": "x"}}, "consent for nothing": {Consent: true}} {
		cfg.Issuer, cfg.ClientID, cfg.ClientSecret, cfg.RedirectURL = "https://a.example", "a", "b", callback
		if _, err := signon.New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTwoProvidersAreNotMixedUp(t *testing.T) { // SYSTEM I1, RFC 9700 section 4.4
	honest, evil := newWorld(t), newWorld(t)
	to, pending := honest.begin()
	answer := honest.visit(to, "alice")
	var asked atomic.Int32
	thief := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			asked.Add(1)
		}
		evil.idp.ServeHTTP(rw, r)
	})
	evil.front.Store(&thief)
	_, err := evil.rp.Finish(t.Context(), pending, answer) // the caller takes the wrong one of its two
	refused(t, err, signon.ErrMixUp)
	_, begun := evil.begin()
	answer.Set("state", begun.State)
	_, err = evil.rp.Finish(t.Context(), begun, answer) // the evil one has sent the browser on to the honest one
	refused(t, err, signon.ErrMixUp)
	// The same, by an evil one that does not promise an iss, and an answer that lost it.
	answer.Del("iss")
	evil.alterDiscovery(func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") })
	silent := *evil.front.Load()
	both := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			asked.Add(1)
		}
		silent(rw, r)
	})
	evil.front.Store(&both)
	careful, err := signon.New(signon.Config{Issuer: evil.server.URL, ClientID: "shop", ClientSecret: "correct horse", RedirectURL: callback, RequireIssuer: true,
		HTTP: evil.server.Client(), Now: evil.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	_, begun, err = careful.Begin(t.Context(), signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer.Set("state", begun.State)
	_, err = careful.Finish(t.Context(), begun, answer)
	refused(t, err, signon.ErrMixUp)
	// And where nothing speaks of an issuer, what was begun at one provider does not end at the other.
	careless, err := signon.New(signon.Config{Issuer: evil.server.URL, ClientID: "shop", ClientSecret: "correct horse", RedirectURL: callback,
		HTTP: evil.server.Client(), Now: evil.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	answer.Set("state", pending.State)
	_, err = careless.Finish(t.Context(), pending, answer)
	refused(t, err, signon.ErrMixUp)
	if asked.Load() != 0 {
		t.Errorf("the code was shown to the other provider %d times", asked.Load())
	}
}

func TestDistinct(t *testing.T) {
	make := func(issuer, redirect string, require bool) *signon.Provider {
		p, err := signon.New(signon.Config{Issuer: issuer, ClientID: "a", ClientSecret: "b", RedirectURL: redirect, RequireIssuer: require})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const a, b, other = "https://a.example", "https://b.example", "https://shop.example/other"
	for name, one := range map[string]struct {
		providers []*signon.Provider
		fine      bool
	}{
		"none":                           {nil, true},
		"one":                            {[]*signon.Provider{make(a, callback, false)}, true},
		"two with an address each":       {[]*signon.Provider{make(a, callback, false), make(b, other, false)}, true},
		"two that both must say who":     {[]*signon.Provider{make(a, callback, true), make(b, callback, true)}, true},
		"two with one address":           {[]*signon.Provider{make(a, callback, false), make(b, callback, false)}, false},
		"two of which one may be silent": {[]*signon.Provider{make(a, callback, true), make(b, callback, false)}, false},
		"two with one issuer":            {[]*signon.Provider{make(a, callback, true), make(a, other, true)}, false},
	} {
		if err := signon.Distinct(one.providers...); (err == nil) != one.fine {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNamesAreAClosedVocabulary(t *testing.T) { // SYSTEM M1
	names := signon.Names()
	if sorted := slices.Compact(slices.Sorted(slices.Values(names))); len(sorted) != len(names) {
		t.Error("two causes have one name")
	}
	for err, want := range map[error]string{
		nil: "", errors.New("x"): "", signon.ErrNonce: "nonce", fmt.Errorf("%w: x", signon.ErrNonce): "nonce", signon.ErrRefused: "refresh_refused",
		fmt.Errorf("%w: %w", signon.ErrRefused, signon.ErrSubject):                             "subject",
		fmt.Errorf("%w: %w", signon.ErrExchange, &signon.ProviderError{Code: "invalid_grant"}): "exchange",
		&signon.ProviderError{Code: "access_denied"}:                                           "provider.access_denied",
		fmt.Errorf("%w: %w", errors.New("x"), fmt.Errorf("%w", signon.ErrKey)):                 "key",
	} {
		if got := signon.Name(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	for _, name := range names {
		if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_.") != "" {
			t.Errorf("%q is not a short name", name)
		}
	}
}
