package attack

import (
	"context"
	"strings"
)

func sqlReadsPosts() Attack {
	return Attack{
		Name: "sql-reads-posts", Threat: "T57", Group: "database",
		Title:  "Whoever has captured the application's database role, and the key of a member of Globex or none, reads what Acme's members write to each other",
		Expect: []string{"rls/floor"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.post(ctx, "bob", canary); err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			for _, who := range []string{"", "carol"} {
				said, err := app.transact(ctx, who, []string{"select body from commons.post"})
				if err != nil || strings.Contains(said, canary) {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
