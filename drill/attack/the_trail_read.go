package attack

import "context"

func theTrailRead() Attack {
	return Attack{
		Name: "the-trail-read", Threat: "T27", Group: "trail",
		Title:  "Bob, a member of Acme, reads in the audit trail what Alice has ordered",
		Expect: []string{"gate/route", "rls/own"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "alice", "")
			if err != nil {
				return false, err
			}
			a, err := s.Program("bob").Get(ctx, "/api/v1/audit?limit=100")
			return a.Holds(order), err
		},
	}
}
