package devidp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
)

func TestCodesAreRefused(t *testing.T) {
	for _, attack := range []struct {
		name   string
		alter  func(*desk, url.Values)
		header []string
		want   string
	}{
		{"a made-up code", func(_ *desk, q url.Values) { q.Set("code", "x") }, nil, "invalid_grant"},
		{"no code", func(_ *desk, q url.Values) { q.Del("code") }, nil, "invalid_grant"},
		{"a wrong verifier", func(_ *desk, q url.Values) { q.Set("code_verifier", strings.Repeat("x", 43)) }, nil, "invalid_grant"},
		{"no verifier", func(_ *desk, q url.Values) { q.Del("code_verifier") }, nil, "invalid_grant"},
		{"the challenge as verifier", func(_ *desk, q url.Values) { q.Set("code_verifier", challenge(verifier)) }, nil, "invalid_grant"},
		{"another address", func(_ *desk, q url.Values) { q.Set("redirect_uri", "https://shop.example/callback") }, nil, "invalid_grant"},
		{"no address", func(_ *desk, q url.Values) { q.Del("redirect_uri") }, nil, "invalid_grant"},
		{"another client", func(*desk, url.Values) {}, []string{"Authorization", basic("other", "other")}, "invalid_grant"},
		{"a code older than a minute", func(d *desk, _ url.Values) { d.pass(61 * time.Second) }, nil, "invalid_grant"},
		{"a wrong secret", func(*desk, url.Values) {}, []string{"Authorization", basic("shop", "x")}, "invalid_client"},
		{"an unknown client without secret", func(*desk, url.Values) {}, []string{"Authorization", basic("nobody", "")}, "invalid_client"},
		{"no authentication", func(*desk, url.Values) {}, []string{"X", "y"}, "invalid_client"},
		{"a secret that is not an escape", func(*desk, url.Values) {}, []string{"Authorization", "Basic JVpaOnM="}, "invalid_client"},
		{"two authentications", func(_ *desk, q url.Values) { q.Set("client_secret", "s:%/e c") }, nil, "invalid_request"},
		{"another client_id in the body", func(_ *desk, q url.Values) { q.Set("client_id", "other") }, nil, "invalid_client"},
		{"two codes", func(_ *desk, q url.Values) { q.Add("code", "x") }, nil, "invalid_request"},
		{"a password", func(_ *desk, q url.Values) { q.Set("grant_type", "password") }, nil, "unsupported_grant_type"},
	} {
		d := newDesk(t)
		q := exchange(d.click(good(), "alice").Get("code"))
		attack.alter(d, q)
		if got := d.token(q, attack.header...); got.Error != attack.want || got.Access != "" || got.ID != "" {
			t.Errorf("%s: got %+v, want %s", attack.name, got, attack.want)
		}
	}
}

func TestACodeAtItsLimitAndByPost(t *testing.T) {
	d := newDesk(t)
	q := exchange(d.click(good(), "alice").Get("code"))
	q.Set("client_id", "shop")
	q.Set("client_secret", "s:%/e c")
	d.pass(60 * time.Second)
	if got := d.token(q, "X", "y"); got.Error != "" {
		t.Errorf("got %+v, want tokens", got)
	}
}

func TestASecondUseOfACodeRevokesTheFirst(t *testing.T) {
	d := newDesk(t)
	q := exchange(d.click(good(), "alice").Get("code"))
	got := d.token(q)
	if again := d.token(q); again.Error != "invalid_grant" {
		t.Errorf("got %+v, want a refusal", again)
	}
	if after := d.token(refresh(got.Refresh)); after.Error != "invalid_grant" {
		t.Errorf("the refresh token lives on: %+v", after)
	}
	if w := d.do("GET", "/userinfo", nil, "Authorization", "Bearer "+got.Access); w.Code != http.StatusUnauthorized {
		t.Errorf("the access token lives on: %d", w.Code)
	}
}

func TestAWrongVerifierSpendsTheCode(t *testing.T) {
	d := newDesk(t)
	q := exchange(d.click(good(), "alice").Get("code"))
	q.Set("code_verifier", strings.Repeat("x", 43))
	d.token(q)
	q.Set("code_verifier", verifier)
	if got := d.token(q); got.Error != "invalid_grant" {
		t.Errorf("got %+v, want the code to be spent", got)
	}
}

