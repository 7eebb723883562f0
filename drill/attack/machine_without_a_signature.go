package attack

import (
	"context"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func machineWithoutASignature() Attack {
	return Attack{
		Name: "machine-without-a-signature", Threat: "T13", Group: "people",
		Title:  "A stranger outside says, in a token that nobody has signed, to be a machine that Acme trusts, and is given its access token",
		Expect: []string{"perimeter/policy", "identity/token"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			name := s.Canary()
			if err := s.trust(ctx, name); err != nil {
				return false, err
			}
			_, acme, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			program := s.Stranger(target.Outside)
			now := time.Now().Unix()
			claims := map[string]any{"iss": target.MachineIssuer, "aud": s.Origin + "/organizations/" + acme, "sub": "repo:acme/" + name, "iat": now, "exp": now + 300, "jti": name}
			for _, token := range []string{unsigned(claims), keyed(claims, name)} {
				if err := exchange(ctx, program, token); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select exists (select from identity.machine_token t join identity.federation f on f.id = t.federation_id where f.name = $1)`, name)
		},
	}
}

// exchange asks for an access token for a machine's own (RFC 8693).
func exchange(ctx context.Context, c *target.Client, token string) error {
	return tell(ctx, c, "/oauth/token", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange",
		"subject_token_type", "urn:ietf:params:oauth:token-type:id_token", "subject_token", token)
}
