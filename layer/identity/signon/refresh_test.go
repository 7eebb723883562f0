package signon_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

func refreshing(_ *devidp.Config, rp *signon.Config) { rp.Refresh = true }

// before shows answer in place of the provider's at one path.
func (w *world) before(path string, answer http.HandlerFunc) {
	front := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			answer(rw, r)
			return
		}
		w.idp.ServeHTTP(rw, r)
	})
	w.front.Store(&front)
}

func saying(status int, kind, body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", kind)
		rw.WriteHeader(status)
		io.WriteString(rw, body)
	}
}

// ended and goesOn are the two sides of a refusal to refresh, of which exactly one is true.
func ended(t *testing.T, err error) {
	t.Helper()
	refused(t, err, signon.ErrRefused)
	if r := new(layer.Refusal); errors.As(err, &r) && r.Reason != layer.Unauthenticated || errors.Is(err, signon.ErrUnreachable) {
		t.Errorf("got %v, want the end of the session", err)
	}
}

func goesOn(t *testing.T, err error) {
	t.Helper()
	refused(t, err, signon.ErrUnreachable)
	if r := new(layer.Refusal); errors.As(err, &r) && r.Reason != layer.Unavailable || errors.Is(err, signon.ErrRefused) {
		t.Errorf("got %v, want the session to go on", err)
	}
}

