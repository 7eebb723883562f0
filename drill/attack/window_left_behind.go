package attack

import (
	"context"
	"strings"
)

func windowLeftBehind() Attack {
	return Attack{
		Name: "window-left-behind", Group: "browser", Browser: true,
		Title:  "Alice follows a link of Bob's into a new window, whose page turns the one that she left behind into a false sign-in",
		Expect: []string{"transport/headers", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			evil.show("/interesting", `<script>if (opener) opener.location = "/sign-in"</script>`)
			evil.show("/sign-in", "Please sign in once more.")
			link := `<a href="` + evil.Origin + `/interesting" target="_blank" rel="opener">Read this</a>`
			return s.written(ctx, link, func(alice *seat) (bool, error) {
				return alice.clicks(".prose a") && alice.within(aWhile, func() bool { return strings.HasPrefix(says[string](alice, "location.href"), evil.Origin) }), nil
			})
		},
	}
}
