package attack

import (
	"context"
	"net/http"
)

func aPaidOrderCancelled() Attack {
	return Attack{
		Name: "a-paid-order-cancelled", Threat: "T55", Group: "money",
		Title:  "Bob of Acme cancels an order of his that was paid, so that the books lose the money",
		Expect: []string{"rls/constraints", "rls/triggers"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			if err := s.done(ctx, "alice", http.MethodPost, "/api/v1/orders/"+order+"/pay", nil); err != nil {
				return false, err
			}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/orders/"+order+"/cancel", nil); err != nil {
				return false, err
			}
			state, err := s.stateOf(ctx, order)
			return state == "cancelled", err
		},
	}
}
