package attack

import "context"

func theTrailRewritten() Attack {
	return Attack{
		Name: "the-trail-rewritten", Threat: "T58", Group: "trail",
		Title:  "Alice, who administers Acme, smuggles in what changes, or takes away, the entries about what she has done",
		Expect: []string{"rls/grants", "audit/append-only"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "alice", "It was me.")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			for _, sql := range [][]string{
				{"update audit.log set entity_id = '' where entity_id = " + quoted(post)},
				{"delete from audit.log where entity_id = " + quoted(post)},
				{"set local role redoubt_audit", "delete from audit.log where entity_id = " + quoted(post)},
			} {
				if _, err := app.as(ctx, "alice", sql...); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select not exists (select from audit.log where action = 'post.published' and entity_id = $1)`, post)
		},
	}
}
