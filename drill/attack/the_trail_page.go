package attack

import "context"

func theTrailPage() Attack {
	return Attack{
		Name: "the-trail-page", Threat: "T25", Group: "trail",
		Title:  "Bob, a member of Acme, opens the page of the audit trail, which is for administrators",
		Expect: []string{"gate/route", "gate/page", "rls/own"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "alice", "")
			if err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			a, err := bob.Get(ctx, "/admin/audit?limit=100")
			return a.Holds(order), err
		},
	}
}
