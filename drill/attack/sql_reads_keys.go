package attack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

func sqlReadsKeys() Attack {
	return Attack{
		Name: "sql-reads-keys", Threat: "T57", Group: "database",
		Title:  "Whoever has captured the application's role reads who may do what: the hashes of sessions and keys, and addresses of people",
		Expect: []string{"rls/grants", "rls/floor"},
		Honest: Captured,
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			hash := sha256.Sum256([]byte(s.Key("bob")))
			for _, sql := range []string{"select encode(hash, 'hex') from identity.api_key", "select email from identity.person"} {
				said, err := app.as(ctx, "dave", sql)
				if err != nil || strings.Contains(said, hex.EncodeToString(hash[:])) || strings.Contains(said, "bob@acme.test") {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
