package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionAfterItsEnd() Attack {
	return Attack{
		Name: "session-after-its-end", Threat: "T18", Group: "people",
		Title:  "A colleague uses a session of Bob's that has expired",
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
			if err := s.act(ctx, `update identity.session set expires_at = now() - interval '1 minute' where hash = $1`, hashed(session(bob))); err != nil {
				return false, err
			}
			return servedAs(ctx, thief, "bob@acme.test")
		},
	}
}
