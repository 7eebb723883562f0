package signon_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// An inbox is the back channel of the shop.
type inbox struct {
	mu     sync.Mutex
	tokens []string
}

func (b *inbox) put(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = append(b.tokens, token)
}

// wait returns what has come, once something has.
func (b *inbox) wait(t *testing.T) []string {
	t.Helper()
	for range 500 {
		if tokens := b.take(); len(tokens) > 0 {
			return tokens
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no logout token came within five seconds")
	return nil
}

func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	tokens := b.tokens
	b.tokens = nil
	return tokens
}

func worldWithInbox(t *testing.T) (*world, *inbox) {
	box := &inbox{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		box.put(r.PostFormValue("logout_token"))
	}))
	t.Cleanup(server.Close)
	return newWorld(t, func(idp *devidp.Config, _ *signon.Config) {
		idp.Clients[0].BackchannelLogoutURI = server.URL + "/backchannel"
		idp.HTTP = server.Client()
	}), box
}

// signOut signs in, signs out at the provider and returns what came through the back channel.
func (w *world) signOut(box *inbox) (claims signon.Claims, token string) {
	w.t.Helper()
	claims, err := w.signIn("alice")
	if err != nil {
		w.t.Fatal(err)
	}
	to, err := w.rp.LogoutURL(w.t.Context(), claims.IDToken, "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	w.get(to)
	tokens := box.take()
	if len(tokens) != 1 {
		w.t.Fatalf("got %d logout tokens, want one", len(tokens))
	}
	return claims, tokens[0]
}

func TestABackChannelLogoutIsHeededOnce(t *testing.T) { // SYSTEM I5
	w, box := worldWithInbox(t)
	claims, token := w.signOut(box)
	got, err := w.rp.VerifyLogout(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if got.SessionID != claims.SessionID || got.Subject != "alice" || got.TokenID == "" {
		t.Errorf("got %+v, want the session %s of alice", got, claims.SessionID)
	}
	_, err = w.rp.VerifyLogout(t.Context(), token)
	refused(t, err, signon.ErrReplayed)
}

func TestForgedLogoutTokensAreRefused(t *testing.T) {
	event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	w, box := worldWithInbox(t)
	for _, attack := range []struct {
		name  string
		do    func(*devidp.Token, *world)
		cause error
	}{
		{"alg none", func(t *devidp.Token, _ *world) { t.Algorithm = "none" }, signon.ErrAlgorithm},
		{"HS256 with the public key", func(t *devidp.Token, _ *world) { t.Algorithm, t.Key = "HS256", der(t) }, signon.ErrAlgorithm},
		{"an unknown key", func(t *devidp.Token, _ *world) { t.Header["kid"] = "x" }, signon.ErrKey},
		{"the type of an access token", func(t *devidp.Token, _ *world) { t.Header["typ"] = "at+jwt" }, signon.ErrType},
		{"no event", without("events"), signon.ErrEvent},
		{"another event", set("events", map[string]any{"x": map[string]any{}}), signon.ErrEvent},
		{"an event that is a string", set("events", "http://schemas.openid.net/event/backchannel-logout"), signon.ErrEvent},
		{"an event in other letters", func(t *devidp.Token, _ *world) { delete(t.Claims, "events"); t.Claims["Events"] = event }, signon.ErrEvent},
		{"a nonce", set("nonce", "n"), signon.ErrEvent},
		{"a nonce that is null", set("nonce", nil), signon.ErrEvent},
		{"another issuer", set("iss", "https://evil.example"), signon.ErrIssuer},
		{"another audience", set("aud", "other"), signon.ErrAudience},
		{"expired", at("exp", -61*time.Second), signon.ErrExpired},
		{"issued long ago, and valid for long", at("iat", -12*time.Minute), signon.ErrStale},
		{"issued in the future", at("iat", 2*time.Minute), signon.ErrIssuedAt},
		{"no identifier", without("jti"), signon.ErrMalformed},
		{"an identifier beyond its bound", set("jti", strings.Repeat("j", 256)), signon.ErrMalformed},
		{"nobody", func(t *devidp.Token, _ *world) { delete(t.Claims, "sub"); delete(t.Claims, "sid") }, signon.ErrSubject},
		{"a token beyond its bound", func(t *devidp.Token, _ *world) { t.Raw = "a.b." + strings.Repeat("c", 16<<10) }, signon.ErrMalformed},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w.t = t
			w.idp.MisbehaveLogout(func(token *devidp.Token) { attack.do(token, w) })
			_, token := w.signOut(box)
			_, err := w.rp.VerifyLogout(t.Context(), token)
			refused(t, err, attack.cause)
		})
	}
}

