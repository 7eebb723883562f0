package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsPostDeleted() Attack {
	return Attack{
		Name: "another-organizations-post-deleted", Threat: "T03", Group: "tenants",
		Title:  "Carol, who moderates the posts of Globex, deletes one of Acme",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "bob", "Said by Bob.")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("carol").Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post, nil); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from commons.post where id = $1)`, post)
		},
	}
}
