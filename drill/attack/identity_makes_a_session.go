package attack

import "context"

func identityMakesASession() Attack {
	return Attack{
		Name: "identity-makes-a-session", Threat: "T57", Group: "database",
		Title:  "Whoever has captured the role that opens sessions makes one of Alice's, and comes back with its cookie",
		Expect: []string{"identity/claims"},
		Honest: "The captured role is there to open sessions; what it cannot do is sign what they entitle to",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			return s.comesBack(ctx, "redoubt_identity", "redoubt-identity")
		},
	}
}