func TestRefreshTokensRotateAndAReuseKillsTheFamily(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	first := d.signIn("alice")
	if err := d.idp.SetGroups("alice", []string{"new"}); err != nil {
		t.Fatal(err)
	}
	second := d.token(refresh(first.Refresh))
	if second.Error != "" || second.Refresh == first.Refresh {
		t.Fatalf("got %+v, want another refresh token", second)
	}
	claims := d.claims(second.ID)
	if groups, _ := claims["groups"].([]any); len(groups) != 1 || groups[0] != "new" || claims["nonce"] != nil {
		t.Errorf("got %v, want the groups of now and no nonce", claims)
	}
	if got := d.token(refresh(first.Refresh)); got.Error != "invalid_grant" {
		t.Errorf("reuse: got %+v", got)
	}
	if got := d.token(refresh(second.Refresh)); got.Error != "invalid_grant" {
		t.Errorf("the family lives on: got %+v", got)
	}
	if err := d.idp.SetGroups("nobody", nil); err == nil {
		t.Error("groups of nobody can be set")
	}
}

func TestRefreshTokensAreRefused(t *testing.T) {
	d := newDesk(t)
	got := d.signIn("alice")
	if other := d.token(refresh(got.Refresh), "Authorization", basic("other", "other")); other.Error != "invalid_grant" {
		t.Errorf("another client: got %+v", other)
	}
	wider := refresh(got.Refresh)
	wider.Set("scope", "openid admin")
	if w := d.token(wider); w.Error != "invalid_scope" {
		t.Errorf("a wider scope: got %+v", w)
	}
	if made := d.token(refresh("made.up")); made.Error != "invalid_grant" {
		t.Errorf("made up: got %+v", made)
	}
	if same := d.token(refresh(got.Refresh)); same.Error != "" {
		t.Errorf("its owner: got %+v", same)
	}
}

func TestAccessTokensAreRefused(t *testing.T) {
	d := newDesk(t)
	got := d.signIn("alice")
	for name, header := range map[string]string{"none": "", "made up": "Bearer x", "another scheme": "Basic " + got.Access, "without scheme": got.Access} {
		if w := d.do("GET", "/userinfo", nil, "Authorization", header); w.Code != 401 {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
	d.pass(5 * time.Minute)
	if w := d.do("GET", "/userinfo", nil, "Authorization", "Bearer "+got.Access); w.Code != 401 {
		t.Errorf("expired: got %d", w.Code)
	}
}

func TestSigningOutWithAHint(t *testing.T) { // SYSTEM I5
	d := newDesk(t)
	got := d.signIn("alice")
	d.pass(time.Hour) // the hint has expired and is a hint all the same
	q := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye"}, "state": {"x"}}
	w := d.do("GET", "/end_session?"+q.Encode(), nil)
	if w.Header().Get("Location") != "https://shop.example/bye?state=x" {
		t.Errorf("got %q", w.Header().Get("Location"))
	}
	if after := d.token(refresh(got.Refresh)); after.Error != "invalid_grant" {
		t.Errorf("the grant outlives the session: %+v", after)
	}
	if q := d.click(with("prompt", "none"), ""); q.Get("error") != "login_required" {
		t.Errorf("the session lives on: %v", q)
	}
}

func TestSignOutIsNoOpenRedirect(t *testing.T) { // SYSTEM T4
	d := newDesk(t)
	got := d.signIn("alice")
	d.idp.Misbehave(func(token *devidp.Token) { token.Algorithm = "none" })
	unsigned := d.signIn("alice").ID
	for name, q := range map[string]url.Values{
		"an address of nobody":          {"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://evil.example"}},
		"an address with more path":     {"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye/x"}},
		"an address with a user":        {"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye@evil.example"}},
		"a callback":                    {"id_token_hint": {got.ID}, "post_logout_redirect_uri": {callback}},
		"no client at all":              {"post_logout_redirect_uri": {"https://shop.example/bye"}},
		"another client":                {"client_id": {"other"}, "post_logout_redirect_uri": {"https://shop.example/bye"}},
		"a hint of another client":      {"id_token_hint": {got.ID}, "client_id": {"other"}},
		"a hint that nobody signed":     {"id_token_hint": {unsigned}},
		"a hint that is no token":       {"id_token_hint": {"x"}, "post_logout_redirect_uri": {"https://shop.example/bye"}},
		"two addresses, one of them ok": {"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye", "https://evil.example"}},
	} {
		w := d.do("GET", "/end_session?"+q.Encode(), nil)
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d to %q", name, w.Code, w.Header().Get("Location"))
		}
	}
	if q := d.click(with("prompt", "none"), ""); !q.Has("code") {
		t.Errorf("a refused sign-out ended the session: %v", q)
	}
}

