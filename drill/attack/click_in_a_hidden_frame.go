package attack

import (
	"context"
	"fmt"

	"github.com/chromedp/chromedp"
)

func clickInAHiddenFrame() Attack {
	return Attack{
		Name: "click-in-a-hidden-frame", Threat: "T45", Group: "browser", Browser: true,
		Title:  "Another site has a page of Acme's in a frame that nobody sees, just where Alice clicks",
		Expect: []string{"transport/csp", "transport/headers", "transport/samesite"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			return s.written(ctx, "Would you like this?", func(alice *seat) (bool, error) {
				at := says[[]float64](alice, `(() => { const b = document.querySelector(".post-foot button").getBoundingClientRect(); return [b.x + b.width/2, b.y + b.height/2] })()`)
				page := says[string](alice, "location.pathname")
				evil, err := s.elsewhere(ctx)
				if err != nil || len(at) != 2 {
					return false, err
				}
				evil.show("/", fmt.Sprintf(`<style>* { margin: 0 } iframe { border: 0; width: 100vw; height: 100vh; opacity: 0.01 }</style><iframe src="%s%s" onload="fetch('/framed')"></iframe>`, s.Origin, page))
				if err := alice.opens(evil.Origin + "/"); err != nil {
					return false, err
				}
				alice.within(2*aWhile, func() bool { return evil.was("GET /framed") })
				var liked bool
				for range clicks {
					if err := chromedp.Do(alice.tab, chromedp.MouseClickXY(at[0], at[1])); err != nil {
						return false, err
					}
					alice.within(aWhile, func() bool {
						liked, err = s.Seen(ctx, anyLike, page[len("/posts/"):])
						return liked || err != nil
					})
					if liked || err != nil {
						return liked, err
					}
				}
				return false, nil
			})
		},
	}
}

// clicks are how often Alice clicks: browsers do not hand on what is clicked in the first half second of a frame from elsewhere.
const clicks = 3

const anyLike = `select exists (select from commons.post_like where post_id = $1)`
