package attack

import "context"

func theMembersAddresses() Attack {
	return Attack{
		Name: "the-members-addresses", Threat: "T27", Group: "people",
		Title:  "Bob, a member of Acme, lists the e-mail addresses of all members, which are for administrators",
		Expect: []string{"gate/route", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			a, err := s.Program("bob").Get(ctx, "/api/v1/members")
			return a.Holds("alice@acme.test"), err
		},
	}
}