func TestSigningOutWithoutAHintAsksFirst(t *testing.T) {
	d := newDesk(t)
	d.signIn("alice")
	q := url.Values{"client_id": {"shop"}, "post_logout_redirect_uri": {"https://shop.example/bye"}, "state": {"x"}}
	w := d.do("GET", "/end_session?"+q.Encode(), nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "Sign out?") {
		t.Fatalf("got %d, want a question", w.Code)
	}
	answer := form(w.Body.String())
	forged := url.Values{"token": {"x"}}
	if w := d.do("POST", "/signout", forged); w.Code != 403 {
		t.Errorf("a forged click: got %d", w.Code)
	}
	elsewhere := url.Values{"token": answer["token"], "client": {"shop"}, "to": {"https://evil.example"}}
	if w := d.do("POST", "/signout", elsewhere); w.Code != 400 {
		t.Errorf("a click that leads elsewhere: got %d", w.Code)
	}
	if w := d.do("POST", "/signout", answer, "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("another site's click: got %d", w.Code)
	}
	if w := d.do("POST", "/signout", answer); w.Header().Get("Location") != "https://shop.example/bye?state=x" {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := d.do("GET", "/", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "You are signed out") {
		t.Errorf("home: got %d", w.Code)
	}
}

func TestEveryClientOfASessionHearsOfItsEndAndASleeperHoldsNothingUp(t *testing.T) {
	var heard atomic.Int32
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && strings.Count(r.PostFormValue("logout_token"), ".") == 2 {
			heard.Add(1)
		}
	}))
	defer shop.Close()
	sleeper := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a server notices that its client has gone only after the body
		<-r.Context().Done()
	}))
	defer sleeper.Close()
	d := newDesk(t, func(cfg *devidp.Config) {
		cfg.Clients[0].BackchannelLogoutURI = shop.URL
		cfg.Clients[1].BackchannelLogoutURI = sleeper.URL
		cfg.HTTP = &http.Client{Timeout: 100 * time.Millisecond}
	})
	got := d.signIn("alice")
	both := with("client_id", "other")
	both.Set("redirect_uri", "https://other.example/cb")
	if w := d.do("GET", "/authorize?"+both.Encode(), nil); w.Code != http.StatusSeeOther {
		t.Fatalf("got %d", w.Code)
	}
	begun := time.Now()
	d.do("GET", "/end_session?id_token_hint="+got.ID, nil)
	if heard.Load() != 1 || time.Since(begun) > 3*time.Second {
		t.Errorf("heard %d times in %v, want once and soon", heard.Load(), time.Since(begun))
	}
	d.do("GET", "/end_session?id_token_hint="+got.ID, nil)
	if heard.Load() != 1 {
		t.Error("a session that has ended ends again")
	}
}

func TestAHookBitesOnce(t *testing.T) {
	d := newDesk(t)
	d.idp.Misbehave(func(token *devidp.Token) { token.Claims["sub"] = "mallory" })
	if got := d.claims(d.signIn("alice").ID)["sub"]; got != "mallory" {
		t.Errorf("got %v, want the altered claim", got)
	}
	if got := d.claims(d.signIn("alice").ID)["sub"]; got != "alice" {
		t.Errorf("got %v, want an honest token", got)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	d := newDesk(t)
	oldest := d.click(good(), "alice").Get("code")
	kept := d.click(good(), "alice").Get("code")
	for range 999 { // the oldest of 1001 codes goes
		d.click(good(), "alice")
	}
	if got := d.token(exchange(oldest)); got.Why != "The code is not known." {
		t.Errorf("the oldest: got %+v", got)
	}
	if got := d.token(exchange(kept)); got.Error != "" {
		t.Errorf("the one after: got %+v", got)
	}
}

func FuzzAuthorizeAndToken(f *testing.F) {
	f.Add("client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2Fcallback%3Ftenant%3Dacme&response_type=code&scope=openid")
	f.Add("grant_type=refresh_token&refresh_token=%ZZ")
	idp, err := devidp.New(devidp.Config{Issuer: issuer, Clients: []devidp.Client{{ID: "shop", Secret: "s", RedirectURIs: []string{callback}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, path := range []string{"/authorize", "/token", "/choose", "/end_session", "/signout", "/userinfo"} {
			r := httptest.NewRequestWithContext(context.Background(), "POST", issuer+path, strings.NewReader(raw))
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(raw, raw)
			w := httptest.NewRecorder()
			idp.ServeHTTP(w, r)
			to := w.Header().Get("Location")
			if w.Code >= 500 || to != "" && !strings.HasPrefix(to, "https://shop.example/callback?") {
				t.Errorf("%s: got %d to %q", path, w.Code, to)
			}
		}
	})
}