func TestAnIDTokenIsNoLogoutToken(t *testing.T) {
	w, _ := worldWithInbox(t)
	claims, err := w.signIn("alice")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.rp.VerifyLogout(t.Context(), claims.IDToken)
	refused(t, err, signon.ErrEvent)
}

func TestALogoutTokenWithoutSessionEndsThePerson(t *testing.T) {
	w, box := worldWithInbox(t)
	w.idp.MisbehaveLogout(func(token *devidp.Token) { delete(token.Claims, "sid"); token.Header["typ"] = "JWT" })
	_, token := w.signOut(box)
	if got, err := w.rp.VerifyLogout(t.Context(), token); err != nil || got.SessionID != "" || got.Subject != "alice" {
		t.Errorf("got %+v, %v, want alice without a session", got, err)
	}
}

func FuzzVerifyLogout(f *testing.F) {
	rp := offline(f)
	f.Add("")
	f.Add("a.b.c")
	f.Add(rawToken(`{"alg":"ES256","typ":"logout+jwt","kid":"a"}`, `{"iss":"https://idp.example"}`, "AAAA"))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := rp.VerifyLogout(context.Background(), token); err == nil {
			t.Errorf("an unsigned token was heeded: %+v", got)
		}
	})
}

// A memory that outlives the process decides for itself, and is told what no two providers can both say.
func TestTheMemoryOfLogoutsMayBeAnothers(t *testing.T) { // SYSTEM I5
	var asked []string
	var until time.Time
	first, broken := true, error(nil)
	remember := func(_ context.Context, id string, u time.Time) (bool, error) {
		asked, until = append(asked, id), u
		return first, broken
	}
	box := &inbox{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { box.put(r.PostFormValue("logout_token")) }))
	defer server.Close()
	two := []*world{}
	for range 2 {
		two = append(two, newWorld(t, func(idp *devidp.Config, rp *signon.Config) {
			idp.Clients[0].BackchannelLogoutURI = server.URL
			rp.FirstLogout = remember
		}))
	}
	for _, w := range two { // both say the same identifier
		w.idp.MisbehaveLogout(func(token *devidp.Token) { token.Claims["jti"] = "1" })
		_, token := w.signOut(box)
		if got, err := w.rp.VerifyLogout(t.Context(), token); err != nil || got.TokenID != "1" || got.Issuer != w.server.URL {
			t.Fatalf("got %+v, %v", got, err)
		}
		first = false
		_, err := w.rp.VerifyLogout(t.Context(), token)
		refused(t, err, signon.ErrReplayed)
		first, broken = true, errors.New("hunter2")
		_, err = w.rp.VerifyLogout(t.Context(), token)
		refused(t, err, signon.ErrMemory)
		if r := new(layer.Refusal); !errors.As(err, &r) || r.Reason != layer.Unavailable || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want the provider to try again", err)
		}
		broken = nil
		if want := w.clock.Now().Add(11 * time.Minute); !until.Equal(want) {
			t.Errorf("remembered until %v, want %v", until, want)
		}
	}
	if len(asked) != 6 || asked[0] != asked[1] || asked[0] == asked[3] || len(asked[0]) != 43 {
		t.Errorf("got %q, want one name per provider and token", asked)
	}
}
