package edge

import (
	"net/http"
	"sync/atomic"
	"time"
)

// An answer counts what goes out, and knows for how long a client has not taken it.
type answer struct {
	http.ResponseWriter
	guard  *guard // of an HTTP/1 connection
	begun  atomic.Bool
	since  atomic.Int64 // when the Write under way began; zero for none
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
		a.begun.Store(true)
	}
	a.since.Store(time.Now().UnixNano())
	a.ResponseWriter.WriteHeader(status)
	a.since.Store(0)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.since.Store(time.Now().UnixNano())
	n, err := a.ResponseWriter.Write(p)
	a.since.Store(0)
	a.bytes += int64(n)
	return n, err
}

// FlushError is what http.ResponseController looks for.
func (a *answer) FlushError() error {
	a.since.Store(time.Now().UnixNano())
	defer a.since.Store(0)
	return a.controller().Flush()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) controller() *http.ResponseController {
	return http.NewResponseController(a.ResponseWriter)
}

// stalled reports whether the client has not taken what is written for longer than patience.
func (a *answer) stalled(now time.Time, patience time.Duration) bool {
	since := a.since.Load()
	return since != 0 && now.UnixNano()-since > int64(patience)
}

// cut ends every Write, that under way and later ones. The handler must not have returned.
func (a *answer) cut() {
	a.controller().SetWriteDeadline(time.Unix(1, 0))
}
