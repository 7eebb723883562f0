package attack

import (
	"context"
	"net/http"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func identityByHeader() Attack {
	return Attack{
		Name: "identity-by-header", Threat: "T21", Group: "perimeter",
		Title:  "A stranger in the office claims in headers to be Bob, or to have been let in by the edge, and reads a post of Acme",
		Expect: []string{"gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			profile, organization, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			stranger := s.Stranger(target.Inside)
			for _, headers := range claimsToBe(profile, organization) {
				stranger.Alter = func(r *http.Request) {
					for name, value := range headers {
						r.Header[name] = []string{value}
					}
				}
				if harm, err := l.found(ctx, stranger); harm || err != nil {
					return harm, err
				}
			}
			return false, nil
		},
	}
}

// claimsToBe are the ways in which proxies tell applications who somebody is. The last is the edge's own, with a token that nobody has
// signed (RFC 7519 section 6).
func claimsToBe(profile, organization string) []map[string]string {
	unsigned := unsigned(map[string]any{"iss": "edge", "aud": "Commons", "sub": "dev-bob", "email": "bob@acme.test", "exp": 1 << 32})
	return []map[string]string{
		{"X-User-Id": profile, "X-Organization-Id": organization, "X-User-Email": "bob@acme.test", "X-User-Role": "owner"},
		{"X-Forwarded-User": "dev-bob", "X-Forwarded-Email": "bob@acme.test", "X-Forwarded-Groups": "redoubt:administrators:" + organization},
		{"X-Auth-Request-User": "dev-bob", "X-Auth-Request-Email": "bob@acme.test", "Remote-User": "bob@acme.test"},
		{"X-Goog-Authenticated-User-Email": "accounts.google.com:bob@acme.test", "Tailscale-User-Login": "bob@acme.test"},
		{"Cf-Access-Authenticated-User-Email": "bob@acme.test", "Cf-Access-Jwt-Assertion": unsigned, "X-Amzn-Oidc-Data": unsigned},
		{"Redoubt-Assertion": unsigned, "Redoubt-Jwt-Assertion": unsigned},
		{"redoubt_assertion": unsigned},
	}
}
