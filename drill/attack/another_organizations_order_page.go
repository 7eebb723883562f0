package attack

import "context"

func anotherOrganizationsOrderPage() Attack {
	return Attack{
		Name: "another-organizations-order-page", Threat: "T01", Group: "tenants",
		Title:  "Dave, a member of Globex, opens the page of an order of Acme",
		Expect: []string{"rls/floor", "rls/own", "rls/tags", "rls/reserved"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			order, err := s.order(ctx, "bob", canary)
			if err != nil {
				return false, err
			}
			dave, err := s.SignIn(ctx, "dave")
			if err != nil {
				return false, err
			}
			a, err := dave.Get(ctx, "/orders/"+order)
			return a.Holds(canary), err
		},
	}
}
