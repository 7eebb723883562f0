package attack

import (
	"context"
	"net/http"
)

func organizationBySwitching() Attack {
	return Attack{
		Name: "organization-by-switching", Group: "people", Destroys: true,
		Title:  "Dave switches his session to Acme, of which he is no member",
		Expect: []string{"identity/admission", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			_, acme, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			dave, err := s.SignIn(ctx, "dave")
			if err != nil {
				return false, err
			}
			if _, err := dave.Ask(ctx, http.MethodPost, "/organization", formOf("organization_id", acme)); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from identity.session where hash = $1 and organization_id = $2 and revoked_at is null)`, hashed(session(dave)), acme)
		},
	}
}
