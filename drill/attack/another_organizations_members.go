package attack

import "context"

func anotherOrganizationsMembers() Attack {
	return Attack{
		Name: "another-organizations-members", Threat: "T02", Group: "tenants",
		Title:  "Carol, who administers Globex, lists members until she sees an address at Acme",
		Expect: []string{"rls/functions", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			a, err := s.Program("carol").Get(ctx, "/api/v1/members?limit=100")
			return a.Holds("bob@acme.test"), err
		},
	}
}
