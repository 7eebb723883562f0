package attack

import (
	"context"
	"fmt"
)

func sqlDeletesAnOrder() Attack {
	return Attack{
		Name: "sql-deletes-an-order", Threat: "T57", Group: "database",
		Title:  "Carol, who administers Globex, smuggles in what deletes an order of Acme",
		Expect: []string{"rls/floor", "rls/grants"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			if _, err := app.as(ctx, "carol", fmt.Sprintf("delete from commons.order_ where id = '%s'", order)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from commons.order_ where id = $1)`, order)
		},
	}
}
