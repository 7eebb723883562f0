package attack

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionAfterSignOut() Attack {
	return Attack{
		Name: "session-after-sign-out", Threat: "T18", Group: "people",
		Title:  "A colleague uses the cookie that Bob had before he signed out",
		Expect: []string{"identity/session", "rls/credential"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			thief, err := s.stolen(bob, target.Inside)
			if err != nil {
				return false, err
			}
			if err := done(bob.Ask(ctx, http.MethodPost, "/sign-out", url.Values{})); err != nil {
				return false, err
			}
			return servedAs(ctx, thief, "bob@acme.test")
		},
	}
}
