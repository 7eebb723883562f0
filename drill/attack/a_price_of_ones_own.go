package attack

import (
	"context"
	"fmt"
	"net/http"
)

func aPriceOfOnesOwn() Attack {
	return Attack{
		Name: "a-price-of-ones-own", Threat: "T53", Group: "money",
		Title:  "Bob of Acme says what his order costs: in the request, and then as the application's own role",
		Expect: []string{"rls/grants", "rls/triggers"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			product, err := s.product(ctx, "alice")
			if err != nil {
				return false, err
			}
			order := map[string]any{"product_id": product, "quantity": 1, "unit_cents": 1, "total_cents": 1, "price_cents": 1}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/orders", order); err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			const columns = "insert into commons.order_ (product_id, product_name, quantity, unit_cents, total_cents) values "
			if _, err := app.as(ctx, "bob", columns+fmt.Sprintf("('%s', 'A rope', 1, 1, 1)", product)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.order_ where product_id = $1 and total_cents < 5000)`, product)
		},
	}
}
