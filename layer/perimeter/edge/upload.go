package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var errBodyTooLarge = errors.New("the request's body is too large")

var errKeptNoMore = errors.New("the beginning of the request's body is not kept")

// An upload is a request's body with two limits: its length, and how long the client may let the edge wait. Only time spent
// waiting for the client counts; an application that reads slowly is not the client's fault. SYSTEM T6.
type upload struct {
	body     io.ReadCloser
	control  *http.ResponseController
	left     int64 // -1: no limit
	patience time.Duration
	count    atomic.Int64 // bytes
	lost     atomic.Bool  // not all that was read is kept: no further attempt can be made
	turn     atomic.Int32 // which attempt may read

	reading sync.Mutex    // held during Read
	kept    []byte        // from the beginning, unless lost
	read    int64         // bytes, in all
	failed  error         // of the body itself, for every attempt
	since   atomic.Int64  // when the Read under way began to wait, less what was waited before; zero for none
	waited  time.Duration // since MinProgress bytes came
	fresh   int           // bytes since then

	mu    sync.Mutex
	ended bool // the handler has returned: its ResponseWriter must not be touched
	err   error
	rest  bool // HTTP/1: net/http reads on after the handler, for the sake of the next request
}

func newUpload(w http.ResponseWriter, r *http.Request, limit int64, patience time.Duration) *upload {
	u := &upload{body: r.Body, control: http.NewResponseController(w), left: limit, patience: patience, rest: r.ProtoMajor == 1}
	if u.rest {
		u.control.EnableFullDuplex() // or net/http would swallow the body, unbounded in time, before the first byte of an answer
	}
	return u
}

// Read is for the gate, whose pages take forms. What it has read is not there for the application.
func (u *upload) Read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	u.lost.Store(true)
	return u.next(p)
}

// An attempt reads a body from its beginning, as long as no later attempt does: the link that has failed may still be reading, and what
// it gets is kept for its successor.
type attempt struct {
	*upload
	turn int32
	at   int64
}

func (u *upload) again() *attempt { return &attempt{upload: u, turn: u.turn.Add(1)} }

func (a *attempt) Read(p []byte) (n int, err error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	switch {
	case a.turn != a.upload.turn.Load():
		return 0, http.ErrBodyReadAfterClose
	case a.at < int64(len(a.kept)):
		n = copy(p, a.kept[a.at:])
		a.at += int64(n)
		return n, nil
	case a.at != a.read:
		return 0, errKeptNoMore
	case a.failed != nil:
		return 0, a.failed
	}
	n, err = a.next(p)
	a.at += int64(n)
	a.keep(p[:n])
	return n, err
}

// keep remembers what was read for a further attempt, while one is possible.
func (u *upload) keep(p []byte) {
	if u.lost.Load() || len(u.kept)+len(p) > MaxKept {
		u.lost.Store(true)
		u.kept = nil
		return
	}
	u.kept = append(u.kept, p...)
}

// next reads on. The lock is held.
func (u *upload) next(p []byte) (int, error) {
	began := time.Now()
	u.since.Store(began.Add(-u.waited).UnixNano())
	n, err := u.body.Read(p)
	u.since.Store(0)
	u.waited += time.Since(began)
	if u.fresh += n; u.fresh >= MinProgress {
		u.waited, u.fresh = 0, 0
	}
	if u.left >= 0 {
		if int64(n) > u.left {
			n, err = 0, errBodyTooLarge
		}
		u.left -= int64(n)
	}
	u.read += int64(n)
	u.count.Store(u.read)
	if err != nil {
		u.failed = err
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.err == nil {
			u.err = err
		}
	}
	return n, err
}

// stalled reports whether the client has let the edge wait for too long.
func (u *upload) stalled(now time.Time) bool {
	since := u.since.Load()
	return since != 0 && now.UnixNano()-since > int64(u.patience)
}

// cut ends the Read under way, with os.ErrDeadlineExceeded.
func (u *upload) cut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended {
		u.control.SetReadDeadline(time.Unix(1, 0)) // every protocol has one
	}
}

func (u *upload) Close() error { return u.body.Close() }

// end is called before the handler returns: the link may still be reading in another goroutine. What net/http reads of an
// unfinished body afterwards is bounded too, and after a failure it is nothing.
func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	switch {
	case !u.rest || u.err == io.EOF:
	case u.err != nil:
		u.control.SetReadDeadline(time.Unix(1, 0))
	default:
		u.control.SetReadDeadline(time.Now().Add(u.patience))
	}
}

// failure is why the body could not be read, or nil. It accepts a nil upload: a request without a body. net/http ends the
// request's context because of a failed read before it returns from that read, so that a Read under way is waited for then;
// it ends at once, or with its deadline.
func (u *upload) failure(ctx context.Context) error {
	if u == nil {
		return nil
	}
	if ctx.Err() != nil {
		u.reading.Lock()
		defer u.reading.Unlock()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == io.EOF {
		return nil
	}
	return u.err
}
