package attack

import (
	"context"
	"strings"
)

func sqlReadsOrders() Attack {
	return Attack{
		Name: "sql-reads-orders", Threat: "T10", Group: "database",
		Title:  "Dave of Globex smuggles a statement of his own into the application, which reads the orders of Acme",
		Expect: []string{"rls/floor", "rls/own"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.order(ctx, "bob", canary); err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			for _, sql := range []string{
				"select * from commons.order_ where true or organization_id is null",
				"select string_agg(o::text, ',') from commons.order_ o",
				"select (select string_agg(notes, ',') from commons.order_)",
				"update commons.order_ set state = state returning notes",
			} {
				said, err := app.as(ctx, "dave", sql)
				if err != nil || strings.Contains(said, canary) {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
