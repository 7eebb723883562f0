package attack

import (
	"context"
	"net/http"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func postByALink() Attack {
	return Attack{
		Name: "post-by-a-link", Threat: "T44", Group: "browser",
		Title:  "A link on another site deletes a post of Bob's when he follows it",
		Expect: []string{"gate/method", "transport/token"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			at := s.Origin + "/posts/" + l.id
			for _, address := range []string{at + "/delete", at + "/delete?_method=POST", at + "?_method=DELETE", s.Origin + "/api/v1/posts/" + l.id + "?_method=DELETE"} {
				if err := fromElsewhere(ctx, bob, address); err != nil {
					return false, err
				}
			}
			if err := headFromElsewhere(ctx, bob, at+"/delete"); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from commons.post where id = $1)`, l.id)
		},
	}
}

// headFromElsewhere has another site's page ask with HEAD, which needs no leave of ours.
func headFromElsewhere(ctx context.Context, c *target.Client, address string) error {
	r, err := c.Request(ctx, http.MethodHead, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "no-cors")
	_, err = c.Do(r)
	return err
}
