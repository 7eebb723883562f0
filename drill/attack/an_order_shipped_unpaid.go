package attack

import (
	"context"
	"net/http"
)

func anOrderShippedUnpaid() Attack {
	return Attack{
		Name: "an-order-shipped-unpaid", Threat: "T55", Group: "money",
		Title:  "Bob, a member of Acme, has his order fulfilled, and leaves out the step in which it is paid",
		Expect: []string{"gate/route", "gate/action", "rls/require", "rls/constraints", "rls/triggers"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/orders/"+order+"/fulfill", nil); err != nil {
				return false, err
			}
			state, err := s.stateOf(ctx, order)
			return state == "fulfilled", err
		},
	}
}
