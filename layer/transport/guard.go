package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// A guard is the http.ResponseWriter that handlers see. It has a header map of its own, which is copied, sealed, into the real
// one at the moment of sending: a handler that keeps the map and changes it later changes nothing (SYSTEM T1).
//
// It deliberately has no Unwrap, which would hand out the real writer; no Hijack, since a taken-over connection has neither
// headers nor bounds; and no ReadFrom, since one call without end would have one deadline. http.ResponseController works on it.
type guard struct {
	t      *Transport
	raw    http.ResponseWriter
	ctl    *http.ResponseController // of raw
	r      *http.Request
	header http.Header // the handler's
	before http.Header // what outer rings had set, such as a request id: the start of every response

	bounds      Bounds
	end         time.Time // of the whole request
	readBy      time.Time // the handler's own, earlier limit; zero for none
	writeBy     time.Time // likewise
	body        *body     // nil if the request has none
	caller      string    // see callerOf
	preflighted bool
	sent        bool // the header has left
	refusing    bool // Config.Refuse is writing
	muted       bool // a refusal has been sent in place of what the handler still writes
}

// begin prepares one request. The function it returns releases its timers.
func (t *Transport) begin(w http.ResponseWriter, r *http.Request) (*guard, context.CancelFunc) {
	bounds := t.cfg.Bounds
	if t.cfg.Wider != nil {
		bounds = t.cfg.Wider(r).or(bounds)
	}
	end := time.Now().Add(bounds.HandlerTimeout)
	ctx, cancel := context.WithDeadline(context.WithValue(r.Context(), nonceKey{}, rand.Text()), end)
	g := &guard{
		t: t, raw: w, ctl: http.NewResponseController(w), r: r.WithContext(ctx),
		before: w.Header().Clone(), bounds: bounds, end: end,
	}
	g.header = g.before.Clone()
	g.extendWrite()
	if hasBody(r) {
		g.body = newBody(g)
		g.r.Body = g.body
	}
	return g, cancel
}

// Header implements http.ResponseWriter.
func (g *guard) Header() http.Header { return g.header }

// WriteHeader implements http.ResponseWriter. Informational responses are not sent: they would carry headers that nobody has
// sealed. A second call does nothing.
func (g *guard) WriteHeader(status int) {
	if g.sent || status >= 100 && status <= 199 {
		return
	}
	h := canonical(g.header)
	if where := h["Location"]; len(where) > 1 || len(where) == 1 && !g.t.mayLead(where[0]) {
		if !g.refusing {
			g.warn("refusing a redirect to another site")
			g.refuse(refusal(layer.Forbidden, "This link leads to another site.", errors.New("open redirect")))
			g.muted = true
			return
		}
		h.Del("Location")
	}
	g.seal(h, status)
	if g.refusing && g.body.pending() && g.r.ProtoMajor == 1 {
		h.Set("Connection", "close") // or net/http would read the rest, however slowly it comes, before it sends the refusal
	}
	out := g.raw.Header()
	clear(out)
	maps.Copy(out, h)
	g.raw.WriteHeader(status)
	g.sent = true
}

// Write implements http.ResponseWriter. Each call gives the client WriteTimeout to take it.
func (g *guard) Write(p []byte) (int, error) {
	g.WriteHeader(http.StatusOK)
	if g.muted {
		return len(p), nil
	}
	g.extendWrite()
	return g.raw.Write(p)
}

// Flush implements http.Flusher.
func (g *guard) Flush() { _ = g.FlushError() }

// FlushError is what http.ResponseController calls.
func (g *guard) FlushError() error {
	g.WriteHeader(http.StatusOK)
	g.extendWrite()
	return g.ctl.Flush()
}

// SetReadDeadline is what http.ResponseController calls. A handler may be stricter than Bounds, never more patient.
func (g *guard) SetReadDeadline(at time.Time) error {
	g.readBy = at
	if g.body == nil {
		return nil // nothing to read: a deadline here would only end the request's context
	}
	return g.body.extend()
}

// SetWriteDeadline is what http.ResponseController calls. A handler may be stricter than Bounds, never more patient.
func (g *guard) SetWriteDeadline(at time.Time) error {
	g.writeBy = at
	return g.extendWrite()
}

// EnableFullDuplex is what http.ResponseController calls.
func (g *guard) EnableFullDuplex() error { return g.ctl.EnableFullDuplex() }

// extendWrite lets the client take what comes next for another WriteTimeout. Past the end of the whole request there is one
// more, for the refusal. A writer without deadlines is one whose connection somebody else bounds; nothing is lost by asking.
func (g *guard) extendWrite() error {
	last := g.end.Add(g.bounds.WriteTimeout)
	return g.ctl.SetWriteDeadline(earliest(time.Now().Add(g.bounds.WriteTimeout), last, g.writeBy))
}

// earliest ignores zero times.
func earliest(first time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if !o.IsZero() && o.Before(first) {
			first = o
		}
	}
	return first
}

// refuse sends a refusal in place of everything that the handler had prepared. If Refuse itself panics or writes nothing, the
// answer is still an error with all its headers, never an empty success.
func (g *guard) refuse(why *layer.Refusal) {
	g.header, g.refusing = g.before.Clone(), true
	defer func() {
		if p := recover(); p != nil {
			g.logPanic(p)
			if g.sent {
				panic(http.ErrAbortHandler)
			}
			g.header = g.before.Clone()
		}
		if !g.sent {
			http.Error(g, "Internal Server Error", http.StatusInternalServerError)
		}
	}()
	g.t.cfg.Refuse(g, g.r, why)
}

// finish is deferred around the handler. A response that was begun and not finished is cut off, so that nobody takes it for
// whole; one that was not begun becomes a refusal, or an empty success.
func (g *guard) finish() {
	p := recover()
	if form := g.r.MultipartForm; form != nil {
		_ = form.RemoveAll() // its temporary files: the server cleans up after its own copy of the request only
	}
	switch {
	case p == http.ErrAbortHandler:
		panic(p)
	case p != nil && g.sent:
		g.logPanic(p)
		panic(http.ErrAbortHandler)
	case p != nil:
		g.logPanic(p)
		g.refuse(refusal(layer.Unavailable, "Something went wrong here. Try again.", errors.New("a handler panicked")))
	case !g.sent && errors.Is(g.r.Context().Err(), context.DeadlineExceeded):
		g.refuse(refusal(layer.Unavailable, "This took too long. Try again.", context.DeadlineExceeded))
	default:
		g.WriteHeader(http.StatusOK)
	}
	g.lastWrite()
}

// lastWrite leaves the server time to send what it has buffered, after it has read what is left of the body.
func (g *guard) lastWrite() {
	last := time.Now().Add(g.bounds.WriteTimeout)
	if g.body.pending() {
		last = last.Add(g.bounds.BodyTimeout)
	}
	_ = g.ctl.SetWriteDeadline(last)
}

// logPanic writes down where and why, for those who run the system. Nothing of it is ever in a response.
func (g *guard) logPanic(p any) {
	stack := debug.Stack()
	g.log(slog.LevelError, "handler panicked", "panic", cut(fmt.Sprint(p), 512), "stack", string(stack[:min(len(stack), 8<<10)]))
}

func (g *guard) warn(message string, args ...any) { g.log(slog.LevelWarn, message, args...) }

func (g *guard) log(level slog.Level, message string, args ...any) {
	ctx := g.r.Context()
	args = append(args, "layer", string(layer.Transport), "request", g.t.cfg.RequestID(ctx), "method", g.r.Method)
	g.t.cfg.Log.Log(ctx, level, message, args...)
}
