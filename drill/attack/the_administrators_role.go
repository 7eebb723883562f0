package attack

import (
	"context"
	"net/http"
)

func theAdministratorsRole() Attack {
	return Attack{
		Name: "the-administrators-role", Threat: "T28", Group: "people", Destroys: true,
		Title:  "Bob, a member of Acme, makes himself its owner, and Erin a guest: by his profile, by a role, by a word too many in a body",
		Expect: []string{"gate/route", "gate/action", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			erin, _, err := s.member(ctx, "erin/Acme")
			if err != nil {
				return false, err
			}
			for _, try := range []struct {
				path string
				body map[string]any
			}{
				{"/api/v1/me", map[string]any{"display_name": "Bob", "role": "owner", "administrator": true}},
				{"/api/v1/members/" + bob + "/role", map[string]any{"role": "owner"}},
				{"/api/v1/members/" + erin + "/role", map[string]any{"role": "guest"}},
			} {
				if _, err := s.Program("bob").Ask(ctx, http.MethodPut, try.path, try.body); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select exists (select from identity.membership where id = $1 and role <> 'member' or id = $2 and role = 'guest')`, bob, erin)
		},
	}
}
