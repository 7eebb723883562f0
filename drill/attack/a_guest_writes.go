package attack

import (
	"context"
	"net/http"
	"net/url"
)

func aGuestWrites() Attack {
	return Attack{
		Name: "a-guest-writes", Threat: "T25", Group: "people", Destroys: true,
		Title:  "Bob, whom Acme has made a guest, who only reads, writes a comment",
		Expect: []string{"gate/action", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			post, err := s.post(ctx, "alice", "What do you think?")
			if err != nil {
				return false, err
			}
			member, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			if err := s.done(ctx, "alice", http.MethodPut, "/api/v1/members/"+member+"/role", map[string]any{"role": "guest"}); err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := bob.Ask(ctx, http.MethodPost, "/posts/"+post+"/comments", url.Values{"body": {canary}}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.comment where body = $1)`, canary)
		},
	}
}
