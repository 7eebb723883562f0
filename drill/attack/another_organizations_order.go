package attack

import "context"

func anotherOrganizationsOrder() Attack {
	return Attack{
		Name: "another-organizations-order", Threat: "T01", Group: "tenants",
		Title:  "Carol, who administers Globex, reads an order of Acme by its id",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			order, err := s.order(ctx, "bob", canary)
			if err != nil {
				return false, err
			}
			a, err := s.Program("carol").Get(ctx, "/api/v1/orders/"+order)
			return a.Holds(canary), err
		},
	}
}
