package attack

import (
	"context"
	"strings"
)

func readerLedAway() Attack {
	return Attack{
		Name: "reader-led-away", Group: "browser", Browser: true,
		Title:  "Bob's post leads whoever opens it to a false sign-in of his, without a click",
		Expect: []string{"input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			evil.show("/sign-in", "Please sign in once more.")
			return s.written(ctx, `<meta http-equiv="refresh" content="0;url=`+evil.Origin+`/sign-in">`+hello, func(alice *seat) (bool, error) {
				return alice.within(aWhile, func() bool { return strings.HasPrefix(says[string](alice, "location.href"), evil.Origin) }), nil
			})
		},
	}
}
