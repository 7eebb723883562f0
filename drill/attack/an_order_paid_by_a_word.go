package attack

import (
	"context"
	"net/http"
)

func anOrderPaidByAWord() Attack {
	return Attack{
		Name: "an-order-paid-by-a-word", Threat: "T55", Group: "money",
		Title:  "Bob, a member of Acme, records that his order is paid",
		Expect: []string{"gate/route", "gate/action", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/orders/"+order+"/pay", nil); err != nil {
				return false, err
			}
			state, err := s.stateOf(ctx, order)
			return state == "paid", err
		},
	}
}
