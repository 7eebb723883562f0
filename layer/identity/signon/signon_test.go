package signon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := signon.New(signon.Config{Issuer: "http://idp.example?x", RedirectURL: "javascript:alert(1)",
		Algorithms: []string{"HS256", "none"}, Scopes: []string{"email"}})
	for _, want := range []string{"Issuer is not https", "Issuer has a query", "ClientID", "ClientSecret", "RedirectURL", `"HS256"`, `"none"`, "openid"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %s", err, want)
		}
	}
}

func TestSomebodySignsInWithEachAlgorithm(t *testing.T) { // SYSTEM I1 I2 I3 I10
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, func(idp *devidp.Config, _ *signon.Config) { idp.Algorithm = algorithm })
			got, err := w.signIn("alice")
			if err != nil {
				t.Fatal(err)
			}
			if got.SessionID == "" || got.IDToken == "" {
				t.Error("the session and the ID token are missing")
			}
			got.SessionID, got.IDToken = "", ""
			want := signon.Claims{Issuer: w.server.URL, Subject: "alice", Email: "alice@acme.example", EmailVerified: true, Name: "Alice Archer",
				Groups: []string{"acme", "acme-admins"}, AuthTime: w.clock.Now(), ACR: devidp.ACRTwoFactor, AMR: []string{"pwd", "otp", "mfa"}}
			if g, w := fmt.Sprint(fields(got)), fmt.Sprint(fields(want)); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func fields(c signon.Claims) []any {
	return []any{c.Issuer, c.Subject, c.Email, c.EmailVerified, c.Name, c.Groups, c.AuthTime.Unix(), c.ACR, c.AMR}
}

func TestGroupsAreThoseOfTheMoment(t *testing.T) { // SYSTEM I3
	w := newWorld(t)
	if _, err := w.signIn("alice"); err != nil {
		t.Fatal(err)
	}
	if err := w.idp.SetGroups("alice", nil); err != nil {
		t.Fatal(err)
	}
	got, err := w.signIn("alice", signon.BeginOptions{Prompt: "none"})
	if err != nil || len(got.Groups) != 0 {
		t.Errorf("got %v, %v, want no groups", got.Groups, err)
	}
}

func TestTheRequestIsWhatTheSpecificationWants(t *testing.T) {
	w := newWorld(t)
	to, pending := w.begin(signon.BeginOptions{Prompt: "login", ACRValues: []string{devidp.ACRTwoFactor}, LoginHint: "alice@acme.example"})
	u, _ := url.Parse(to)
	q := u.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": "shop", "redirect_uri": callback, "state": pending.State,
		"nonce": pending.Nonce, "code_challenge_method": "S256", "prompt": "login", "max_age": "0", "acr_values": devidp.ACRTwoFactor, "login_hint": "alice@acme.example",
		"scope": "openid profile email groups"} {
		if q.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("code_challenge")) != 43 || strings.Contains(to, pending.Verifier) {
		t.Error("the challenge is not a digest of the verifier")
	}
}

func TestPendingSurvivesACookieAndStaysOutOfLogs(t *testing.T) {
	w := newWorld(t)
	_, pending := w.begin(signon.BeginOptions{MaxAge: time.Hour})
	sealed, err := json.Marshal(pending)
	if err != nil {
		t.Fatal(err)
	}
	var opened signon.Pending
	if err := json.Unmarshal(sealed, &opened); err != nil || opened != pending {
		t.Errorf("got %s back, want what was put in", sealed)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, pending); got != "signon.Pending" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestAProviderThatIsDownDoesNotStopTheProgram(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	down := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(rw, "a secret page", http.StatusServiceUnavailable)
	})
	w.front.Store(&down)
	for range 5 {
		_, _, err := w.rp.Begin(t.Context(), signon.BeginOptions{})
		refused(t, err, signon.ErrUnreachable)
		if r := new(layer.Refusal); !errors.As(err, &r) || r.Reason != layer.Unavailable || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want an unavailability that does not repeat the page", err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the provider was asked %d times within its wait, want once", asked.Load())
	}
	w.front.Store(nil)
	w.clock.pass(2 * time.Second)
	if _, err := w.signIn("alice"); err != nil {
		t.Errorf("the provider is back, but: %v", err)
	}
}

