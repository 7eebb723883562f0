package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsOrderCancelled() Attack {
	return Attack{
		Name: "another-organizations-order-cancelled", Threat: "T03", Group: "tenants",
		Title:  "Carol, who manages the orders of Globex, cancels one of Acme",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("carol").Ask(ctx, http.MethodPost, "/api/v1/orders/"+order+"/cancel", nil); err != nil {
				return false, err
			}
			state, err := s.stateOf(ctx, order)
			return state == "cancelled", err
		},
	}
}
