package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func organizationBySigningInAgain() Attack {
	return Attack{
		Name: "organization-by-signing-in-again", Threat: "T19", Group: "people", Destroys: true,
		Title:  "Bob, whom Acme has stopped, signs in anew: his single sign-on still works",
		Expect: []string{"identity/admission", "identity/session", "rls/credential"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			if err := s.stop(ctx, "bob"); err != nil {
				return false, err
			}
			bob, err := s.tryIn(ctx, "bob", target.Inside)
			if err != nil {
				return false, err
			}
			return servedAs(ctx, bob, "bob@acme.test")
		},
	}
}
