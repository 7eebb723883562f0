package attack

import (
	"context"
	"strings"
)

func sqlReadsAView() Attack {
	return Attack{
		Name: "sql-reads-a-view", Threat: "T09", Group: "database",
		Title:  "Dave of Globex reads, through a view, which files Acme has",
		Expect: []string{"rls/floor"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			_, acme, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			var theirs string
			const file = `select f.id::text from files.file f join commons.post_file h on h.organization_id = f.organization_id and h.file_id = f.id where f.organization_id = $1 limit 1`
			if err := s.Admin().QueryRow(ctx, file, acme).Scan(&theirs); err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			said, err := app.as(ctx, "dave", "select id, name from commons.attachment")
			return strings.Contains(said, theirs), err
		},
	}
}
