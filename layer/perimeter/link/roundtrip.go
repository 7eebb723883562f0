package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTimeout is the error of an application that did not begin its answer in time; ErrBusy that of a full link.
var (
	ErrTimeout = errors.New("the application did not begin its answer in time")
	ErrBusy    = errors.New("the link is at its limit")
)

// An unprocessed request was seen by nobody.
type unprocessed struct{ cause error }

func (u *unprocessed) Error() string { return "request not processed: " + u.cause.Error() }
func (u *unprocessed) Unwrap() error { return u.cause }

// Unprocessed reports whether err is of a request of which the application has seen nothing: sending it again is safe whatever its
// method, provided that nothing of its body was read.
func Unprocessed(err error) bool {
	var u *unprocessed
	return errors.As(err, &u)
}

// A call is the edge's side of a stream: what has come of the answer's head.
type call struct {
	mu      sync.Mutex
	bell    chan struct{}
	informs []*responseHead
	count   int
	head    *responseHead
	err     error
	goOn    bool // the application wants the body

	isHead   bool
	upgrade  string
	patience time.Duration
	client   atomic.Bool  // the upload waits for the client
	moved    atomic.Int64 // when the upload last got on, since the link began
}

func (k *call) ring() {
	select {
	case k.bell <- struct{}{}:
	default:
	}
}

func (k *call) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	k.ring()
}

// Accept makes the edge's end of a link of conn, which is inside TLS already. The edge alone opens streams.
func Accept(conn net.Conn, key Key, c Config) *Conn {
	l := newConn(conn, key, c, true)
	l.start()
	return l
}

// RoundTrip sends r and returns what was answered, as soon as its head is there. When ctx ends the peer is told, and its
// handler's context ends; the link lives on.
//
// A Body with Expect: 100-continue among the headers is not touched before the application reads it. Body may be in Read when
// RoundTrip returns: then the answer came before all of it was wanted.
func (c *Conn) RoundTrip(ctx context.Context, r *Request) (*Response, error) {
	h := requestHead{
		method: r.Method, scheme: r.Scheme, host: r.Host, target: r.Target, id: r.ID, upgrade: r.Upgrade,
		client: r.Client.WithZone("").Unmap(), length: r.ContentLength, header: r.Header,
	}
	if r.Upgrade == "" && (r.Body == nil || r.ContentLength == 0) {
		h.ends, h.length = true, 0
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("writing request: %w", err)
	}
	if len(r.Token) > MaxToken {
		return nil, fmt.Errorf("writing request: its token has more than %d bytes", MaxToken)
	}
	if err := ctx.Err(); err != nil {
		return nil, &unprocessed{context.Cause(ctx)}
	}
	s, err := c.begin(r, &h)
	if err != nil {
		return nil, err
	}
	return s.await(ctx, r, !h.ends && r.Upgrade == "")
}

var headBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// begin opens a stream. Its number, its token and its head are put in order by one lock.
func (c *Conn) begin(r *Request, h *requestHead) (*stream, error) {
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	record, err := appendRequest((*buf)[:0], h)
	*buf = record[:0]
	if err != nil {
		return nil, fmt.Errorf("writing request: %w", err)
	}
	both := &struct { // in one piece, because there is one for each request
		stream
		call
	}{call: call{bell: make(chan struct{}, 1), isHead: r.Method == http.MethodHead, upgrade: r.Upgrade}}
	s := &both.stream
	s.call = &both.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unavailable(); err != nil {
		return nil, &unprocessed{err}
	}
	c.last++
	var t *token
	c.out, t = c.sent.find(c.out, r.Token)
	s.init(c, c.last, t)
	s.want = -1
	c.streams[s.id] = s
	c.out = c.seal.appendHead(c.out, s.id, t.index, &t.hash, record)
	s.sentEnd = h.ends
	c.kick()
	return s, nil
}

