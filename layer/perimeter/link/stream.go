package link

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

var (
	errReset    = errors.New("the other end gave the stream up")
	errDone     = errors.New("the rest of the request is not wanted")
	errAnswered = errors.New("the answer has begun without the request's body being asked for")
	errTooMany  = errors.New("no more informational answers can be sent")
	errClosed   = errors.New("the stream is closed")
)

// A stream is one request and its answer, at either end.
type stream struct {
	c     *Conn
	id    uint32
	token *token
	in    inbox

	writing sync.Mutex // one write at a time

	// The reader's alone.
	want  int64 // bytes of body that are still to come; -1: unknown
	begun bool  // edge: the answer's head is here

	// The rest is guarded by c.mu.
	pend     []byte // what a writer waits for the writer goroutine to take
	credit   int64  // what may still be sent
	queued   bool   // stands in the queue
	next     *stream
	taken    sync.Cond // something was taken of pend, or never will be
	sentEnd  bool
	informs  int  // application: 1xx that were sent
	answered bool // application: the answer's head was sent
	recvEnd  bool
	gone     bool // not among the link's streams any more
	sendErr  error
	late     bool
	clock    *time.Timer

	call   *call   // edge: who waits for the answer
	served *served // application: what runs
}

func (s *stream) init(c *Conn, id uint32, t *token) {
	s.c, s.id, s.token, s.credit = c, id, t, InitialWindow
	s.taken.L = &c.mu
	s.in.init(c.config.Budget)
}

// write sends p, and returns as soon as all of it has been taken over. What is small is copied; what is large waits until the
// writer goroutine takes it from where it is, its turn among the streams and its credit permitting.
func (s *stream) write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead(len(p)) && s.credit >= int64(len(p)) && s.unsendable() == nil {
		if len(p) > 0 {
			c.out = appendFrame(c.out, frameData, s.id, p)
			s.credit -= int64(len(p))
			c.kick()
		}
		return len(p), nil
	}
	s.pend = p
	c.enqueue(s)
	for len(s.pend) > 0 && s.unsendable() == nil {
		s.taken.Wait()
	}
	n := len(p) - len(s.pend)
	s.pend = nil
	if n == len(p) {
		return n, nil
	}
	return n, s.unsendable()
}

