package attack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func identityRevivesASession() Attack {
	return Attack{
		Name: "identity-revives-a-session", Threat: "T18", Group: "database",
		Title:  "Whoever has stolen a cookie and captured the role that ends sessions takes back that Bob has signed out",
		Expect: []string{"rls/own", "rls/triggers"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			post, err := s.post(ctx, "alice", canary)
			if err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			var stolen string
			for _, c := range bob.Cookies() {
				if c.Name == "__Host-redoubt" {
					stolen = c.Value
				}
			}
			if _, err := bob.Ask(ctx, http.MethodPost, "/sign-out", url.Values{}); err != nil {
				return false, err
			}
			ids, err := s.capture(ctx, "redoubt_identity", "redoubt-identity")
			if err != nil {
				return false, err
			}
			defer ids.free()
			if _, err := ids.say(ctx, fmt.Sprintf(`update identity.session set revoked_at = null, seen_at = now() where hash = '\x%x'`, sha256.Sum256([]byte(stolen)))); err != nil {
				return false, err
			}
			if revived, err := s.Seen(ctx, `select revoked_at is null from identity.session where hash = sha256(convert_to($1, 'UTF8'))`, stolen); !revived || err != nil {
				return false, err
			}
			thief := s.Stranger(target.Inside)
			thief.Alter = func(r *http.Request) { r.Header.Set("Cookie", "__Host-redoubt="+stolen) }
			a, err := thief.Get(ctx, "/api/v1/posts/"+post)
			return a.Holds(canary), err
		},
	}
}
