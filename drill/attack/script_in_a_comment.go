package attack

import (
	"context"
	"net/http"
)

func scriptInAComment() Attack {
	return Attack{
		Name: "script-in-a-comment", Threat: "T30", Group: "browser", Browser: true,
		Title:  "Bob comments on a post with a script, which runs when Alice reads it",
		Expect: []string{"transport/csp", "input/escape"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			post, err := s.post(ctx, "alice", "What do you think?")
			if err != nil {
				return false, err
			}
			defer s.Program("alice").Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post, nil)
			say := map[string]any{"body": "This. <script>" + mark(canary) + "</script>"}
			if _, err := s.Program("bob").Ask(ctx, http.MethodPost, "/api/v1/posts/"+post+"/comments", say); err != nil {
				return false, err
			}
			return s.read(ctx, post, func(alice *seat) (bool, error) { return alice.ran(canary), nil })
		},
	}
}
