package attack

import "context"

func commentByAnotherSitesScript() Attack {
	return Attack{
		Name: "comment-by-another-sites-script", Threat: "T43", Group: "browser", Browser: true,
		Title:  "Alice, who is signed in, opens another site, and a script there comments on a post in her name, unseen",
		Expect: []string{"transport/samesite", "transport/origin", "transport/token"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			page := `<script>fetch("%s", {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({body: "%s"})}).finally(() => fetch("/done"))</script>`
			return s.forged(ctx, page, func(_ *seat, evil *elsewhere) bool { return evil.was("GET /done") })
		},
	}
}
