package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionFromAnotherPlace() Attack {
	return Attack{
		Name: "session-from-another-place", Threat: "T24", Group: "people",
		Title:  "A thief far away uses the living cookie of Bob, and reads a post of Acme",
		Expect: []string{"perimeter/policy"},
		Honest: "Whoever holds a living cookie is its holder, as far as anybody can tell. An access policy keeps thieves out who are elsewhere; what cannot be undone needs a fresh proof besides, which a thief cannot give.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			thief, err := s.stolen(bob, target.Outside)
			if err != nil {
				return false, err
			}
			return l.found(ctx, thief)
		},
	}
}
