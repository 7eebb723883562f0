package attack

import "context"

func anotherOrganizationsTrail() Attack {
	return Attack{
		Name: "another-organizations-trail", Threat: "T02", Group: "trail",
		Title:  "Carol, who may read the audit trail of Globex, reads in it what happened at Acme",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			a, err := s.Program("carol").Get(ctx, "/api/v1/audit?limit=100")
			return a.Holds(order), err
		},
	}
}
