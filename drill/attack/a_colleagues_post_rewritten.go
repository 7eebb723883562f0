package attack

import (
	"context"
	"net/http"
)

func aColleaguesPostRewritten() Attack {
	return Attack{
		Name: "a-colleagues-post-rewritten", Group: "people",
		Title:  "Bob, a member of Acme, puts words of his own into Erin's mouth",
		Expect: []string{"gate/own", "rls/own"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "erin/Acme", "Said by Erin.")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := s.Program("bob").Ask(ctx, http.MethodPut, "/api/v1/posts/"+post, map[string]any{"body": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.post where id = $1 and body = $2)`, post, canary)
		},
	}
}
