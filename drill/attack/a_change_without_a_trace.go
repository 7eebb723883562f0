package attack

import (
	"context"
	"fmt"
)

func aChangeWithoutATrace() Attack {
	return Attack{
		Name: "a-change-without-a-trace", Threat: "T59", Group: "trail",
		Title:  "Bob of Acme changes his post by a smuggled statement, so that nothing in the trail tells of it",
		Expect: []string{"audit/record"},
		Honest: "Who speaks SQL as the application leaves out the events that the application's own code records; what is left is the trigger",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "bob", "As it was.")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			canary := s.Canary()
			change := fmt.Sprintf("update commons.post set body = '%s' where id = '%s'", canary, post)
			for _, first := range []string{"set local session_replication_role = replica", "alter table commons.post disable trigger audit_row", "select 1"} {
				if _, err := app.as(ctx, "bob", first, change); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select exists (select from commons.post where id = $1 and body = $2)
			   and not exists (select from audit.log where entity = 'commons.post' and entity_id = $1::text and action = 'update')`, post, canary)
		},
	}
}
