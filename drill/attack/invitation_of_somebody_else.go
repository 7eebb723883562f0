package attack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func invitationOfSomebodyElse() Attack {
	return Attack{
		Name: "invitation-of-somebody-else", Group: "people", Destroys: true,
		Title:  "Dave, at home, has got hold of a mail that invites Mallory to Acme, and accepts it; so does Carol once Mallory has",
		Expect: []string{"perimeter/policy", "identity/invitation", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			link, err := s.invite(ctx, "mallory@outside.test")
			if err != nil {
				return false, err
			}
			for _, one := range []struct{ who, from string }{{"dave", target.Outside}, {"mallory", target.Inside}, {"carol", target.Outside}} {
				if err := s.accept(ctx, one.who, one.from, link); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select exists (select from identity.membership m join identity.person p on p.id = m.person_id join identity.organization o on o.id = m.organization_id
			  where o.name = 'Acme' and m.active and (p.email like 'dave@%' or p.email like 'carol@%'))`)
		},
	}
}

// invite has Alice invite somebody as a guest, and returns the path in the mail.
func (s *Scene) invite(ctx context.Context, email string) (path string, err error) {
	a, err := s.Program("alice").Ask(ctx, http.MethodPost, "/api/v1/invitations", map[string]string{"email": email, "role": "guest"})
	if err := done(a, err); err != nil {
		return "", err
	}
	var made struct {
		Link string `json:"link"`
	}
	if err := a.JSON(&made); err != nil || !strings.HasPrefix(made.Link, s.Origin+"/") {
		return "", fmt.Errorf("preparing the attack: an invitation has no link (%v)", err)
	}
	return strings.TrimPrefix(made.Link, s.Origin), nil
}

// accept presses the button on an invitation's page, and signs somebody in at the provider for it.
func (s *Scene) accept(ctx context.Context, who, from, path string) error {
	c := s.client(who, from)
	a, err := c.Ask(ctx, http.MethodPost, path, url.Values{})
	if err != nil || a.Header.Get("Location") == "" {
		return err
	}
	back, err := c.Choose(ctx, a.Header.Get("Location"), who)
	if err != nil || back == "" {
		return err
	}
	_, err = c.Follow(ctx, back)
	return err
}
