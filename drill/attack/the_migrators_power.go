package attack

import (
	"context"
	"strings"
)

func theMigratorsPower() Attack {
	return Attack{
		Name: "the-migrators-power", Threat: "T59", Group: "database", Destroys: true,
		Title:  "Whoever has captured the role that changes tables takes the policies off one, to read the posts of every organization",
		Expect: []string{"rls/guard"},
		Honest: "The captured role owns the tables; that their isolation stays on is for the guard to say, which belongs to nobody who can log in",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.post(ctx, "bob", canary); err != nil {
				return false, err
			}
			migrator, err := s.capture(ctx, "redoubt_migrator", "redoubt-migrator")
			if err != nil {
				return false, err
			}
			defer migrator.free()
			for _, way := range [][]string{
				{"alter table commons.post disable row level security", "alter table commons.post no force row level security"},
				{"drop policy redoubt_floor on commons.post"},
				{"alter policy redoubt_floor on commons.post using (true)"},
				{"create view commons.everything as select body from commons.post", "select body from commons.everything"},
				{"create function commons.open() returns setof text language sql security definer as 'select body from commons.post'", "select commons.open()"},
			} {
				said, err := migrator.say(ctx, append(append([]string{"set local role redoubt_owner"}, way...), "select body from commons.post")...)
				if err != nil || strings.Contains(said, canary) {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