func TestARefreshBringsTheGroupsOfNow(t *testing.T) { // SYSTEM I3 I5
	w := newWorld(t, refreshing)
	first, err := w.signIn("alice")
	if err != nil || first.RefreshToken == "" || !first.AccessExpires.Equal(w.clock.Now().Add(5*time.Minute)) {
		t.Fatalf("got a token %v until %v, %v", first.RefreshToken != "", first.AccessExpires, err)
	}
	w.clock.pass(10 * time.Minute)
	if err := w.idp.SetGroups("alice", []string{"acme"}); err != nil {
		t.Fatal(err)
	}
	second, err := w.rp.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	want := first
	want.Groups = []string{"acme"}
	if g, w := fmt.Sprint(fields(second)), fmt.Sprint(fields(want)); g != w || second.SessionID != first.SessionID {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	third, err := w.rp.Refresh(t.Context(), second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.rp.Refresh(t.Context(), second.RefreshToken)
	ended(t, err)
	_, err = w.rp.Refresh(t.Context(), third.RefreshToken) // the thief's family or ours: it has ended
	ended(t, err)
}

func TestNoRefreshTokenUnlessAskedFor(t *testing.T) {
	w := newWorld(t)
	got, err := w.signIn("alice")
	if err != nil || got.RefreshToken != "" {
		t.Errorf("got a token: %v, %v", got.RefreshToken != "", err)
	}
}

func TestARefreshProvesNothing(t *testing.T) { // SYSTEM I6
	w := newWorld(t, refreshing)
	first, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(time.Hour)
	w.idp.Misbehave(func(token *devidp.Token) {
		token.Claims["auth_time"], token.Claims["acr"], token.Claims["amr"] = w.clock.Now().Unix(), "hardware", []string{"hwk"}
	})
	second, err := w.rp.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if !second.AuthTime.Equal(first.AuthTime) || second.ACR != first.ACR || !slices.Equal(second.AMR, first.AMR) {
		t.Errorf("got %v %s %v, want what was proved at the sign-in", second.AuthTime, second.ACR, second.AMR)
	}
}

func TestRefreshedTokensThatAreWrongEndTheSession(t *testing.T) { // SYSTEM I10, OpenID Connect Core 1.0 section 12.2
	for _, attack := range []struct {
		name  string
		do    func(*devidp.Token, *world)
		cause string
	}{
		{"another person's", set("sub", "bob"), "subject"},
		{"nobody's", without("sub"), "subject"},
		{"another issuer's", set("iss", "https://evil.example"), "issuer"},
		{"for another audience", set("aud", "other"), "audience"},
		{"for two audiences without azp", set("aud", []string{"shop", "other"}), "authorized_party"},
		{"of another sign-in, by its nonce", set("nonce", "x"), "nonce"},
		{"issued long ago", at("iat", -12*time.Minute), "issued_at"},
		{"issued in the future", at("iat", 61*time.Second), "issued_at"},
		{"expired", at("exp", -61*time.Second), "expired"},
		{"signed in in the future", at("auth_time", 61*time.Second), "auth_time"},
		{"with another access token's hash", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"},
		{"unsigned", func(t *devidp.Token, _ *world) { t.Algorithm = "none" }, "algorithm"},
		{"signed with the public key", func(t *devidp.Token, _ *world) { t.Algorithm, t.Key = "HS256", der(t) }, "algorithm"},
		{"signed by a stranger", func(t *devidp.Token, _ *world) { t.Header["kid"] = "x" }, "key"},
		{"a logout token", set("events", map[string]any{}), "type"},
		{"with groups as one string", set("groups", "admins"), "groups"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			first, err := w.signIn("alice")
			if err != nil {
				t.Fatal(err)
			}
			w.idp.Misbehave(func(token *devidp.Token) { attack.do(token, w) })
			got, err := w.rp.Refresh(t.Context(), first.RefreshToken)
			ended(t, err)
			if got.Subject != "" || signon.Name(err) != attack.cause {
				t.Errorf("got %q, want %q and nobody", signon.Name(err), attack.cause)
			}
		})
	}
}

func TestOnlyAWellFormedNoEndsASession(t *testing.T) { // SYSTEM I5
	const kind = "application/json"
	for _, one := range []struct {
		name   string
		answer http.HandlerFunc
		ends   bool
	}{
		{"invalid_grant", saying(400, kind, `{"error":"invalid_grant"}`), true},
		{"invalid_request, as Dex has it", saying(400, kind, `{"error":"invalid_request"}`), true},
		{"a code of its own", saying(403, kind, `{"error":"user_disabled"}`), true},
		{"no ID token and no userinfo", saying(200, kind, `{"access_token":"a","token_type":"Bearer"}`), true},
		{"an ID token that is none", saying(200, kind, `{"access_token":"a","token_type":"Bearer","id_token":"x"}`), true},
		{"our secret is wrong", saying(401, kind, `{"error":"invalid_client"}`), false},
		{"it is not itself today", saying(400, kind, `{"error":"temporarily_unavailable"}`), false},
		{"500", saying(500, kind, `{"error":"invalid_grant"}`), false},
		{"503 of a proxy", saying(503, "text/html", `<h1>hunter2`), false},
		{"429", saying(429, kind, `{"error":"invalid_grant"}`), false},
		{"a page of a firewall", saying(403, "text/html", `<h1>{"error":"invalid_grant"}`), false},
		{"a 400 without a reason", saying(400, kind, `{}`), false},
		{"a 404", saying(404, kind, `{"error":"invalid_grant"}`), false},
		{"a redirect", saying(302, kind, ``), false},
		{"half an answer", saying(200, kind, `{"access_token":"a","token_ty`), false},
		{"an answer that is not JSON", saying(200, "text/html", `{"access_token":"a","token_type":"Bearer"}`), false},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			first, err := w.signIn("alice")
			if err != nil {
				t.Fatal(err)
			}
			w.before("/token", one.answer)
			_, err = w.rp.Refresh(t.Context(), first.RefreshToken)
			if one.ends {
				ended(t, err)
				return
			}
			goesOn(t, err)
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error repeats the answer")
			}
			w.front.Store(nil)
			if _, err := w.rp.Refresh(t.Context(), first.RefreshToken); err != nil {
				t.Errorf("the provider is itself again, but: %v", err)
			}
		})
	}
}

// A rotated token is spent when the provider answers. So what is needed to judge the answer is fetched before.
func TestKeysComeBeforeTheTokenIsSpent(t *testing.T) {
	w := newWorld(t, refreshing)
	first, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(2 * time.Hour)
	w.before("/jwks", saying(503, "text/plain", ""))
	_, err = w.rp.Refresh(t.Context(), first.RefreshToken)
	goesOn(t, err)
	w.front.Store(nil)
	w.clock.pass(2 * time.Second)
	if _, err := w.rp.Refresh(t.Context(), first.RefreshToken); err != nil {
		t.Errorf("the token was spent for nothing: %v", err)
	}
}

