package enrol

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// attempts slows those down who try often, each by itself, so that one does not keep the others out. It counts a bounded number of
// them; with more, it forgets, because nothing here can be guessed: the bound is for the machine's sake.
type attempts struct {
	every time.Duration
	burst int
	mu    sync.Mutex
	of    map[string]*rate.Limiter
}

func newAttempts(every time.Duration, burst int) *attempts {
	return &attempts{every: every, burst: burst, of: map[string]*rate.Limiter{}}
}

func (a *attempts) allow(who string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, known := a.of[who]
	if !known {
		if len(a.of) >= callers {
			clear(a.of)
		}
		l = rate.NewLimiter(rate.Every(a.every), a.burst)
		a.of[who] = l
	}
	return l.Allow()
}
