package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

var (
	errStale  = errors.New("a kept connection was gone")
	errBody   = errors.New("the request's body could not be read")
	errAnswer = errors.New("the application's answer can be read in more than one way")
	errEarly  = errors.New("the application changed to a protocol that nobody asked for")
)

// ServeHTTP forwards one request.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, known := o.config.Visitor(r.Context())
	if !known || !v.Client.IsValid() {
		o.fail(w, r, v, errNobody)
		return
	}
	if err := o.forward(w, r, v); err != nil {
		o.fail(w, r, v, err)
	}
}

// forward returns an error only while nothing was answered yet; later failures cut the answer short by a panic, which net/http and
// the link know, so that half an answer does not pass for a whole one.
func (o *Origin) forward(w http.ResponseWriter, r *http.Request, v Visitor) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	f := frame(r)
	head, err := o.appendHead((*buffer)[:0], r, v, f)
	if err != nil {
		return err
	}
	if err := o.pool.enter(r.Context()); err != nil {
		return err
	}
	defer o.pool.leave()
	err = o.attempt(w, r, f, head, false)
	if errors.Is(err, errStale) && f.length == 0 && safe(r.Method) && r.Context().Err() == nil {
		err = o.attempt(w, r, f, head, true)
	}
	return err
}

// safe methods may be sent again (RFC 9110 section 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// An exchange is one request and its answer on one connection.
type exchange struct {
	o    *Origin
	c    *conn
	w    http.ResponseWriter
	r    *http.Request
	sent chan struct{} // closed when the sending of the body has ended; nil if there is none

	mu       sync.Mutex
	answered bool  // the answer's head is here
	sending  error // how the sending ended
}

func (o *Origin) attempt(w http.ResponseWriter, r *http.Request, f framing, head []byte, fresh bool) (err error) {
	c, err := o.pool.get(r.Context(), fresh)
	if err != nil {
		return err
	}
	x := &exchange{o: o, c: c, w: w, r: r}
	stop := context.AfterFunc(r.Context(), func() { c.Close() }) // the client went away: nothing more is waited for
	keep := time.Duration(0)
	defer func() { // also when the answer is cut short
		alone := stop()
		if keep > 0 && alone {
			o.pool.put(c, keep)
		} else {
			c.Close()
		}
		x.quit()
	}()
	answer, err := x.ask(head, f)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return x.switchProtocols(answer, f)
	}
	keep = x.reply(answer)
	return nil
}

// ask sends the request and waits for the head of the answer.
func (x *exchange) ask(head []byte, f framing) (*http.Response, error) {
	x.c.SetWriteDeadline(time.Now().Add(x.o.config.Idle))
	if _, err := x.c.Write(head); err != nil {
		return nil, x.why(err, true)
	}
	if f.length == 0 {
		x.c.SetReadDeadline(time.Now().Add(x.o.config.Response))
	} else {
		x.c.SetReadDeadline(time.Time{}) // until the body is sent: an upload may take long
		x.sent = make(chan struct{})
		go x.send(f)
	}
	x.c.head = MaxHead
	if _, err := x.c.r.Peek(1); err != nil {
		return nil, x.why(err, true)
	}
	for range MaxInformed + 1 {
		answer, err := http.ReadResponse(x.c.r, x.r)
		if err != nil {
			return nil, x.why(err, false)
		}
		if answer.StatusCode < 100 || answer.ProtoMajor != 1 || !sound(answer.Header) || !sound(answer.Trailer) {
			return nil, errAnswer
		}
		if answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols {
			x.mu.Lock()
			x.answered = true
			x.mu.Unlock()
			x.c.head = -1
			return answer, nil
		}
		x.inform(answer)
	}
	return nil, errors.New("the application answers in the interim without end")
}

// why says what a failed reading or writing means. Untouched: nothing of an answer has come.
func (x *exchange) why(err error, untouched bool) error {
	if x.r.Context().Err() != nil {
		return x.r.Context().Err()
	}
	x.mu.Lock()
	sending := x.sending
	x.mu.Unlock()
	if errors.Is(sending, errBody) {
		return sending
	}
	if untouched && x.c.reused && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return fmt.Errorf("reading the application's answer: %w", plain(err))
}

// plain keeps what the application said out of errors, and so out of logs: net/http quotes the line that it cannot read.
func plain(err error) error {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errHead) {
		return err
	}
	return errAnswer
}

// inform passes an interim answer on (RFC 9110 section 15.2). 100 is the edge's to say, when it reads the body.
func (x *exchange) inform(answer *http.Response) {
	if answer.StatusCode == http.StatusContinue {
		return
	}
	h := x.w.Header()
	copyHeader(h, answer.Header)
	x.w.WriteHeader(answer.StatusCode)
	clear(h)
}

// send sends the request's body, in a goroutine of its own, because an application may answer before it has read it.
func (x *exchange) send(f framing) {
	defer close(x.sent)
	err := x.copyBody(f)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sending = err
	switch {
	case errors.Is(err, errBody):
		x.c.Close() // the application must not take a part for the whole, nor wait for the rest
	case !x.answered: // also after a failure: it may have answered without reading
		x.c.SetReadDeadline(time.Now().Add(x.o.config.Response))
	}
}

func (x *exchange) copyBody(f framing) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	const room = 8 // for a chunk's size, before it
	p := *buffer
	left := f.length
	for left != 0 {
		part := p[room : len(p)-2]
		if left > 0 {
			part = part[:min(int64(len(part)), left)]
		}
		n, err := x.r.Body.Read(part)
		if n > 0 {
			out := part[:n]
			if left > 0 {
				left -= int64(n)
			} else {
				out = chunk(p, room, n)
			}
			x.c.SetWriteDeadline(time.Now().Add(x.o.config.Idle))
			if _, err := x.c.Write(out); err != nil {
				return fmt.Errorf("sending the request's body: %w", err)
			}
		}
		if err == io.EOF && left <= 0 {
			break
		}
		if err != nil && left != 0 {
			return fmt.Errorf("%w: %w", errBody, err)
		}
	}
	if f.length > 0 {
		return nil
	}
	_, err := x.c.Write(x.lastChunk(p[:0]))
	return err
}

// chunk frames p[room:room+n] within p (RFC 9112 section 7.1), so that it is written at once.
func chunk(p []byte, room, n int) []byte {
	var digits [8]byte
	size := append(strconv.AppendInt(digits[:0], int64(n), 16), "\r\n"...)
	from := room - len(size)
	copy(p[from:], size)
	copy(p[room+n:], "\r\n")
	return p[from : room+n+2]
}

// lastChunk ends a body in chunks, with the trailers that came after it.
func (x *exchange) lastChunk(b []byte) []byte {
	b = append(b, "0\r\n"...)
	for name, values := range x.r.Trailer {
		for _, value := range values {
			if token(name) && text(value) && !drops(name, nil) {
				b = line(b, name, value)
			}
		}
	}
	return append(b, "\r\n"...)
}

// quit ends the sending of a body that nobody waits for any more. The connection is closed already; what may still wait for the
// client is woken, where the server can do that.
func (x *exchange) quit() {
	if x.sent == nil {
		return
	}
	if http.NewResponseController(x.w).SetReadDeadline(time.Unix(1, 0)) == nil {
		<-x.sent
	}
}

// settle gives an application that has answered a moment to take the rest of the body.
func (x *exchange) settle() {
	if x.sent == nil {
		return
	}
	wait := time.NewTimer(lastWords)
	defer wait.Stop()
	select {
	case <-x.sent:
	case <-wait.C:
	}
}