func TestARefreshTokenGoesToItsOwnProviderAlone(t *testing.T) {
	w, other := newWorld(t, refreshing), newWorld(t, refreshing)
	claims, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	stranger := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { asked.Add(1); rw.WriteHeader(500) })
	other.front.Store(&stranger)
	for name, token := range map[string]string{"another provider's": claims.RefreshToken, "nothing": "", "made up": "x", "half": claims.RefreshToken[:30],
		"the form alone": "rdf1.", "with more": claims.RefreshToken + "A", "beyond its bound": "rdf1." + strings.Repeat("A", 64<<10),
		"with a member of its own": "rdf1." + base64.RawURLEncoding.EncodeToString([]byte(`{"token":"x","subject":"y","more":1}`))} {
		_, err := other.rp.Refresh(t.Context(), token)
		ended(t, err)
		if token != "" && len(token) > 20 && strings.Contains(err.Error(), token[5:]) {
			t.Errorf("%s: the error repeats the token", name)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the other provider was asked %d times", asked.Load())
	}
	same, err := signon.New(signon.Config{Issuer: w.server.URL, ClientID: "shop", ClientSecret: "correct horse", RedirectURL: callback, Refresh: true,
		HTTP: w.server.Client(), Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := same.Refresh(t.Context(), claims.RefreshToken); err != nil { // after a restart of everything
		t.Error(err)
	}
}

func TestARefreshWithoutAnIDTokenAsksUserinfo(t *testing.T) {
	w := newWorld(t, refreshing, func(_ *devidp.Config, rp *signon.Config) { rp.Userinfo = true })
	first, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.before("/token", saying(200, "application/json", `{"access_token":"a","token_type":"Bearer","refresh_token":"next","expires_in":"60"}`))
	front := *w.front.Load()
	both := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/userinfo" {
			saying(200, "application/json", `{"sub":"alice","groups":["new"],"name":"Alice"}`)(rw, r)
			return
		}
		front(rw, r)
	})
	w.front.Store(&both)
	got, err := w.rp.Refresh(t.Context(), first.RefreshToken)
	if err != nil || !slices.Equal(got.Groups, []string{"new"}) || got.Subject != "alice" || !got.AuthTime.Equal(first.AuthTime) || got.SessionID != first.SessionID {
		t.Errorf("got %v, %v", fields(got), err)
	}
	if !got.AccessExpires.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("got %v, want a minute from now", got.AccessExpires)
	}
}

// The provider has rotated the token and then falls silent: the successor must not get lost.
func TestTheSuccessorSurvivesAProviderThatFallsSilent(t *testing.T) {
	w := newWorld(t, refreshing, func(_ *devidp.Config, rp *signon.Config) { rp.Userinfo = true })
	first, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.before("/userinfo", saying(503, "text/plain", ""))
	w.idp.Misbehave(func(token *devidp.Token) { delete(token.Claims, "groups") })
	got, err := w.rp.Refresh(t.Context(), first.RefreshToken)
	goesOn(t, err)
	if got.RefreshToken == "" || got.RefreshToken == first.RefreshToken || got.Subject != "" || got.Groups != nil {
		t.Fatalf("got %v with a token: %v, want nothing but the successor", fields(got), got.RefreshToken != "")
	}
	w.front.Store(nil)
	if _, err := w.rp.Refresh(t.Context(), got.RefreshToken); err != nil {
		t.Errorf("the successor: %v", err)
	}
}

func FuzzRefresh(f *testing.F) {
	rp := offline(f)
	f.Add("rdf1." + base64.RawURLEncoding.EncodeToString([]byte(`{"provider":"x","token":"x","subject":"y"}`)))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := rp.Refresh(t.Context(), token); err == nil || got.Subject != "" || errors.Is(err, signon.ErrRefused) == errors.Is(err, signon.ErrUnreachable) {
			t.Errorf("got %q, %v", got.Subject, err)
		}
	})
}