// unsendable is why nothing can be sent, or nil. c.mu is held.
func (s *stream) unsendable() error {
	switch {
	case s.sendErr != nil:
		return s.sendErr
	case s.sentEnd || s.gone:
		return errClosed
	case s.late:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// end says that no more DATA comes.
func (s *stream) end(trailer http.Header) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.endNow(trailer)
}

// close ends both directions: what was written still arrives, unless somebody is writing at this moment and cannot get on.
func (s *stream) close() {
	if !s.writing.TryLock() {
		s.abort(codeCancel, errClosed)
		return
	}
	defer s.writing.Unlock()
	s.endNow(nil)
	s.abandon()
}

func (s *stream) endNow(trailer http.Header) error {
	block, err := appendTrailers(trailer)
	if err != nil {
		return err
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.sentEnd || s.gone || s.sendErr != nil {
		return s.unsendable()
	}
	c.out = appendFrame(c.out, frameEnd, s.id, block)
	s.ends()
	c.kick()
	return nil
}

// sendInform sends a head that is not yet the answer; after the answer there is none.
func (s *stream) sendInform(record []byte) error {
	if len(record) > MaxInform {
		return errTooLarge
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.place(); err != nil {
		return err
	}
	if s.answered {
		return errAnswered
	}
	if s.informs++; s.informs > MaxInforms { // one more would end the link
		return errTooMany
	}
	c.out = c.seal.appendHead(c.out, s.id, 0, &s.token.hash, record)
	c.kick()
	return nil
}

// place waits until there is room for a head. c.mu is held.
func (s *stream) place() error {
	for !s.c.roomy() && s.unsendable() == nil {
		s.c.room.Wait()
	}
	return s.unsendable()
}

// sendAnswer sends the answer's head, and with it what follows if that is little: so much of body, and the end if that is all.
func (s *stream) sendAnswer(record []byte, ends bool, body []byte, last bool, trailer []byte) (n int, ended bool, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.place(); err != nil {
		return 0, false, err
	}
	s.answered = true
	c.out = c.seal.appendHead(c.out, s.id, 0, &s.token.hash, record)
	c.kick()
	if ends {
		s.ends()
		return 0, true, nil
	}
	if len(body) > smallWrite || int64(len(body)) > s.credit {
		return 0, false, nil
	}
	if len(body) > 0 {
		c.out = appendFrame(c.out, frameData, s.id, body)
		s.credit -= int64(len(body))
	}
	if last {
		c.out = appendFrame(c.out, frameEnd, s.id, trailer)
		s.ends()
	}
	return len(body), last, nil
}

// abandon says that what may still come is not wanted, the answer being complete; the edge's counterpart is answerBody.Close.
func (s *stream) abandon() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late += s.in.close(http.ErrBodyReadAfterClose)
	if !s.gone && c.err == nil {
		c.reset(s, codeDone)
	}
}

// ends notes that this end has said all. c.mu is held.
func (s *stream) ends() {
	s.sentEnd = true
	if s.recvEnd {
		s.c.drop(s)
	}
}

// abort gives the stream up with a word to the peer, and everybody who waits on it here gets err.
func (s *stream) abort(k code, err error) {
	c := s.c
	c.mu.Lock()
	if s.gone || c.err != nil {
		c.mu.Unlock()
		s.in.close(err)
		return
	}
	s.sendErr = err
	s.taken.Broadcast()
	c.late += s.in.close(err)
	c.reset(s, k)
	c.mu.Unlock()
	s.wake(err)
}

// fail ends the stream here, because the peer or the link did. c.mu is held.
func (s *stream) fail(err error) {
	if s.sendErr == nil {
		s.sendErr = err
	}
	s.taken.Broadcast()
	s.in.end(err, nil)
	s.c.drop(s)
	s.wake(err)
}

// expects judges a frame of DATA before it is read.
func (s *stream) expects(n int64) error {
	if s.c.edge && !s.begun {
		return broken("data before an answer")
	}
	if s.want < 0 {
		return nil
	}
	if s.want -= n; s.want < 0 {
		return broken("a body longer than it said")
	}
	return nil
}

// complete judges an END; short says what a reader gets for a body that was cut.
func (s *stream) complete() error {
	if s.c.edge && !s.begun {
		return broken("an end before an answer")
	}
	return nil
}

func (s *stream) short() error {
	if s.want > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// wake tells whoever the stream is run by that it is over.
func (s *stream) wake(err error) {
	if s.call != nil {
		s.call.fail(err)
	}
	if s.served != nil {
		s.served.cancel(err)
	}
}

func (s *stream) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, grant, err := s.in.take(p, s.c.roundTrip())
	s.grant(grant)
	return n, err
}

// writeTo writes one piece of what has come, as it came. io.EOF is that of the stream, never w's.
func (s *stream) writeTo(w io.Writer) (int64, error) {
	piece, grant, err := s.in.lift(s.c.roundTrip())
	if err != nil {
		return 0, err
	}
	defer piece.release()
	s.grant(grant)
	n, err := w.Write(piece.buf[piece.r:piece.w])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return int64(n), err
}

func (s *stream) grant(n int64) {
	if n == 0 {
		return
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.gone && !s.recvEnd {
		s.c.out = appendWindow(s.c.out, s.id, n)
		s.c.kick()
	}
}

func (s *stream) writeDeadline(t time.Time) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.clock != nil {
		s.clock.Stop()
		s.clock = nil
	}
	s.late = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !s.late {
		var clock *time.Timer
		clock = time.AfterFunc(time.Until(t), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if s.clock == clock {
				s.late = true
				s.taken.Broadcast()
				c.room.Broadcast()
			}
		})
		s.clock = clock
	}
	s.taken.Broadcast()
}
