package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsProductBought() Attack {
	return Attack{
		Name: "another-organizations-product-bought", Threat: "T05", Group: "tenants",
		Title:  "Dave of Globex places an order for a product that Acme offers to its members",
		Expect: []string{"rls/floor", "rls/tags", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			product, err := s.product(ctx, "alice")
			if err != nil {
				return false, err
			}
			order := map[string]any{"product_id": product, "quantity": 1}
			if _, err := s.Program("dave").Ask(ctx, http.MethodPost, "/api/v1/orders", order); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.order_ where product_id = $1)`, product)
		},
	}
}
