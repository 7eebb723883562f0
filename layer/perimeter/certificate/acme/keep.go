package acme

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// keep looks after one host until ctx ends.
func (m *Manager) keep(ctx context.Context, h *host) {
	for {
		wait := time.NewTimer(m.tend(ctx, h))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// tend does what is due for h, and says when to come again.
func (m *Manager) tend(ctx context.Context, h *host) time.Duration {
	m.load(h)
	if c := h.current.Load(); c != nil && time.Now().Before(m.renewal(h, c)) {
		if err := m.saveAgain(h, endOf(c)); err != nil {
			m.failed(h, err)
			return m.times.look
		}
		m.succeeded(h)
		m.advise(ctx, h, c)
		return m.times.look
	}
	err := m.order(ctx, h)
	switch {
	case ctx.Err() != nil:
		return 0 // keep ends
	case err != nil:
		m.failed(h, err)
		return m.pause(err, h.failures)
	}
	m.succeeded(h)
	return m.times.look
}

func (m *Manager) succeeded(h *host) {
	h.failures = 0
	h.problem.Store(nil)
}

func (m *Manager) failed(h *host, err error) {
	h.failures++
	words := err.Error()
	if old := h.problem.Swap(&words); old == nil || *old != words {
		m.log.Error("certificate not obtained", "host", h.name, "error", words, "failures", h.failures)
	}
}

// renewal is when c is to be replaced: when a third of its life is left (as authorities advise), or when the authority itself says so
// (RFC 9773 section 4.2), which may be as late as a tenth. A young certificate is kept, whatever they say: each order counts.
func (m *Manager) renewal(h *host, c *held) time.Time {
	leaf := c.cert.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := leaf.NotAfter.Add(-life / 3)
	if h.advice.of == c && !h.advice.at.IsZero() {
		at = earlier(h.advice.at, leaf.NotAfter.Add(-life/10))
	}
	if youngest := c.obtained.Add(min(m.times.minAge, life/10)); at.Before(youngest) {
		return youngest
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// endOf is when nobody needs the entry of c any more: some days after its end, for those who look for what went wrong.
func endOf(c *held) time.Time { return c.cert.Leaf.NotAfter.Add(7 * 24 * time.Hour) }

// advice is the authority's word on when to renew one certificate.
type advice struct {
	of    *held
	at    time.Time // zero: it has said nothing
	again time.Time // when to ask again
}

// advise asks the authority when to renew c. If it does not say, our own schedule holds.
func (m *Manager) advise(ctx context.Context, h *host, c *held) {
	now := time.Now()
	if h.advice.of == c && now.Before(h.advice.again) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, adviceTimeout)
	defer cancel()
	next := advice{of: c, again: now.Add(m.times.advise)}
	if h.advice.of == c {
		next.at = h.advice.at
	}
	info, err := m.client.GetRenewalInfo(ctx, c.cert.Leaf)
	if err != nil {
		m.log.Debug("no advice when to renew", "host", h.name, "error", err.Error())
		h.advice = next
		return
	}
	// A time is chosen once for each window, or else asking often enough would always find one that is over.
	if next.at.Before(info.SuggestedWindow.Start) || next.at.After(info.SuggestedWindow.End) {
		next.at = info.SelectedTime
	}
	if info.RetryAfter != nil {
		next.again = earlier(*info.RetryAfter, now.Add(m.times.adviseMost))
		if floor := now.Add(m.times.look); next.again.Before(floor) {
			next.again = floor
		}
	}
	h.advice = next
}

// pause is how long to wait after a failure. An authority that cannot be reached will be back; one that refuses counts how often it
// is asked, and so does one that found nothing of ours where the host's name leads.
func (m *Manager) pause(err error, failures int) time.Duration {
	first, most := m.times.soon, m.times.soonMost
	if problem := new(acme.Problem); errors.As(err, problem) && problem.Status < 500 {
		first, most = m.times.later, m.times.laterMost
	}
	wait := min(first<<min(failures-1, 20), most)
	return wait - time.Duration(rand.Int64N(int64(wait)/5+1)) // so that edges do not come together
}
