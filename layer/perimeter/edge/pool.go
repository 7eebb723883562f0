package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var (
	errNoLink   = errors.New("no connector is linked")
	errLinkBusy = errors.New("every link is at its limit")
)

// A member is one live link of a pool.
type member struct {
	conn   *link.Conn
	peer   enrol.Peer
	flying int // requests that this edge has on it; the pool's lock is for it
}

// A pool chooses among the live links of one application (SYSTEM P6).
type pool struct {
	name        string
	maxInFlight int
	patience    time.Duration // for a link to come
	recent      time.Duration // after the last link's end, in which one may be expected

	mu      sync.Mutex
	members []*member
	turn    int // where the next search begins, so that links with equal load take turns
	lost    time.Time
	waiting int
	arrived chan struct{} // closed when a link comes
}

func newPool(name string, maxInFlight int, times timeouts) *pool {
	// An edge that has just begun has lost its links, too: connectors are on their way.
	return &pool{name: name, maxInFlight: maxInFlight, patience: times.patience, recent: times.recent, lost: time.Now(), arrived: make(chan struct{})}
}

// add takes up a link, unless there are too many.
func (p *pool) add(m *member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.members) >= MaxLinks {
		return false
	}
	p.members = append(p.members, m)
	close(p.arrived)
	p.arrived = make(chan struct{})
	return true
}

// remove forgets a link, and reports whether it was there.
func (p *pool) remove(m *member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.members)
	p.members = slices.DeleteFunc(p.members, func(x *member) bool { return x == m })
	p.lost = time.Now()
	return len(p.members) < before
}

// all is a copy of the members, to work on without the lock.
func (p *pool) all() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.members)
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

func (p *pool) closeAll() {
	for _, m := range p.all() {
		m.conn.Close()
	}
}

// drop ends every link of a connector, and reports whether it had one.
func (p *pool) drop(id string) (had bool) {
	for _, m := range p.all() {
		if m.peer.ID == id {
			p.remove(m) // before Close: no request is sent after those that are cut
			m.conn.Close()
			had = true
		}
	}
	return had
}

// take returns the link with the fewest requests in flight that has not been tried, with a place on it, waiting for one if that is
// worthwhile. A link that drains is not taken.
func (p *pool) take(ctx context.Context, tried []*member) (*member, error) {
	m, arrived, err := p.pick(tried)
	if !errors.Is(err, errNoLink) || !p.queue() {
		return m, err
	}
	defer p.unqueue()
	end, again := time.NewTimer(p.patience), time.NewTicker(50*time.Millisecond)
	defer end.Stop()
	defer again.Stop()
	for errors.Is(err, errNoLink) {
		select {
		case <-arrived:
			m, arrived, err = p.pick(tried)
		case <-again.C: // a link that was full may have room
			m, arrived, err = p.pick(tried)
		case <-end.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return m, err
}

func (p *pool) pick(tried []*member) (best *member, arrived <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	err = errNoLink
	for i := range p.members {
		m := p.members[(p.turn+i)%len(p.members)]
		if slices.Contains(tried, m) || best != nil && m.flying >= best.flying {
			continue
		}
		if m.flying >= p.maxInFlight {
			err = errLinkBusy
			continue
		}
		if m.conn.Available() {
			best = m
		}
	}
	if best == nil {
		return nil, p.arrived, err
	}
	best.flying++
	return best, nil, nil
}

func (p *pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.flying--
}

// queue takes a place among those who wait. Long after the last link, nobody waits: the application is not being restarted, it is gone.
func (p *pool) queue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= MaxWaiting || time.Since(p.lost) > p.recent && !slices.ContainsFunc(p.members, alive) {
		return false
	}
	p.waiting++
	return true
}

// alive is of a link that drains: it will soon be replaced.
func alive(m *member) bool { return m.conn.Err() == nil }

func (p *pool) unqueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
}

// waits is how many requests wait for a link.
func (p *pool) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
