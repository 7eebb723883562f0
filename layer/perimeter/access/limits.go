package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates bound how often signing on may be tried at one edge, in ten minutes. What is beyond is told to come back, whoever it is for.
type Rates struct {
	// Address bounds mails to one address; zero means 3.
	Address int
	// Client bounds mails asked for and links confirmed from one client address (of IPv6, one /64); zero means 30. Answers of
	// providers may come ten times as often: many people share the address of an office.
	Client int
	// Overall bounds mails altogether; zero means 300.
	Overall int
}

const (
	rateSpan  = 10 * time.Minute
	maxTable  = 20_000 // addresses that are counted at once
	fullTable = 100    // tries by all who find the table full, in rateSpan

	clearEvery = 5 * time.Second // looking through a full table costs more than a try may
)

type limits struct{ address, client, answers, overall *table }

func newLimits(r Rates) *limits {
	or := func(n, zero int) int {
		if n == 0 {
			return zero
		}
		return n
	}
	client := or(r.Client, 30)
	return &limits{newTable(or(r.Address, 3)), newTable(client), newTable(10 * client), newTable(or(r.Overall, 300))}
}

// A table counts tries by key. It forgets who has not tried of late; full, it counts all newcomers together, so that neither memory nor
// a bound is without limit.
type table struct {
	burst int

	mu      sync.Mutex
	all     map[string]*rate.Limiter
	crowd   *rate.Limiter
	cleared time.Time
}

func newTable(burst int) *table {
	return &table{burst: burst, all: map[string]*rate.Limiter{}, crowd: newLimiter(fullTable)}
}

func newLimiter(burst int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(burst)/rateSpan.Seconds()), burst)
}

// allow counts a try, and says after what time the next may come if this one may not.
func (t *table) allow(key string, now time.Time) (wait time.Duration, ok bool) {
	l := t.of(key, now)
	if l.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - l.TokensAt(now)
	return time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Second, false
}

func (t *table) of(key string, now time.Time) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.all[key]; l != nil {
		return l
	}
	if len(t.all) >= maxTable && now.Sub(t.cleared).Abs() >= clearEvery {
		t.cleared = now
		for other, l := range t.all {
			if l.TokensAt(now) >= float64(t.burst) {
				delete(t.all, other)
			}
		}
	}
	if len(t.all) >= maxTable {
		return t.crowd
	}
	l := newLimiter(t.burst)
	t.all[key] = l
	return l
}

// clientKey is whom a client address stands for: of IPv6, one subscriber has at least a /64 (RFC 6177).
func clientKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}
