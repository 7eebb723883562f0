package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func postWithoutASession() Attack {
	return Attack{
		Name: "post-without-a-session", Threat: "T12", Group: "people",
		Title:  "A stranger in the office reads a post of Acme without signing in",
		Expect: []string{"gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			return l.found(ctx, s.Stranger(target.Inside))
		},
	}
}
