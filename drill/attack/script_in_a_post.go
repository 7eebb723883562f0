package attack

import "context"

func scriptInAPost() Attack {
	return Attack{
		Name: "script-in-a-post", Threat: "T30", Group: "browser", Browser: true,
		Title:  "Bob publishes a post with a script in it, which runs when Alice reads it",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			text := "<script>" + mark(canary) + `</script><img src="/nowhere" onerror="` + mark(canary) + `"><svg onload="` + mark(canary) + `"></svg>` + hello
			return s.written(ctx, text, func(alice *seat) (bool, error) { return alice.ran(canary), nil })
		},
	}
}