func TestWaitsDoubleUpToALimit(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	down := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1); panic(http.ErrAbortHandler) })
	w.front.Store(&down)
	for range 600 { // ten minutes of a visitor every second
		if _, _, err := w.rp.Begin(t.Context(), signon.BeginOptions{}); err == nil {
			t.Fatal("a provider that is down signed somebody in")
		}
		w.clock.pass(time.Second)
	}
	if got := asked.Load(); got < 20 || got > 26 { // 1+2+4+8+16, then every 30 s; a dropped connection is tried twice at most
		t.Errorf("asked %d times in ten minutes, want about 24", got)
	}
}

func TestKnownMetadataServesWhileTheProviderIsAway(t *testing.T) {
	w := newWorld(t)
	w.begin()
	gone := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.front.Store(&gone)
	w.clock.pass(2 * time.Hour)
	w.begin()
}

func TestDiscoveryThatIsWrongIsRefused(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another issuer":                 func(d map[string]any) { d["issuer"] = "https://evil.example" },
		"a token endpoint over http":     func(d map[string]any) { d["token_endpoint"] = "http://evil.example/token" },
		"no keys":                        func(d map[string]any) { delete(d, "jwks_uri") },
		"a logout that is a script":      func(d map[string]any) { d["end_session_endpoint"] = "javascript:alert(1)" },
		"plain PKCE only":                func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} },
		"symmetric signatures only":      func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} },
		"private keys as authentication": func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} },
		"members of other types":         func(d map[string]any) { d["scopes_supported"] = 7 },
		"an issuer that looks alike":     func(d map[string]any) { d["issuer"] = strings.Replace(d["issuer"].(string), "1", "１", 1) },
		"an issuer with a slash":         func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" },
		"no issuer":                      func(d map[string]any) { delete(d, "issuer") },
		"members in other letters":       func(d map[string]any) { d["Issuer"] = d["issuer"]; delete(d, "issuer") },
		"keys over http":                 func(d map[string]any) { d["jwks_uri"] = "http://evil.example/jwks" },
		"keys with a user":               func(d map[string]any) { d["jwks_uri"] = "https://user@evil.example/jwks" },
		"userinfo in a file":             func(d map[string]any) { d["userinfo_endpoint"] = "file:///etc/passwd" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.alterDiscovery(change)
			_, _, err := w.rp.Begin(t.Context(), signon.BeginOptions{})
			refused(t, err, signon.ErrDiscovery)
		})
	}
}

// alterDiscovery rewrites the discovery document on its way.
func (w *world) alterDiscovery(change func(map[string]any)) {
	front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "openid-configuration") {
			w.idp.ServeHTTP(rw, r)
			return
		}
		recorder := httptest.NewRecorder()
		w.idp.ServeHTTP(recorder, r)
		document := map[string]any{}
		json.Unmarshal(recorder.Body.Bytes(), &document)
		change(document)
		rw.Header().Set("Content-Type", "application/json")
		json.NewEncoder(rw).Encode(document)
	})
	w.front.Store(&front)
}

func TestTheClientAuthenticatesAsDiscoverySays(t *testing.T) {
	for method, want := range map[string]bool{"client_secret_basic": true, "client_secret_post": false} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			w.alterDiscovery(func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = []string{method} })
			to, pending := w.begin()
			answer := w.visit(to, "alice")
			var calls atomic.Int32
			front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if _, _, basic := r.BasicAuth(); r.URL.Path == "/token" && calls.Add(1) > 0 && basic != want {
					t.Errorf("Basic authentication: %v, want %v", basic, want)
				}
				w.idp.ServeHTTP(rw, r)
			})
			w.front.Store(&front)
			if _, err := w.rp.Finish(t.Context(), pending, answer); err != nil {
				t.Fatal(err)
			}
			if calls.Load() != 1 {
				t.Errorf("the code was sent %d times, want once", calls.Load())
			}
		})
	}
}

