package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionPlantedBeforeSignIn() Attack {
	return Attack{
		Name: "session-planted-before-sign-in", Threat: "T17", Group: "people",
		Title:  "Dave plants his own session in Bob's browser, and shares it once Bob has signed in",
		Expect: []string{"identity/rotation"},
		Honest: "The attack begins where another defence has failed already: no browser takes a cookie named __Host- from a neighbour, or from a page without TLS, and no copy can take that out of a browser.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			dave, err := s.SignIn(ctx, "dave")
			if err != nil {
				return false, err
			}
			bob, err := s.stolen(dave, target.Inside) // Bob's browser, with what was planted in it
			if err != nil {
				return false, err
			}
			if err := bob.SignIn(ctx, "bob"); err != nil {
				return false, err
			}
			return s.signedInAs(ctx, dave, "bob")
		},
	}
}
