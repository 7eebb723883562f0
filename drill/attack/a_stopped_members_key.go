package attack

import (
	"context"
	"net/http"
)

func aStoppedMembersKey() Attack {
	return Attack{
		Name: "a-stopped-members-key", Threat: "T19", Group: "people", Destroys: true,
		Title:  "Bob, whom Acme has stopped, goes on reading with the key that he has kept",
		Expect: []string{"identity/session", "rls/credential"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			post, err := s.post(ctx, "alice", canary)
			if err != nil {
				return false, err
			}
			bob, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			if err := s.done(ctx, "alice", http.MethodPost, "/api/v1/members/"+bob+"/deactivate", nil); err != nil {
				return false, err
			}
			a, err := s.Program("bob").Get(ctx, "/api/v1/posts/"+post)
			return a.Holds(canary), err
		},
	}
}
