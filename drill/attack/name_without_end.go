package attack

import (
	"context"
	"net/http"
	"strings"
)

func nameWithoutEnd() Attack {
	return Attack{
		Name: "name-without-end", Group: "input",
		Title:  "Bob gives himself a name that fills every page on which he stands",
		Expect: []string{"input/schema", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob := s.Program("bob")
			var was struct {
				Name string `json:"display_name"`
				Bio  string `json:"bio"`
			}
			a, err := bob.Get(ctx, "/api/v1/me")
			if err != nil {
				return false, err
			}
			if err := a.JSON(&was); err != nil {
				return false, err
			}
			defer bob.Ask(ctx, http.MethodPut, "/api/v1/me", map[string]any{"display_name": was.Name, "bio": was.Bio})
			name := s.Canary() + strings.Repeat(" I am here", 200)
			if _, err := bob.Ask(ctx, http.MethodPut, "/api/v1/me", map[string]any{"display_name": name, "bio": was.Bio}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.profile where display_name = $1)`, name)
		},
	}
}
