package attack

import (
	"context"
	"net/http"
)

func aDemotedMembersKey() Attack {
	return Attack{
		Name: "a-demoted-members-key", Threat: "T20", Group: "people", Destroys: true,
		Title:  "Bob, whom Acme has made a guest, who only reads, writes a post with a key from before",
		Expect: []string{"identity/session", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			key, err := s.key(ctx, "bob", "posts:write")
			if err != nil {
				return false, err
			}
			if err := s.done(ctx, "alice", http.MethodPut, "/api/v1/members/"+bob+"/role", map[string]any{"role": "guest"}); err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := s.bearing("bob's old key", key).Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.post where body = $1)`, canary)
		},
	}
}
