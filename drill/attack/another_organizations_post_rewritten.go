package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsPostRewritten() Attack {
	return Attack{
		Name: "another-organizations-post-rewritten", Threat: "T03", Group: "tenants",
		Title:  "Dave of Globex puts words of his own into a post of Acme",
		Expect: []string{"gate/own", "rls/floor", "rls/own", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "bob", "Said by Bob.")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := s.Program("dave").Ask(ctx, http.MethodPut, "/api/v1/posts/"+post, map[string]any{"body": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.post where id = $1 and body = $2)`, post, canary)
		},
	}
}
