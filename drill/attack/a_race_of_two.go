package attack

import (
	"context"
	"net/http"
	"sync"
)

func aRaceOfTwo() Attack {
	return Attack{
		Name: "a-race-of-two", Threat: "T54", Group: "money",
		Title:  "Bob of Acme cancels his orders at the moments in which Alice records that they are paid, until one is both",
		Expect: []string{"rls/constraints", "rls/triggers"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			for range 6 {
				order, err := s.order(ctx, "bob", "")
				if err != nil {
					return false, err
				}
				if err := s.race(ctx, order); err != nil {
					return false, err
				}
				harm, err := s.Seen(ctx, `select count(distinct action) = 2 from audit.log where entity_id = $1 and action in ('order.paid', 'order.cancelled')`, order)
				if harm || err != nil {
					return harm, err
				}
			}
			return false, nil
		},
	}
}

// race has both act on one order at once.
func (s *Scene) race(ctx context.Context, order string) error {
	var wg sync.WaitGroup
	var errs [2]error
	for i, act := range []struct{ who, way string }{{"alice", "pay"}, {"bob", "cancel"}} {
		c := s.quiet(act.who)
		wg.Go(func() { _, errs[i] = c.Ask(ctx, http.MethodPost, "/api/v1/orders/"+order+"/"+act.way, nil) })
	}
	wg.Wait()
	s.Note("alice's key and bob's", "POST /api/v1/orders/"+order+"/pay and …/cancel", "")
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
