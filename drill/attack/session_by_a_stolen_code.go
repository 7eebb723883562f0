package attack

import (
	"context"
	"errors"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func sessionByAStolenCode() Attack {
	return Attack{
		Name: "session-by-a-stolen-code", Threat: "T16", Group: "people",
		Title:  "Dave has read Bob's authorization code in a log, and ends a sign-in of his own with it",
		Expect: []string{"identity/nonce", "identity/pkce"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			address, err := s.client("bob", target.Inside).Choose(ctx, "/sign-in", "bob") // Bob's browser does not come to follow it
			if err != nil {
				return false, err
			}
			dave := s.client("dave", target.Inside)
			state, err := begun(ctx, dave)
			if err != nil {
				return false, err
			}
			if address, err = changed(address, func(q url.Values) { q.Set("state", state) }); err != nil {
				return false, err
			}
			if _, err := dave.Get(ctx, address); err != nil {
				return false, err
			}
			return s.signedInAs(ctx, dave, "bob")
		},
	}
}

// begun has a browser begin a sign-in, and returns its state.
func begun(ctx context.Context, c *target.Client) (state string, err error) {
	a, err := c.Get(ctx, "/sign-in")
	if err != nil {
		return "", err
	}
	to, err := url.Parse(a.Header.Get("Location"))
	if err == nil && to.Query().Get("state") == "" {
		err = errors.New("preparing the attack: a sign-in begins without a state")
	}
	if err != nil {
		return "", err
	}
	return to.Query().Get("state"), nil
}
