package attack

import (
	"context"
	"net/http"
	"net/url"
)

func anotherOrganizationsPostMarked() Attack {
	return Attack{
		Name: "another-organizations-post-marked", Threat: "T05", Group: "tenants",
		Title:  "Dave of Globex bookmarks a post of Acme, which ties a row of his organization to one of another",
		Expect: []string{"rls/constraints", "rls/triggers", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "bob", "For us alone.")
			if err != nil {
				return false, err
			}
			dave, err := s.SignIn(ctx, "dave")
			if err != nil {
				return false, err
			}
			if _, err := dave.Ask(ctx, http.MethodPost, "/posts/"+post+"/bookmark", url.Values{}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.bookmark where post_id = $1)`, post)
		},
	}
}
