package attack

import (
	"context"
	"net/http"
)

func sessionEndedByAnother() Attack {
	return Attack{
		Name: "session-ended-by-another", Group: "people",
		Title:  "Dave ends a session of Bob's, whose id he has seen",
		Expect: []string{"rls/functions"},
		Honest: "A session's id is shown to its owner alone, and what is lost is a session: somebody has to sign in again.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			var id string
			if err := s.Admin().QueryRow(ctx, `select id from identity.session where hash = $1`, hashed(session(bob))).Scan(&id); err != nil {
				return false, err
			}
			dave, err := s.SignIn(ctx, "dave")
			if err != nil {
				return false, err
			}
			if _, err := dave.Ask(ctx, http.MethodPost, "/sessions/"+id+"/revoke", formOf()); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select revoked_at is not null from identity.session where id = $1`, id)
		},
	}
}
