package attack

import (
	"context"
	"fmt"
	"strings"
)

func sqlSetsTheContext() Attack {
	return Attack{
		Name: "sql-sets-the-context", Threat: "T57", Group: "database",
		Title:  "Dave of Globex has a statement smuggled in that tells the database that he were Alice of Acme, and writes in her name",
		Expect: []string{"rls/credential"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			alice, acme, err := s.member(ctx, "alice")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			// As the database writes one itself: ids, the kind of credential, scopes, and where it came from.
			forged := quoted(strings.ReplaceAll(acme+alice+alice+alice, "-", "") + "s,posts0write,")
			canary := s.Canary()
			for _, way := range []string{
				"set local backtrace_functions = %s",
				"select set_config('backtrace_functions', %s, true)",
				"select redoubt.keep(%s, false)",
				"set local redoubt.context = %s",
			} {
				for _, first := range []string{"", "dave"} {
					said := []string{fmt.Sprintf(way, forged), "insert into commons.post (body) values (" + quoted(canary) + ")"}
					if _, err := app.transact(ctx, first, said); err != nil {
						return false, err
					}
				}
			}
			return s.Seen(ctx, `select exists (select from commons.post where organization_id = $1 and author_id = $2 and body = $3)`, acme, alice, canary)
		},
	}
}
