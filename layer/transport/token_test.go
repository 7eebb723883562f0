package transport_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

func TestTokens(t *testing.T) { // SYSTEM T3
	tr := must(t, config())
	other := config()
	other.TokenKey = bytes.Repeat([]byte("x"), 32)
	alices := tr.Token("alice")
	if again := tr.Token("alice"); again == alices || tr.CheckToken("alice", again) != nil || tr.CheckToken("alice", alices) != nil {
		t.Fatalf("two texts of one token: %q, %q; want them to differ and both to pass", alices, again)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(alices)
	flipped := bytes.Clone(raw)
	flipped[40] ^= 1
	for name, a := range map[string]struct{ session, presented string }{
		"no token":                            {"alice", ""},
		"another session's token":             {"alice", tr.Token("mallory")},
		"a token taken to another session":    {"mallory", alices},
		"a token from before signing in":      {"alice", tr.Token("")},
		"a token without a session":           {"", alices},
		"a token made with another key":       {"alice", must(t, other).Token("alice")},
		"a truncated token":                   {"alice", alices[:len(alices)-1]},
		"half a token":                        {"alice", alices[:len(alices)/2]},
		"a lengthened token":                  {"alice", alices + "A"},
		"a padded token":                      {"alice", alices[:len(alices)-2] + "=="},
		"a token with a flipped bit":          {"alice", base64.RawURLEncoding.EncodeToString(flipped)},
		"a pad without a token":               {"alice", base64.RawURLEncoding.EncodeToString(make([]byte, 64))},
		"a token without its pad":             {"alice", base64.RawURLEncoding.EncodeToString(raw[32:])},
		"a token with pad and sum exchanged?": {"bob", base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw[32:]), raw[:32]...))},
		"not base64":                          {"alice", strings.Repeat("!", len(alices))},
		"a line break inside":                 {"alice", alices[:40] + "\n" + alices[41:]},
		"a long text":                         {"alice", strings.Repeat("A", 1<<20)},
	} {
		err := tr.CheckToken(a.session, a.presented)
		var refused *layer.Refusal
		if !errors.As(err, &refused) || refused.By != layer.Transport || refused.Reason != layer.Forbidden {
			t.Errorf("%s: got %v, want a refusal by transport", name, err)
		} else if a.presented != "" && strings.Contains(err.Error(), a.presented) {
			t.Errorf("%s: the refusal repeats what was presented", name)
		}
	}
	if got := tr.Token(""); got != "" {
		t.Errorf("Token of no session = %q, want none", got)
	}
}

func TestTheConfigurationIsTheCallersToChangeAfterwards(t *testing.T) {
	cfg := config()
	tr := must(t, cfg)
	token := tr.Token("alice")
	clear(cfg.TokenKey)
	if err := tr.CheckToken("alice", token); err != nil {
		t.Errorf("after the caller wiped its copy of the key: %v", err)
	}
}

func TestCookie(t *testing.T) {
	const flags = "; HttpOnly; Secure; SameSite=Lax"
	for _, c := range []struct {
		name string
		got  *http.Cookie
		want string
	}{
		{"for the browser's session", transport.Cookie("session", "v", 0), "__Host-session=v; Path=/" + flags},
		{"for a time", transport.Cookie("session", "v", 90*time.Second), "__Host-session=v; Path=/; Max-Age=90" + flags},
		{"for less than a second", transport.Cookie("session", "v", time.Millisecond), "__Host-session=v; Path=/; Max-Age=1" + flags},
		{"for no time", transport.Cookie("session", "v", -time.Hour), "__Host-session=v; Path=/; Max-Age=0" + flags},
		{"with its prefix already", transport.Cookie("__Host-session", "v", 0), "__Host-session=v; Path=/" + flags},
		{"expired", transport.Expired("session"), "__Host-session=; Path=/; Max-Age=0" + flags},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got, want := transport.CookieName("session"), "__Host-session"; got != want {
		t.Errorf("CookieName = %q, want %q", got, want)
	}
}
