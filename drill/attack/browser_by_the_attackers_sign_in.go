package attack

import (
	"context"
	"net/url"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func browserByTheAttackersSignIn() Attack {
	return Attack{
		Name: "browser-by-the-attackers-sign-in", Threat: "T16", Group: "people",
		Title:  "Dave leads Bob's browser to the end of a sign-in of his own, so that Bob writes in Dave's name",
		Expect: []string{"identity/binding", "identity/nonce", "identity/pkce"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			for _, begun := range []bool{false, true} { // whether Bob is about to sign in by himself
				for _, change := range []func(url.Values){func(url.Values) {}, func(q url.Values) { q.Del("state") }} {
					harm, err := s.lured(ctx, begun, change)
					if harm || err != nil {
						return harm, err
					}
				}
			}
			return false, nil
		},
	}
}

// lured has Bob's browser follow the answer that Dave got from the provider, and kept.
func (s *Scene) lured(ctx context.Context, begun bool, change func(url.Values)) (bool, error) {
	dave, bob := s.client("dave", target.Inside), s.client("bob", target.Inside)
	address, err := dave.Choose(ctx, "/sign-in", "dave")
	if err != nil {
		return false, err
	}
	if begun {
		if _, err := bob.Get(ctx, "/sign-in"); err != nil {
			return false, err
		}
	}
	if address, err = changed(address, change); err != nil {
		return false, err
	}
	if err := fromElsewhere(ctx, bob, address); err != nil {
		return false, err
	}
	return s.signedInAs(ctx, bob, "dave")
}

// changed is an address with another query.
func changed(address string, change func(url.Values)) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// fromElsewhere has a browser follow a link on another site's page.
func fromElsewhere(ctx context.Context, c *target.Client, address string) error {
	r, err := c.Request(ctx, "GET", address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-User", "?1")
	_, err = c.Do(r)
	return err
}
