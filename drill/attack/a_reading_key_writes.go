package attack

import (
	"context"
	"net/http"
)

func aReadingKeyWrites() Attack {
	return Attack{
		Name: "a-reading-key-writes", Threat: "T22", Group: "people",
		Title:  "A thief of a key that was made for reading writes in Bob's name",
		Expect: []string{"gate/route", "gate/action", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			key, err := s.key(ctx, "bob", "posts:read")
			if err != nil {
				return false, err
			}
			canary := s.Canary()
			if _, err := s.bearing("the stolen key", key).Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": canary}); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from commons.post where body = $1)`, canary)
		},
	}
}
