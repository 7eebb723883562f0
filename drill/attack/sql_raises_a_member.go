package attack

import (
	"context"
	"fmt"
)

func sqlRaisesAMember() Attack {
	return Attack{
		Name: "sql-raises-a-member", Threat: "T28", Group: "database", Destroys: true,
		Title:  "Whoever has captured the application's role makes Bob the owner of Acme, in the row that says what he is",
		Expect: []string{"rls/grants", "rls/floor"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			if _, err := app.as(ctx, "bob", fmt.Sprintf("update identity.membership set role = 'owner' where id = '%s'", bob)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select role = 'owner' from identity.membership where id = $1`, bob)
		},
	}
}
