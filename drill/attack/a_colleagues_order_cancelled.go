package attack

import (
	"context"
	"net/http"
)

func aColleaguesOrderCancelled() Attack {
	return Attack{
		Name: "a-colleagues-order-cancelled", Group: "money",
		Title:  "Bob, a member of Acme, cancels what Erin of Acme has ordered",
		Expect: []string{"gate/own", "rls/own"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "erin/Acme", "")
			if err != nil {
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
