package edge

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
)

var (
	errShutOut = errors.New("the caller may no longer pass")
	errLeaving = errors.New("the edge is stopping")
)

// A visit is what the edge keeps about one request while it passes.
type visit struct {
	id        string
	began     time.Time
	client    netip.Addr // of the connection's other end
	site      *site
	upgrade   string // the protocol that the client asks for
	answer    answer
	tunnelled atomic.Int64 // bytes from the client after an upgrade
	body      *upload
	rule      string // of the gate, that decided
	session   string // of the gate
	by        string // how the caller was let in
	link      string
	attempts  int
	denied    *denial        // why the edge answered by itself, if it did
	refused   *layer.Refusal // why the gate did
	broken    string         // why an answer that had begun did not end well

	admission atomic.Pointer[access.Admission]
	asked     time.Time // when the gate was asked last; the watcher's
	endless   atomic.Bool

	mu       sync.Mutex
	cancel   context.CancelCauseFunc
	shut     error       // why it was ended from outside
	close    func(error) // of an upgraded connection
	over     bool        // the handler has returned: its ResponseWriter must not be touched
	informed int
	headOver bool // no interim answer may follow
}

// end stops v from outside: inwards the application is told, outwards the connection or stream closes.
func (v *visit) end(why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || v.shut != nil {
		return
	}
	v.shut = why
	if v.close != nil { // it says goodbye before it ends anything
		v.close(why)
		return
	}
	if v.cancel != nil {
		v.cancel(why)
	}
	if v.answer.begun.Load() && why != errLeaving { // else there is still an answer to give, or to end in order
		v.answer.cut()
	}
}

// finish makes v untouchable from outside, before its handler returns.
func (v *visit) finish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
}

func (v *visit) cause() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.shut
}

// arm says how v is cancelled. It fails if it was ended before.
func (v *visit) arm(cancel context.CancelCauseFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancel = cancel
	if v.shut != nil {
		cancel(v.shut)
	}
}

// onClose says how v is closed from now on, when it is no request any more.
func (v *visit) onClose(f func(error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.close = f
	if v.shut != nil {
		f(v.shut)
	}
}

// inform passes an interim answer on (RFC 9110 section 15.2), such as 103. What belongs to a connection stays on it: 100 is net/http's,
// when the body is read, and 101 is no interim answer.
func (v *visit) inform(status int, h http.Header) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.headOver || v.over || status < 102 || status > 199 || v.informed >= MaxInformed {
		return
	}
	v.informed++
	to := v.answer.Header()
	own := maps.Clone(to) // what the gate has put there is for the answer
	clear(to)
	copyAnswer(to, h)
	v.answer.WriteHeader(status)
	clear(to)
	maps.Copy(to, own)
}

// endHead allows no further interim answer.
func (v *visit) endHead() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.headOver = true
}

// watched are the requests under way.
type watched struct {
	mu  sync.Mutex
	all map[*visit]struct{}
}

func (w *watched) add(v *visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[v] = struct{}{}
}

func (w *watched) remove(v *visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, v)
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all)
}

// each calls f for every visit, without the lock.
func (w *watched) each(f func(v *visit)) {
	w.mu.Lock()
	visits := make([]*visit, 0, len(w.all))
	for v := range w.all {
		visits = append(visits, v)
	}
	w.mu.Unlock()
	for _, v := range visits {
		f(v)
	}
}

// run looks at every request under way, several times within each limit, until ctx ends. One goroutine does it for all of them: a
// request that is answered at once costs no timer.
func (w *watched) run(ctx context.Context, t timeouts) {
	tick := time.NewTicker(max(min(t.progress/4, t.recheck/4, time.Second), 5*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			w.each(func(v *visit) {
				v.recheck(now, t.recheck)
				v.pace(now, t.progress)
			})
		}
	}
}

// recheck asks the gate once more when it is time, and ends what may no longer pass (SYSTEM P4).
func (v *visit) recheck(now time.Time, every time.Duration) {
	a := v.admission.Load()
	if a == nil {
		return
	}
	select {
	case <-a.Ended: // never, if it is nil
		v.end(errShutOut)
		return
	default:
	}
	if v.asked.IsZero() {
		v.asked = v.began
	}
	if now.Sub(v.asked) < every || a.Again == nil {
		return
	}
	v.asked = now
	if !a.Again() {
		v.end(errShutOut)
	}
}

// pace cuts a client that does not send, or does not take, what it should (SYSTEM T6).
func (v *visit) pace(now time.Time, patience time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	if v.answer.stalled(now, patience) {
		v.answer.cut()
	}
	if v.body != nil && v.body.stalled(now) {
		v.body.cut()
	}
}

// leave ends what would never end by itself.
func (w *watched) leave() {
	w.each(func(v *visit) {
		if v.endless.Load() {
			v.end(errLeaving)
		}
	})
}

// cut ends everything.
func (w *watched) cut() { w.each(func(v *visit) { v.end(errLeaving) }) }

// empty waits until no request is under way: net/http does not know of those whose connection has changed its protocol.
func (w *watched) empty(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for w.count() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
