package attack

import (
	"context"
	"net/http"
)

func aRevokedKey() Attack {
	return Attack{
		Name: "a-revoked-key", Threat: "T18", Group: "people",
		Title:  "A thief of a key reads on after Bob has revoked it",
		Expect: []string{"identity/session", "rls/credential"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			post, err := s.post(ctx, "alice", canary)
			if err != nil {
				return false, err
			}
			key, err := s.key(ctx, "bob", "posts:read", "keys:write")
			if err != nil {
				return false, err
			}
			thief := s.bearing("the stolen key", key)
			var id string
			if err := s.Admin().QueryRow(ctx, `select id::text from identity.api_key where name = 'for a drill' order by created_at desc limit 1`).Scan(&id); err != nil {
				return false, err
			}
			if err := s.done(ctx, "bob", http.MethodDelete, "/api/v1/api-keys/"+id, nil); err != nil {
				return false, err
			}
			a, err := thief.Get(ctx, "/api/v1/posts/"+post)
			return a.Holds(canary), err
		},
	}
}
