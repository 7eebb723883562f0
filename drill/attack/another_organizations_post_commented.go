package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsPostCommented() Attack {
	return Attack{
		Name: "another-organizations-post-commented", Threat: "T04", Group: "tenants",
		Title:  "Dave of Globex hangs a comment below a post of Acme",
		Expect: []string{"rls/constraints", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "bob", "What do you think?")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := s.Program("dave").Ask(ctx, http.MethodPost, "/api/v1/posts/"+post+"/comments", map[string]any{"body": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.comment where post_id = $1 and body = $2)`, post, canary)
		},
	}
}