func TestCallbacksThatAreNotOursAreRefused(t *testing.T) { // SYSTEM I1
	for _, attack := range []struct {
		name  string
		alter func(*world, *signon.Pending, url.Values)
		cause error
	}{
		{"an empty pending with an empty query", func(_ *world, p *signon.Pending, q url.Values) { *p = signon.Pending{}; clear(q) }, signon.ErrPending},
		{"a pending without nonce", func(_ *world, p *signon.Pending, _ url.Values) { p.Nonce = "" }, signon.ErrPending},
		{"a pending without verifier", func(_ *world, p *signon.Pending, _ url.Values) { p.Verifier = "" }, signon.ErrPending},
		{"a pending older than ten minutes", func(w *world, _ *signon.Pending, _ url.Values) { w.clock.pass(10*time.Minute + time.Second) }, signon.ErrStale},
		{"a pending from the future", func(w *world, _ *signon.Pending, _ url.Values) { w.clock.pass(-2 * time.Minute) }, signon.ErrStale},
		{"another browser's pending", func(w *world, p *signon.Pending, _ url.Values) { _, *p = w.begin() }, signon.ErrState},
		{"no state", func(_ *world, _ *signon.Pending, q url.Values) { q.Del("state") }, signon.ErrState},
		{"a state that is a prefix", func(_ *world, p *signon.Pending, q url.Values) { q.Set("state", p.State[:42]) }, signon.ErrState},
		{"two states", func(_ *world, _ *signon.Pending, q url.Values) { q.Add("state", "x") }, signon.ErrQuery},
		{"two codes", func(_ *world, _ *signon.Pending, q url.Values) { q.Add("code", "x") }, signon.ErrQuery},
		{"a code of a mebibyte", func(_ *world, _ *signon.Pending, q url.Values) { q.Set("code", strings.Repeat("x", 1<<20)) }, signon.ErrQuery},
		{"a code beyond its bound", func(_ *world, _ *signon.Pending, q url.Values) { q.Set("code", strings.Repeat("x", 4097)) }, signon.ErrCode},
		{"no code", func(_ *world, _ *signon.Pending, q url.Values) { q.Del("code") }, signon.ErrCode},
		{"no iss although the provider sends it", func(_ *world, _ *signon.Pending, q url.Values) { q.Del("iss") }, signon.ErrMixUp},
		{"another provider's iss", func(_ *world, _ *signon.Pending, q url.Values) { q.Set("iss", "https://evil.example") }, signon.ErrMixUp},
		{"a made-up code", func(_ *world, _ *signon.Pending, q url.Values) { q.Set("code", "made-up") }, signon.ErrExchange},
		{"a code older than a minute", func(w *world, _ *signon.Pending, _ url.Values) { w.clock.pass(61 * time.Second) }, signon.ErrExchange},
		{"a wrong verifier", func(_ *world, p *signon.Pending, _ url.Values) { p.Verifier = strings.Repeat("x", 43) }, signon.ErrExchange},
		{"another nonce", func(_ *world, p *signon.Pending, _ url.Values) { p.Nonce = strings.Repeat("x", 43) }, signon.ErrNonce},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := newWorld(t)
			to, pending := w.begin()
			answer := w.visit(to, "alice")
			code := answer.Get("code")
			attack.alter(w, &pending, answer)
			_, err := w.rp.Finish(t.Context(), pending, answer)
			refused(t, err, attack.cause)
			if strings.Contains(err.Error(), code) {
				t.Error("the error repeats the code")
			}
		})
	}
}

func TestAnAnswerIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	to, pending := w.begin()
	answer := w.visit(to, "alice")
	if _, err := w.rp.Finish(t.Context(), pending, answer); err != nil {
		t.Fatal(err)
	}
	_, err := w.rp.Finish(t.Context(), pending, answer)
	refused(t, err, signon.ErrReplayed)
	// Another replica has no memory of it; there the provider refuses the code.
	other, err := signon.New(signon.Config{Issuer: w.server.URL, ClientID: "shop", ClientSecret: "correct horse", RedirectURL: callback,
		HTTP: w.server.Client(), Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Finish(t.Context(), pending, answer)
	refused(t, err, signon.ErrExchange)
	if code := new(signon.ProviderError); !errors.As(err, &code) || code.Code != "invalid_grant" {
		t.Errorf("got %v, want invalid_grant", err)
	}
}

func TestErrorsOfTheProviderAreNamedAndNotRepeated(t *testing.T) {
	for sent, want := range map[string]string{"login_required": "login_required", "access_denied": "access_denied",
		"server_error": "server_error", "<script>\nforged log line": "unregistered", "": "unregistered"} {
		w := newWorld(t)
		_, pending := w.begin()
		_, err := w.rp.Finish(t.Context(), pending, url.Values{"state": {pending.State}, "iss": {w.server.URL}, "error": {sent}, "code": {"x"}})
		code := new(signon.ProviderError)
		if !errors.As(err, &code) || code.Code != want {
			t.Errorf("%q: got %v, want %s", sent, err, want)
		}
	}
}

func TestSilentSignInNeedsASession(t *testing.T) {
	w := newWorld(t)
	_, err := w.signIn("alice", signon.BeginOptions{Prompt: "none"})
	if code := new(signon.ProviderError); !errors.As(err, &code) || code.Code != "login_required" {
		t.Errorf("got %v, want login_required", err)
	}
}

func TestStepUpIsProvedByTheTokenAndNotByTheAddress(t *testing.T) { // SYSTEM I6
	w := newWorld(t)
	if _, err := w.signIn("alice"); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(5 * time.Minute)
	// The person takes prompt and max_age out of the address, and so gets an old sign-in.
	to, pending := w.begin(signon.BeginOptions{Prompt: "login"})
	u, _ := url.Parse(to)
	q := u.Query()
	q.Del("prompt")
	q.Del("max_age")
	u.RawQuery = q.Encode()
	_, err := w.rp.Finish(t.Context(), pending, w.visit(u.String(), "alice"))
	refused(t, err, signon.ErrAuthTime)
	if _, err := w.signIn("alice", signon.BeginOptions{Prompt: "login"}); err != nil {
		t.Errorf("a real step-up: %v", err)
	}
	w.clock.pass(30 * time.Second)
	if _, err := w.signIn("alice", signon.BeginOptions{MaxAge: time.Minute, Prompt: "none"}); err != nil {
		t.Errorf("a recent sign-in: %v", err)
	}
}

func TestLogoutURL(t *testing.T) { // SYSTEM I5
	w := newWorld(t)
	claims, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	to, err := w.rp.LogoutURL(t.Context(), claims.IDToken, "https://shop.example/bye", "s&t")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.get(to).Header.Get("Location"); got != "https://shop.example/bye?state=s%26t" {
		t.Errorf("got %q, want the registered address with the state", got)
	}
	_, err = w.signIn("alice", signon.BeginOptions{Prompt: "none"})
	if err == nil {
		t.Error("the session lives on after signing out")
	}
	w = newWorld(t)
	w.alterDiscovery(func(d map[string]any) { delete(d, "end_session_endpoint") })
	_, err = w.rp.LogoutURL(t.Context(), "", "", "")
	refused(t, err, signon.ErrNoLogout)
}

func TestTheBackChannelFollowsNoRedirect(t *testing.T) {
	w := newWorld(t)
	to, pending := w.begin()
	answer := w.visit(to, "alice")
	front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stolen" {
			body, _ := io.ReadAll(r.Body)
			t.Errorf("the code was sent on: %d bytes", len(body))
		}
		http.Redirect(rw, r, "/stolen", http.StatusTemporaryRedirect)
	})
	w.front.Store(&front)
	_, err := w.rp.Finish(t.Context(), pending, answer)
	refused(t, err, signon.ErrExchange)
}

func TestTokenResponsesThatAreWrong(t *testing.T) {
	for name, attack := range map[string]struct {
		status int
		body   string
		cause  error
	}{
		"no ID token":          {200, `{"access_token":"a","token_type":"Bearer"}`, signon.ErrNoIDToken},
		"an ID token of 7":     {200, `{"access_token":"a","token_type":"bearer","id_token":7}`, signon.ErrNoIDToken},
		"no access token":      {200, `{"id_token":"a.b.c"}`, signon.ErrTokenResponse},
		"not JSON":             {200, `<html>`, signon.ErrTokenResponse},
		"two mebibytes":        {200, `{"access_token":"` + strings.Repeat("a", 2<<20) + `"}`, signon.ErrUnreachable},
		"an error that leaks":  {400, `{"error":"invalid_grant","error_description":"hunter2"}`, signon.ErrExchange},
		"a page that leaks":    {400, `hunter2`, signon.ErrExchange},
		"a server that is ill": {503, `hunter2`, signon.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			to, pending := w.begin()
			answer := w.visit(to, "alice")
			front := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(attack.status)
				io.WriteString(rw, attack.body)
			})
			w.front.Store(&front)
			_, err := w.rp.Finish(t.Context(), pending, answer)
			refused(t, err, attack.cause)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, which repeats the answer", err)
			}
		})
	}
}

func TestTheDefaultClientTakesNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var hosts []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		http.NotFound(rw, r)
	}))
	defer server.Close()
	rp, err := signon.New(signon.Config{Issuer: server.URL, ClientID: "a", ClientSecret: "b", RedirectURL: callback})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = rp.Begin(t.Context(), signon.BeginOptions{})
	refused(t, err, signon.ErrUnreachable)
	if want := strings.TrimPrefix(server.URL, "http://"); !slices.Equal(hosts, []string{want}) {
		t.Errorf("got requests for %q, want one for %q", hosts, want)
	}
}
