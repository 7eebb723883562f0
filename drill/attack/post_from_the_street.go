package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func postFromTheStreet() Attack {
	return Attack{
		Name: "post-from-the-street", Threat: "T12", Group: "perimeter",
		Title:  "A stranger outside of the office reads a post of Acme without signing in",
		Expect: []string{"perimeter/policy", "gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			return l.found(ctx, s.Stranger(target.Outside))
		},
	}
}
