package attack

import (
	"context"
	"net/http"
)

func aCourseBegun() Attack {
	return Attack{
		Name: "a-course-begun", Threat: "T25", Group: "people",
		Title:  "Bob, a member of Acme, begins a course, which is for those who teach",
		Expect: []string{"gate/route", "gate/action", "rls/require", "rls/own", "rls/reserved"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/courses", map[string]any{"title": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.course where title = $1)`, canary)
		},
	}
}
