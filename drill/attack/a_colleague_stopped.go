package attack

import (
	"context"
	"net/http"
)

func aColleagueStopped() Attack {
	return Attack{
		Name: "a-colleague-stopped", Threat: "T25", Group: "people", Destroys: true,
		Title:  "Bob, a member of Acme, has Erin signed out and shut out",
		Expect: []string{"gate/route", "gate/action", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			erin, _, err := s.member(ctx, "erin/Acme")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/members/"+erin+"/deactivate", nil); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not active from identity.membership where id = $1`, erin)
		},
	}
}
