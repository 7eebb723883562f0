package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func shutPathByAnotherSpelling() Attack {
	return Attack{
		Name: "shut-path-by-another-spelling", Threat: "T26", Group: "perimeter",
		Title:  "A stranger outside reaches a path that the access policy shuts, by a spelling that begins where it is open",
		Expect: []string{"perimeter/policy", "gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			stranger := s.Stranger(target.Outside)
			for _, of := range l.paths() {
				for _, path := range spellings(of) {
					if harm, err := led(ctx, stranger, path, l.canary); harm || err != nil {
						return harm, err
					}
				}
			}
			return false, nil
		},
	}
}
