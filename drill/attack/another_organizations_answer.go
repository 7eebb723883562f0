package attack

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func anotherOrganizationsAnswer() Attack {
	return Attack{
		Name: "another-organizations-answer", Threat: "T08", Group: "tenants",
		Title:  "Carol of Globex asks again and again, while requests of Acme are broken off on the connections that both share, until one answers her that was meant for another",
		Expect: []string{"rls/floor", "rls/tags"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			if _, err := s.order(ctx, "bob", canary); err != nil {
				return false, err
			}
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return interleaved(ctx, s, canary)
		},
	}
}

// interleaved asks for two organizations at once: rounds are bounded, and so is the time of each request that is broken off.
func interleaved(ctx context.Context, s *Scene, canary string) (harm bool, err error) {
	const rounds = 25
	var wg sync.WaitGroup
	defer wg.Wait()
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range 4 {
		alice := s.quiet("alice")
		wg.Go(func() {
			for j := 0; stop.Err() == nil && j < 8*rounds; j++ {
				brief, done := context.WithTimeout(stop, time.Duration(i*j%7+1)*time.Millisecond)
				alice.Get(brief, "/api/v1/orders?limit=100") // its answer is not waited for: that is the point
				done()
			}
		})
	}
	carol, last := s.quiet("carol"), ""
	for range rounds {
		a, err := carol.Get(ctx, "/api/v1/orders?limit=100")
		if err != nil {
			return false, err
		}
		if a.Holds(canary) {
			s.Note("carol's key", "GET /api/v1/orders?limit=100", "an order of Acme")
			return true, nil
		}
		last = fmt.Sprint(a.Status, " ", a.By)
	}
	s.Note("carol's key", fmt.Sprintf("GET /api/v1/orders?limit=100, %d times", rounds), last)
	return false, nil
}

// quiet is a program whose requests are not kept: several may run at once.
func (s *Scene) quiet(who string) *target.Client {
	c := s.Copy.Client(target.Inside)
	c.Bearer = s.Key(who)
	return c
}
