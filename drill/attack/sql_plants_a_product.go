package attack

import (
	"context"
	"fmt"
)

func sqlPlantsAProduct() Attack {
	return Attack{
		Name: "sql-plants-a-product", Threat: "T04", Group: "database",
		Title:  "Carol of Globex smuggles in a statement that puts a product of hers into the shop of Acme",
		Expect: []string{"rls/floor", "rls/grants"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			_, acme, err := s.member(ctx, "alice")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			canary := s.Canary()
			const into = "insert into commons.product (organization_id, name, price_cents) values ('%s', '%s', 1)"
			if _, err := app.as(ctx, "carol", fmt.Sprintf(into, acme, canary)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.product where organization_id = $1 and name = $2)`, acme, canary)
		},
	}
}
