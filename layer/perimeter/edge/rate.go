package edge

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/redoubt-dev/redoubt/layer"
)

// Rates bound the requests of each client address, by this edge's own count (SYSTEM K1). An address that was unseen for longest is
// forgotten when there are too many; it begins anew with a full burst, which costs less than refusing those who are new.
type rates struct {
	rate   Rate
	policy string

	mu     sync.Mutex
	of     map[netip.Prefix]*list.Element
	recent *list.List // of *bucket, the one seen last first
}

type bucket struct {
	from    netip.Prefix
	limiter *rate.Limiter
}

func newRates(r Rate) *rates {
	if r.PerSecond == 0 {
		return nil
	}
	if r.Burst == 0 {
		r.Burst = int(math.Ceil(r.PerSecond))
	}
	window := int(math.Ceil(float64(r.Burst) / r.PerSecond))
	return &rates{rate: r, policy: fmt.Sprintf(`"address";q=%d;w=%d`, r.Burst, window), of: map[netip.Prefix]*list.Element{}, recent: list.New()}
}

// check takes one request's worth from the address's bucket, or refuses. Who is near the limit is told so in headers.
func (r *rates) check(a netip.Addr, h http.Header) *denial {
	if r == nil {
		return nil
	}
	now := time.Now()
	limiter := r.limiter(owner(a))
	ok := limiter.AllowN(now, 1)
	left := limiter.TokensAt(now)
	if ok && left > float64(r.rate.Burst)/2 {
		return nil
	}
	wait := int(math.Ceil(max(0, 1-left) / r.rate.PerSecond))
	h.Set("RateLimit-Policy", r.policy)
	h.Set("RateLimit", fmt.Sprintf(`"address";r=%d;t=%d`, max(0, int(left)), wait))
	if ok {
		return nil
	}
	h.Set("Retry-After", strconv.Itoa(max(1, wait)))
	return deny(http.StatusTooManyRequests, layer.Limited, "rate", "Too many requests from this address; wait a moment.")
}

func (r *rates) limiter(from netip.Prefix) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.of[from]; e != nil {
		r.recent.MoveToFront(e)
		return e.Value.(*bucket).limiter
	}
	if len(r.of) >= MaxLimited {
		last := r.recent.Back()
		delete(r.of, last.Value.(*bucket).from)
		r.recent.Remove(last)
	}
	b := &bucket{from, rate.NewLimiter(rate.Limit(r.rate.PerSecond), r.rate.Burst)}
	r.of[from] = r.recent.PushFront(b)
	return b.limiter
}
