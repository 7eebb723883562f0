package attack

import "context"

func linkThatIsAScript() Attack {
	return Attack{
		Name: "link-that-is-a-script", Threat: "T30", Group: "browser", Browser: true,
		Title:  "Alice clicks on a link in Bob's post, which is a script and leads nowhere",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			return s.written(ctx, `<a href="javascript:`+mark(canary)+`;void 0">What they say about you</a>`, func(alice *seat) (bool, error) {
				return alice.clicks(".prose a") && alice.ran(canary), nil
			})
		},
	}
}
