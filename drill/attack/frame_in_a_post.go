package attack

import "context"

func frameInAPost() Attack {
	return Attack{
		Name: "frame-in-a-post", Group: "browser", Browser: true,
		Title:  "Bob's post shows a page of his own within Acme's, where Alice types her password",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			evil.show("/sign-in", `<p>Please sign in once more.<form><input type="password"></form><img src="/drawn">`)
			text := `<iframe src="` + evil.Origin + `/sign-in"></iframe><object data="` + evil.Origin + `/sign-in" type="text/html"></object><embed src="` + evil.Origin + `/sign-in" type="text/html">` + hello
			return s.written(ctx, text, func(alice *seat) (bool, error) { // what the page asks for in its turn was drawn
				return alice.within(aMoment, func() bool { return evil.was("GET /drawn " + evil.Origin) }), nil
			})
		},
	}
}
