package attack

import (
	"context"
	"strings"
)

func wordsThatRunBackwards() Attack {
	return Attack{
		Name: "words-that-run-backwards", Group: "input", Browser: true,
		Title:  "Bob's post turns the direction of writing around, so that Alice reads another sum than stands there",
		Expect: []string{"input/schema", "input/clean", "input/render"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			const turned = "Please pay \u202e00052\u202c euros."
			return s.written(ctx, turned, func(alice *seat) (bool, error) {
				return strings.Contains(says[string](alice, `document.querySelector(".prose").textContent`), "\u202e"), nil
			})
		},
	}
}
