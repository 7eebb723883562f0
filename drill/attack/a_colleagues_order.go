package attack

import "context"

func aColleaguesOrder() Attack {
	return Attack{
		Name: "a-colleagues-order", Group: "people",
		Title:  "Bob, a member of Acme, reads what Erin of Acme has ordered",
		Expect: []string{"rls/own", "rls/reserved"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			order, err := s.order(ctx, "erin/Acme", canary)
			if err != nil {
				return false, err
			}
			a, err := s.Program("bob").Get(ctx, "/api/v1/orders/"+order)
			return a.Holds(canary), err
		},
	}
}