// await waits for the answer's head.
func (s *stream) await(ctx context.Context, r *Request, upload bool) (*Response, error) {
	k := s.call
	waits := expects(r.Header)
	if upload && !waits {
		go s.upload(r)
	}
	k.patience = s.c.config.Response
	k.moved.Store(int64(time.Since(s.c.began)))
	timer := time.NewTimer(k.patience)
	defer timer.Stop()
	for {
		head, informs, goOn, err := k.look()
		for _, i := range informs {
			if r.Informed != nil {
				r.Informed(i.status, i.header)
			}
		}
		switch {
		case head != nil:
			return s.answer(ctx, head), nil
		case err != nil:
			s.in.close(err)
			return nil, err
		}
		if goOn && upload && waits {
			waits = false
			go s.upload(r)
		}
		select {
		case <-k.bell:
		case <-ctx.Done():
			s.abort(codeCancel, context.Cause(ctx))
			return nil, context.Cause(ctx)
		case <-timer.C:
			left := k.left(time.Since(s.c.began))
			if left <= 0 {
				s.abort(codeCancel, ErrTimeout)
				return nil, ErrTimeout
			}
			timer.Reset(left)
		}
	}
}

func (k *call) look() (*responseHead, []*responseHead, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	informs := k.informs
	k.informs = nil
	return k.head, informs, k.goOn, k.err
}

// left is how long the application still has. A client that is slow to send is not the application's fault.
func (k *call) left(now time.Duration) time.Duration {
	if k.client.Load() {
		return k.patience
	}
	return time.Duration(k.moved.Load()) + k.patience - now
}

// answered is a head from the application, 1xx or final.
func (c *Conn) answered(s *stream, payload []byte) error {
	if payload[0] != 0 || payload[1] != 0 || !c.open.opens(payload[2:sealSize], s.id, &s.token.hash, payload[sealSize:]) {
		return broken("a head that is not authentic")
	}
	h, err := decodeResponse(payload[sealSize:])
	if err != nil {
		return broken("%v", err)
	}
	k := s.call
	switch {
	case s.begun:
		return broken("a second answer")
	case h.status < 200 && h.status != http.StatusSwitchingProtocols:
		c.bells = append(c.bells, k)
		return k.inform(h, len(payload)-sealSize)
	case h.upgrade != "" && k.upgrade == "":
		return broken("an upgrade that was not asked for")
	case !h.ends && (k.isHead || !bodyAllowed(h.status) && h.upgrade == ""):
		return broken("a body where none may be")
	}
	s.begun = true
	if s.want = h.length; h.ends {
		s.want = 0
		c.mu.Lock() // not within k.mu: whoever ends the link holds the one and then needs the other
		c.ends(s, nil)
		c.mu.Unlock()
	}
	k.mu.Lock()
	k.head = h
	k.mu.Unlock()
	c.bells = append(c.bells, k)
	return nil
}

// inform takes a 1xx answer.
func (k *call) inform(h *responseHead, size int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.count++; k.count > MaxInforms || size > MaxInform {
		return broken("more than %d informational answers, or a larger one than %d bytes", MaxInforms, MaxInform)
	}
	if h.status == http.StatusContinue {
		k.goOn = true
		return nil
	}
	k.informs = append(k.informs, h)
	return nil
}

// ring tells those who wait for an answer that there is one, when all that has arrived with it has been looked at: a small answer
// is complete by then, and needs nobody to watch over the rest of it.
func (c *Conn) ring() {
	for i, k := range c.bells {
		k.ring()
		c.bells[i] = nil
	}
	c.bells = c.bells[:0]
}

// answer makes the Response.
func (s *stream) answer(ctx context.Context, h *responseHead) *Response {
	if h.length >= 0 {
		withLength(h.header, h.length)
	}
	both := &struct {
		Response
		answerBody
	}{answerBody: answerBody{s: s}}
	r, b := &both.Response, &both.answerBody
	*r = Response{Status: h.status, Header: h.header, ContentLength: h.length, Body: b, Trailer: s.in.trailers}
	if h.upgrade != "" {
		withUpgrade(h.header, h.upgrade)
		r.Body = &duplex{b}
	} else if s.call.upgrade != "" {
		s.end(nil) // it was kept open for what has not come about
	}
	if !s.in.complete() {
		b.stop = context.AfterFunc(ctx, func() { s.abort(codeCancel, context.Cause(ctx)) })
	} else if h.ends && h.length < 0 && !s.call.isHead {
		r.ContentLength = 0
	}
	return r
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
