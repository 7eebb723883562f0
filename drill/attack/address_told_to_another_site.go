package attack

import "context"

func addressToldToAnotherSite() Attack {
	return Attack{
		Name: "address-told-to-another-site", Group: "browser", Browser: true,
		Title:  "A link in Bob's post tells the site that it leads to which page Alice came from",
		Expect: []string{"input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			link := `<a href="` + evil.Origin + `/from" referrerpolicy="unsafe-url">Read this</a>`
			return s.written(ctx, link, func(alice *seat) (bool, error) {
				return alice.clicks(".prose a") && alice.within(aWhile, func() bool { return evil.was("GET /from", s.Origin+"/posts/") }), nil
			})
		},
	}
}
