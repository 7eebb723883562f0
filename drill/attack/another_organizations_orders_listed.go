package attack

import (
	"context"
	"net/http"
)

func anotherOrganizationsOrdersListed() Attack {
	return Attack{
		Name: "another-organizations-orders-listed", Threat: "T02", Group: "tenants",
		Title:  "Carol of Globex lists orders and says, in every place where one could, that she means Acme's",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.order(ctx, "bob", canary); err != nil {
				return false, err
			}
			_, acme, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			carol := s.Program("carol")
			carol.Alter = func(r *http.Request) {
				for _, name := range []string{"X-Organization-Id", "X-Tenant-Id", "X-Org"} {
					r.Header.Set(name, acme)
				}
			}
			for _, query := range []string{"", "?limit=100", "?organization_id=" + acme, "?organization=Acme&limit=100", "?filter[organization_id]=" + acme} {
				a, err := carol.Get(ctx, "/api/v1/orders"+query)
				if err != nil || a.Holds(canary) {
					return err == nil, err
				}
			}
			return false, nil
		},
	}
}
