package attack

import (
	"context"
	"fmt"
)

func pictureThatCountsReaders() Attack {
	return Attack{
		Name: "picture-that-counts-readers", Group: "browser", Browser: true,
		Title:  "A picture in Bob's post comes from his own site, which so learns who reads it, when, and from where",
		Expect: []string{"transport/csp", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			evil, err := s.elsewhere(ctx)
			if err != nil {
				return false, err
			}
			return s.written(ctx, fmt.Sprintf(`![](%[1]s/seen) <img src="%[1]s/seen">`, evil.Origin), func(alice *seat) (bool, error) {
				return alice.within(aMoment, func() bool { return evil.was("GET /seen") }), nil
			})
		},
	}
}
