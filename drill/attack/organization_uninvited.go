package attack

import (
	"context"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func organizationUninvited() Attack {
	return Attack{
		Name: "organization-uninvited", Threat: "T14", Group: "people", Destroys: true,
		Title:  "Mallory, whom the provider knows and nobody has invited, signs in from outside and is a member of somewhere",
		Expect: []string{"perimeter/policy", "identity/admission", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			mallory, err := s.tryIn(ctx, "mallory", target.Outside)
			if err != nil {
				return false, err
			}
			return s.signedInAs(ctx, mallory, "mallory")
		},
	}
}
