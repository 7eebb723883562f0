package identity

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// FuzzKey looks for a key that passes without having been made by newKey's rules, and for one of ours that does not pass.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "rdk_", newKey(keyPrefix), newKey(keyPrefix) + "x", strings.Repeat("0", keyLen), "rdk_" + strings.Repeat("\xff", 38)} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(`^` + KeyPattern + `$`)
	f.Fuzz(func(t *testing.T, s string) {
		if wellFormed(keyPrefix, s) && (len(s) != keyLen || s[:len(keyPrefix)] != keyPrefix) {
			t.Errorf("%q passes", s)
		}
		if pattern.MatchString(s) && wellFormed(keyPrefix, s) != (checksum(s[:keyLen-keyCheck]) == s[keyLen-keyCheck:]) {
			t.Errorf("%q: the checksum is not asked", s)
		}
		if key := newKey(keyPrefix); !wellFormed(keyPrefix, key) || !pattern.MatchString(key) {
			t.Errorf("our own key %q does not pass", key)
		}
	})
}

// FuzzCookies looks for cookies that make a session token out of something else, or that open as a sign-in without our seal.
func FuzzCookies(f *testing.F) {
	s, other := &Service{cookieKey: []byte(strings.Repeat("k", 32))}, &Service{cookieKey: []byte(strings.Repeat("o", 32))}
	sealed, err := other.sealCookie(started{Return: "/"})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", sessionCookie + "=rds_x", sessionCookie + "=" + newSessionToken(), sessionCookie + "=a; " + sessionCookie + "=b",
		signInCookie + "=" + sealed, signInCookie + "=" + sealed[1:], signInCookie + "=AAAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{header}
		if token, err := sessionToken(r); token != "" && (err != nil || len(token) != sessionLen || !strings.HasPrefix(token, sessionPrefix)) {
			t.Errorf("got %q %v", token, err)
		}
		if _, err := s.openCookie(r); err == nil { // nothing was sealed with its key
			t.Errorf("%q opens", header)
		}
		if clean := clean(header, 300); len(clean) > 300 || strings.ContainsFunc(clean, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("got %q", clean)
		}
	})
}
