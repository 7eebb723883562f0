package attack

import (
	"context"
	"net/http"
	"net/url"
)

func sqlWidensARole() Attack {
	return Attack{
		Name: "sql-widens-a-role", Threat: "T57", Group: "database", Destroys: true,
		Title:  "Whoever has captured the application's role lets every member manage orders, in the database's own list of who may do what; and Bob, a member of Acme, records that his is paid",
		Expect: []string{"gate/route", "gate/action", "rls/grants"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			for _, sql := range []string{
				"select redoubt.allow('member', 'orders:manage')",
				"update redoubt.role set scopes = scopes || array['orders:manage'] where name = 'member'",
			} {
				if _, err := app.as(ctx, "dave", sql); err != nil {
					return false, err
				}
			}
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			bob, err := s.SignIn(ctx, "bob") // his key has its scopes from before
			if err != nil {
				return false, err
			}
			if _, err := bob.Ask(ctx, http.MethodPost, "/orders/"+order+"/pay", url.Values{}); err != nil {
				return false, err
			}
			state, err := s.stateOf(ctx, order)
			return state == "paid", err
		},
	}
}
