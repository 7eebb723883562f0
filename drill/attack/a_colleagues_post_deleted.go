package attack

import (
	"context"
	"net/http"
)

func aColleaguesPostDeleted() Attack {
	return Attack{
		Name: "a-colleagues-post-deleted", Threat: "T25", Group: "people",
		Title:  "Bob, a member of Acme who moderates nothing, deletes what Erin has written",
		Expect: []string{"gate/own", "rls/own"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "erin/Acme", "Said by Erin.")
			if err != nil {
				return false, err
			}
			if _, err := s.Program("bob").Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post, nil); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from commons.post where id = $1)`, post)
		},
	}
}
