package link

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	errFinished = errors.New("the handler has returned")
	errNotAsked = errors.New("a change of protocol that was not asked for")
	errShort    = errors.New("the answer is shorter than its declared length")
)

// A response is the http.ResponseWriter. There is a new one for each request, and it is dead once its handler has returned: a
// handler that keeps it and writes later must not write into somebody else's answer.
type response struct {
	s        *stream
	body     *requestBody // nil: none
	bodiless bool         // the request is a HEAD
	upgrade  string       // what the client asks to change to

	mu      sync.Mutex
	header  http.Header
	status  int      // zero: WriteHeader was not called
	scratch *scratch // from then on, until the handler returns
	count   int      // of scratch.lines
	trailer []string // declared then
	typed   bool     // it has a content type, or must not get one
	events  bool     // it is a stream of events: each is sent as it is written
	length  int64    // declared; -1: not
	sent    bool     // the head is on its way
	none    bool     // nothing may follow it
	written int64
	failed  error
	done    bool
	taken   bool // hijacked
}

// A scratch is memory for one answer.
type scratch struct {
	lines  []byte // the header as it was when WriteHeader was called
	body   []byte // what is kept back
	record []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{body: make([]byte, 0, firstWrite)} }}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("invalid WriteHeader code " + strconv.Itoa(status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.done || w.taken || w.status != 0:
		w.s.c.config.Log.Warn("superfluous WriteHeader")
	case status == http.StatusSwitchingProtocols:
		w.switchTo(w.header)
	case status < 200:
		w.inform(status)
	default:
		w.snapshot(status)
	}
}

// inform sends a 1xx answer, RFC 9110 section 15.2.
func (w *response) inform(status int) {
	record, err := appendLines(appendAnswer(nil, status, "", -1, false), w.header, notTrailer)
	if err == nil {
		err = w.s.sendInform(record)
	}
	if err != nil {
		w.s.c.config.Log.Warn("informational answer not sent", "error", err.Error())
	}
}

func notTrailer(name string) bool { return !strings.HasPrefix(name, http.TrailerPrefix) }

// switchTo answers 101; then the stream goes both ways until both ends have ended it.
func (w *response) switchTo(h http.Header) error {
	w.status, w.sent, w.none = http.StatusSwitchingProtocols, true, true
	if w.upgrade == "" {
		w.failed = errNotAsked
		return w.failed
	}
	to := h.Get("Upgrade")
	if to == "" || len(to) > 64 || !graphic(to) {
		to = w.upgrade
	}
	record, err := appendLines(appendAnswer(nil, w.status, to, -1, false), h, nil)
	if err == nil {
		_, _, err = w.s.sendAnswer(record, false, nil, false, nil)
	}
	w.failed = err
	return err
}

// snapshot notes the header as it is: what the handler changes afterwards has no effect, trailers excepted.
func (w *response) snapshot(status int) {
	w.status, w.scratch = status, scratches.Get().(*scratch)
	w.none = w.bodiless || !bodyAllowed(status)
	w.trailer = elements(w.header["Trailer"])
	w.scratch.lines, w.count = appendEach(w.scratch.lines[:0], w.header, notTrailer)
	w.scratch.body = w.scratch.body[:0]
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header.Get("Content-Encoding") != ""
	w.events = strings.HasPrefix(w.header.Get("Content-Type"), "text/event-stream")
	if v := w.header.Get("Content-Length"); v != "" && status != http.StatusNoContent {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
}

// Write implements http.ResponseWriter. The first few kilobytes are kept back, so that a small answer has a length and goes in
// one piece; events are not.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writable(); err != nil {
		return 0, err
	}
	w.written += int64(len(p))
	if w.length >= 0 && w.written > w.length && bodyAllowed(w.status) {
		w.written -= int64(len(p))
		return 0, http.ErrContentLength
	}
	if err := w.accept(p); err != nil {
		w.failed = err
		return 0, err
	}
	return len(p), nil
}

