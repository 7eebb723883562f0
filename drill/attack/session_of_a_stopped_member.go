package attack

import (
	"context"
	"net/http"
)

func sessionOfAStoppedMember() Attack {
	return Attack{
		Name: "session-of-a-stopped-member", Threat: "T18", Group: "people", Destroys: true,
		Title:  "Erin, whom Acme has stopped, goes on reading with the session that she had",
		Expect: []string{"identity/session", "rls/credential"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			erin, err := s.SignIn(ctx, "erin")
			if err != nil {
				return false, err
			}
			if err := s.stop(ctx, "erin"); err != nil {
				return false, err
			}
			return servedAs(ctx, erin, "erin@both.test")
		},
	}
}

// stop has Alice stop a member of Acme.
func (s *Scene) stop(ctx context.Context, who string) error {
	id, _, err := s.member(ctx, who+"/Acme")
	if err != nil {
		return err
	}
	return done(s.Program("alice").Ask(ctx, http.MethodPost, "/api/v1/members/"+id+"/deactivate", struct{}{}))
}
