package attack

import "context"

func sqlDestroysOrders() Attack {
	return Attack{
		Name: "sql-destroys-orders", Threat: "T57", Group: "database", Destroys: true,
		Title:  "Dave of Globex smuggles in what ends the orders of everybody: TRUNCATE, DROP",
		Expect: []string{"rls/grants"},
		Honest: "TRUNCATE and DROP ask no policy: whether the role has the right to is all that a database asks, and after that a backup is what is left",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			order, err := s.order(ctx, "bob", "")
			if err != nil {
				return false, err
			}
			app, err := s.application(ctx)
			if err != nil {
				return false, err
			}
			defer app.free()
			for _, sql := range [][]string{
				{"truncate commons.order_"},
				{"drop table commons.order_"},
				{"set local role redoubt_owner", "drop table commons.order_"},
			} {
				if _, err := app.as(ctx, "dave", sql...); err != nil {
					return false, err
				}
			}
			if gone, err := s.Seen(ctx, `select to_regclass('commons.order_') is null`); gone || err != nil {
				return gone, err
			}
			return s.Seen(ctx, `select not exists (select from commons.order_ where id = $1)`, order)
		},
	}
}
