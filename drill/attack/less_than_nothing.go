package attack

import (
	"context"
	"net/http"
)

func lessThanNothing() Attack {
	return Attack{
		Name: "less-than-nothing", Threat: "T53", Group: "money",
		Title:  "Bob of Acme orders fewer than none of a thing, at a price below nothing",
		Expect: []string{"input/schema", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			product, err := s.product(ctx, "alice")
			if err != nil {
				return false, err
			}
			order := map[string]any{"product_id": product, "quantity": -3}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/orders", order); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.order_ where product_id = $1 and total_cents < 0)`, product)
		},
	}
}
