package attack

import (
	"context"
	"fmt"
)

func theTrailForged() Attack {
	return Attack{
		Name: "the-trail-forged", Threat: "T58", Group: "trail",
		Title:  "Dave of Globex smuggles in an entry that says Carol had done it",
		Expect: []string{"rls/grants", "audit/append-only"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			carol, globex, err := s.member(ctx, "carol")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			canary := s.Canary()
			const into = "insert into audit.log (organization_id, actor, category, action, entity, entity_id) values ('%s', '%s', 'state', 'order.refunded', 'order', '%s')"
			if _, err := app.as(ctx, "dave", fmt.Sprintf(into, globex, carol, canary)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from audit.log where actor = $1 and entity_id = $2)`, carol, canary)
		},
	}
}
