package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// An application is what the far end of a link has beyond the near one. All but the first three is guarded by Conn.mu.
type application struct {
	handler http.Handler
	base    context.Context
	work    chan *stream // to a goroutine that waits

	running  int           // requests whose handler runs, or whose stream lives
	upgraded int           // those of them whose stream was taken over
	resting  int           // goroutines that wait
	stopping bool          // Serve's ctx has ended
	cut      int           // requests that were ended before their time
	calm     chan struct{} // closed when nothing runs but what was taken over
}

// Serve serves the requests that come down conn until it ends, or until ctx does: then it says GOAWAY, finishes what is under way
// within drain, and closes. Established, if not nil, is told the live link. Streams that were upgraded are not waited for, as
// net/http's Shutdown does not. The error is nil only if everything that was begun was finished.
func Serve(ctx context.Context, conn net.Conn, key Key, h http.Handler, drain time.Duration, c Config, established func(*Conn)) error {
	l := newConn(conn, key, c, false)
	l.application = application{
		handler: h, base: context.WithoutCancel(ctx), work: make(chan *stream), calm: make(chan struct{}),
	}
	l.start()
	if established != nil {
		established(l)
	}
	select {
	case <-l.dead:
	case <-ctx.Done():
		l.drain(drain)
	}
	l.ended.Wait()
	return l.outcome()
}

// arrive is a request's head. Whatever is wrong with the frame is judged before anything in it is believed: first the token it
// refers to, then the seal over its bytes, then its number, and only then what it says.
func (c *Conn) arrive(id uint32, payload []byte) error {
	t, err := c.known.get(uint16(payload[0])<<8 | uint16(payload[1]))
	if err != nil {
		return err
	}
	if !c.open.opens(payload[2:sealSize], id, &t.hash, payload[sealSize:]) {
		return broken("a head that is not authentic")
	}
	both := &struct { // in one piece, because there is one for each request
		stream
		served
	}{}
	s, h := &both.stream, &both.head
	s.served = &both.served
	err = decodeRequest(payload[sealSize:], h)
	if errors.Is(err, errRecord) {
		return broken("%v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id <= c.last || id > MaxStream {
		return broken("stream numbers that do not grow")
	}
	c.last = id
	switch {
	case err != nil:
		return c.refuse(id, h, codeMalformed)
	case c.draining || c.err != nil || c.running >= c.config.MaxStreams:
		return c.refuse(id, h, codeRefused)
	}
	c.admit(s, id, t)
	return nil
}

// refuse answers a request of which nothing was looked at. Its body may be on the way.
func (c *Conn) refuse(id uint32, h *requestHead, k code) error {
	if !h.ends {
		c.late += InitialWindow
	}
	c.out = appendFrame(c.out, frameReset, id, []byte{byte(k)})
	c.kick()
	return c.overrun()
}

// A served is the application's side of a stream.
type served struct {
	head   requestHead
	ctx    reqContext
	cancel context.CancelCauseFunc

	taken    bool // the handler has taken the stream over
	returned bool // the handler has
}

// admit gives the request to a goroutine. Goroutines are used again: a new one would grow its stack anew each time.
func (c *Conn) admit(s *stream, id uint32, t *token) {
	h := &s.served.head
	s.init(c, id, t)
	if s.want = h.length; h.upgrade != "" {
		s.want = -1
	}
	v := s.served
	v.ctx.Context, v.cancel = context.WithCancelCause(c.base)
	v.ctx.arrival = Arrival{h.id, c.id, t.text, h.scheme, h.client}
	c.streams[id] = s
	c.running++
	if h.ends {
		s.recvEnd = true
		s.in.end(nil, nil)
	}
	if c.resting > 0 {
		c.resting--
		c.work <- s // somebody who counted as resting is at the other end, or about to be
		return
	}
	go c.labour(s)
}

func (c *Conn) labour(s *stream) {
	for {
		c.run(s)
		if !c.finished(s) {
			return
		}
		s = nil // it may be a while until the next
		select {
		case s = <-c.work:
		case <-c.dead:
			return
		}
	}
}

// run runs the handler, and sees to it that the stream ends whatever the handler does.
func (c *Conn) run(s *stream) {
	w := &response{s: s, length: -1}
	r, err := s.request(w)
	if err != nil {
		s.abort(codeMalformed, err)
		s.served.cancel(err)
		return
	}
	defer s.served.cancel(context.Canceled)
	done := false
	defer func() {
		p := recover()
		if done {
			return
		}
		w.discard()
		s.abort(codeFailed, errReset)
		if p != nil {
			c.panicked(p)
			return
		}
		c.returned(s) // runtime.Goexit: this goroutine ends here
	}()
	c.handler.ServeHTTP(w, r)
	w.finish()
	done = true
}

// panicked writes a panic down: where, and what the runtime says about it; never a value that the request may be part of.
func (c *Conn) panicked(p any) {
	if p == http.ErrAbortHandler {
		return
	}
	what := fmt.Sprintf("a value of type %T", p)
	if err, ok := p.(interface {
		error
		RuntimeError()
	}); ok {
		what = err.Error()
	}
	c.config.Log.Error("handler panicked", "panic", what, "stack", string(debug.Stack()))
}
