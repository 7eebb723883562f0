package link

import (
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// An inbox holds what has come for one stream and was not yet taken. Its window is what may be in it and on the way to it; there
// is no window for the link as a whole, so that a stream that nobody empties holds up nobody else.
type inbox struct {
	mu      sync.Mutex
	arrived sync.Cond
	budget  *Budget
	first   *chunk
	last    *chunk
	held    int64 // bytes in chunks
	credit  int64 // what the peer may still send
	window  int64 // held and credit together are brought up to this
	beyond  int64 // reserved in the budget
	since   time.Time
	ended   bool // nothing comes any more
	closed  bool // nobody takes any more
	err     error
	trailer http.Header
	late    bool // the deadline has passed
	clock   *time.Timer
}

func (b *inbox) init(budget *Budget) {
	b.budget = budget
	b.arrived.L = &b.mu
	b.credit, b.window = InitialWindow, InitialWindow
}

// put takes over a copy of p. It reports false if the peer had no credit for it, or had said that nothing comes.
func (b *inbox) put(p []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit -= int64(len(p)); b.credit < 0 || b.ended && !b.closed {
		return false
	}
	if b.closed {
		return true
	}
	if b.held == 0 && b.since.IsZero() {
		b.since = time.Now()
	}
	b.held += int64(len(p))
	for len(p) > 0 {
		if b.last == nil || b.last.full() {
			b.append(newChunk(len(p)))
		}
		p = p[b.last.put(p):]
	}
	b.arrived.Broadcast()
	return true
}

func (b *inbox) append(c *chunk) {
	if b.last == nil {
		b.first = c
	} else {
		b.last.next = c
	}
	b.last = c
}

// end says that nothing comes any more: because it is complete, if err is nil.
func (b *inbox) end(err error, trailer http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended, b.err, b.trailer = true, err, trailer
	if b.err == nil {
		b.err = io.EOF
	}
	if b.first == nil {
		b.giveBack(b.beyond)
	}
	b.arrived.Broadcast()
}

// close says that nobody takes any more: readers get err, and what is there is given back. It returns what the peer may have
// under way all the same.
func (b *inbox) close(err error) (under int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		if !b.ended || b.first != nil {
			b.err = err
		}
		for b.first != nil {
			b.pop().release()
		}
		b.held = 0
		b.giveBack(b.beyond)
		if b.clock != nil {
			b.clock.Stop()
		}
		b.arrived.Broadcast()
	}
	if b.ended {
		return 0
	}
	b.ended = true
	return max(b.credit, 0)
}

func (b *inbox) pop() *chunk {
	c := b.first
	if b.first = c.next; b.first == nil {
		b.last = nil
	}
	c.next = nil
	return c
}

// ready waits until there is something to take, and says why there never will be.
func (b *inbox) ready() error {
	for {
		switch {
		case b.late:
			return os.ErrDeadlineExceeded
		case b.first != nil:
			return nil
		case b.ended || b.closed:
			return b.err
		}
		b.arrived.Wait()
	}
}

// take copies what is there to p.
func (b *inbox) take(p []byte, rtt time.Duration) (n int, grant int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return 0, 0, err
	}
	for n < len(p) && b.first != nil {
		n += b.first.get(p[n:])
		if b.first.empty() {
			b.pop().release()
		}
	}
	return n, b.taken(int64(n), rtt), nil
}

// lift takes a whole chunk out, for a writer that can do with it as it is.
func (b *inbox) lift(rtt time.Duration) (c *chunk, grant int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return nil, 0, err
	}
	c = b.pop()
	return c, b.taken(int64(c.w-c.r), rtt), nil
}

// taken accounts for n bytes that have left, and returns how much more the peer may send from now on. It is asked for by halves
// of a window. A half that was emptied within two round trips was waited for at the other end: the window doubles, or while it is
// small and they were less than one, twice so. One that took much longer could have been smaller: it halves.
func (b *inbox) taken(n int64, rtt time.Duration) (grant int64) {
	b.held -= n
	if b.ended && b.first == nil {
		b.giveBack(b.beyond)
	}
	if b.ended || b.window-b.credit-b.held < b.window/2 {
		return 0
	}
	now := time.Now()
	took, wider := now.Sub(b.since), 2*b.window
	if took < rtt && b.window < quickWindow {
		wider = 4 * b.window
	}
	switch {
	case took < 2*rtt && wider <= MaxWindow && b.budget.reserve(wider-b.window, wider):
		b.beyond += wider - b.window
		b.window = wider
	case took > max(16*rtt, slowWindow) && b.window > InitialWindow:
		b.window /= 2
	}
	b.since = now
	if grant = b.window - b.credit - b.held; grant < b.window/2 {
		grant = 0
	}
	b.credit += grant
	if excess := b.beyond - (max(b.window, b.credit+b.held) - InitialWindow); excess > 0 {
		b.giveBack(excess)
	}
	return grant
}

func (b *inbox) giveBack(n int64) {
	b.budget.release(n)
	b.beyond -= n
}

func (b *inbox) deadline(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.clock != nil {
		b.clock.Stop()
		b.clock = nil
	}
	b.late = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !b.late {
		var clock *time.Timer
		clock = time.AfterFunc(time.Until(t), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.clock == clock {
				b.late = true
				b.arrived.Broadcast()
			}
		})
		b.clock = clock
	}
	b.arrived.Broadcast()
}

// complete reports whether all of it is here.
func (b *inbox) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

func (b *inbox) trailers() http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trailer
}
