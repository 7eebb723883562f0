package attack

import (
	"context"
	"fmt"
)

func sqlChargesAColleague() Attack {
	return Attack{
		Name: "sql-charges-a-colleague", Threat: "T04", Group: "money",
		Title:  "Bob of Acme smuggles in a statement that places an order in Erin's name",
		Expect: []string{"rls/own", "rls/grants"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			erin, _, err := s.member(ctx, "erin/Acme")
			if err != nil {
				return false, err
			}
			product, err := s.product(ctx, "alice")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			const into = "insert into commons.order_ (product_id, product_name, quantity, unit_cents, total_cents, buyer_id) values ('%s', 'A rope', 1, 5000, 5000, '%s')"
			if _, err := app.as(ctx, "bob", fmt.Sprintf(into, product, erin)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.order_ where product_id = $1 and buyer_id = $2)`, product, erin)
		},
	}
}