func (w *response) writable() error {
	switch {
	case w.taken:
		return http.ErrHijacked
	case w.done:
		return errFinished
	case w.failed != nil:
		return w.failed
	case w.status == 0:
		w.snapshot(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return http.ErrBodyNotAllowed
	}
	return nil
}

func (w *response) accept(p []byte) error {
	b := w.scratch
	if len(b.body)+len(p) <= firstWrite {
		b.body = append(b.body, p...)
		if w.events {
			return w.flush()
		}
		return nil
	}
	if !w.sent && len(b.body) < sniffed { // the first bytes decide on the content type
		n := min(sniffed-len(b.body), len(p))
		b.body, p = append(b.body, p[:n]...), p[n:]
	}
	if err := w.flush(); err != nil || w.bodiless {
		return err
	}
	_, err := w.s.write(p)
	return err
}

const sniffed = 512

// flush sends what is kept back.
func (w *response) flush() error {
	if !w.sent {
		return w.commit(false, nil)
	}
	body := w.scratch.body
	w.scratch.body = body[:0]
	if w.bodiless || len(body) == 0 {
		return nil
	}
	_, err := w.s.write(body)
	return err
}

// commit sends the head, with what is kept back; if that is the last, all in one piece.
func (w *response) commit(last bool, trailer http.Header) error {
	b := w.scratch
	w.sent = true
	if !w.typed && bodyAllowed(w.status) && len(b.body) > 0 {
		b.lines = appendString(appendString(b.lines, "Content-Type"), http.DetectContentType(b.body))
		w.count++
	}
	if last && w.length < 0 && bodyAllowed(w.status) && len(trailer) == 0 && (len(b.body) > 0 || !w.bodiless) {
		w.length = int64(len(b.body))
	}
	ends := w.none || last && len(b.body) == 0 && len(trailer) == 0
	b.record = appendAnswer(b.record[:0], w.status, "", w.length, ends)
	b.record = append(append(b.record, byte(w.count>>8), byte(w.count)), b.lines...)
	block, err := appendTrailers(trailer)
	if err = errors.Join(err, fits(len(b.record), w.count)); err != nil {
		return err
	}
	body := b.body
	b.body = body[:0]
	if ends {
		_, _, err = w.s.sendAnswer(b.record, true, nil, false, nil)
		return err
	}
	n, ended, err := w.s.sendAnswer(b.record, false, body, last, block)
	if err == nil && n < len(body) {
		_, err = w.s.write(body)
	}
	if err == nil && last && !ended {
		err = w.s.end(trailer)
	}
	return err
}

// FlushError is what http.ResponseController looks for.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.taken:
		return http.ErrHijacked
	case w.done:
		return errFinished
	case w.status == 0:
		w.snapshot(http.StatusOK)
	}
	if w.failed == nil && w.scratch != nil {
		w.failed = w.flush()
	}
	return w.failed
}

// Flush implements http.Flusher.
func (w *response) Flush() { w.FlushError() }

// ReadFrom implements io.ReaderFrom, with memory that is used again.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	for {
		read, err := src.Read(buf[:])
		if read > 0 {
			wrote, werr := w.Write(buf[:read])
			if n += int64(wrote); werr != nil {
				return n, werr
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// finish is called when the handler has returned.
func (w *response) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken {
		w.done = true
		return // whoever took the stream ends it
	}
	if err := w.complete(); err != nil {
		w.s.abort(codeFailed, err)
	}
	w.retire()
	w.s.abandon()
}

func (w *response) complete() error {
	if w.status == 0 {
		w.snapshot(http.StatusOK)
	}
	switch {
	case w.failed != nil:
		return w.failed
	case w.status == http.StatusSwitchingProtocols:
		return errNotAsked // nobody took the stream
	case !w.none && w.length >= 0 && w.written < w.length:
		return errShort
	}
	trailer := w.trailers()
	if !w.sent {
		return w.commit(true, trailer)
	}
	if err := w.flush(); err != nil || w.none {
		return err
	}
	return w.s.end(trailer)
}

// trailers are those that the handler declared and then set, and those that it marked with http.TrailerPrefix.
func (w *response) trailers() http.Header {
	var t http.Header
	add := func(name string, values []string) {
		if len(values) > 0 && !reserved[name] {
			if t == nil {
				t = http.Header{}
			}
			t[name] = values
		}
	}
	for _, name := range w.trailer {
		add(name, w.header[name])
	}
	for name, values := range w.header {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(http.CanonicalHeaderKey(bare), values)
		}
	}
	return t
}

// discard is called when the handler has panicked.
func (w *response) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retire()
}

// retire makes every later use of w an error, and gives its memory back.
func (w *response) retire() {
	w.done = true
	if w.body != nil {
		w.body.retire()
	}
	if w.scratch == nil {
		return
	}
	if cap(w.scratch.lines) <= 16<<10 && cap(w.scratch.record) <= 16<<10 {
		scratches.Put(w.scratch)
	}
	w.scratch = nil
}

// SetReadDeadline is of the request's body; for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	w.s.in.deadline(t)
	return nil
}

// SetWriteDeadline is of the answer; for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.s.writeDeadline(t)
	return nil
}

// EnableFullDuplex is always so; for http.ResponseController.
func (w *response) EnableFullDuplex() error { return nil }
