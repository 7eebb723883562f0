package link

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// upload sends the request's body until the client, the application or its declared length ends it.
func (s *stream) upload(r *Request) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	for left := r.ContentLength; ; {
		s.call.client.Store(true)
		n, err := r.Body.Read(buf[:])
		s.call.client.Store(false)
		s.call.moved.Store(int64(time.Since(s.c.began)))
		if left >= 0 {
			if left -= int64(n); left < 0 {
				s.abort(codeCancel, errors.New("the request's body is longer than it said"))
				return
			}
		}
		if _, werr := s.write(buf[:n]); werr != nil {
			return
		}
		s.call.moved.Store(int64(time.Since(s.c.began)))
		switch {
		case err == io.EOF && left > 0:
			s.abort(codeCancel, fmt.Errorf("reading the request's body: %w", io.ErrUnexpectedEOF))
			return
		case err == io.EOF || left == 0:
			s.uploaded(r)
			return
		case err != nil:
			s.abort(codeCancel, fmt.Errorf("reading the request's body: %w", err))
			return
		}
	}
}

func (s *stream) uploaded(r *Request) {
	var trailer http.Header
	if r.Trailer != nil {
		trailer = r.Trailer()
	}
	if err := s.end(trailer); errors.Is(err, errTooLarge) {
		s.abort(codeCancel, fmt.Errorf("writing the request's trailers: %w", err))
	}
}

const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// An answerBody is what Response.Body is.
type answerBody struct {
	s    *stream
	stop func() bool
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.s.read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

// WriteTo writes pieces as they came, without a buffer between.
func (b *answerBody) WriteTo(w io.Writer) (n int64, err error) {
	defer b.release()
	for {
		wrote, err := b.s.writeTo(w)
		n += wrote
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (b *answerBody) release() {
	if b.stop != nil {
		b.stop()
	}
}

// Close gives up what has not come yet, and what of the request has not gone.
func (b *answerBody) Close() error {
	b.release()
	b.s.abort(codeCancel, errClosed)
	return nil
}

// A duplex is the body after 101: both directions of what was upgraded.
type duplex struct{ *answerBody }

func (d *duplex) Write(p []byte) (int, error) { return d.s.write(p) }
func (d *duplex) CloseWrite() error           { return d.s.end(nil) }

func (d *duplex) SetReadDeadline(t time.Time) error {
	d.s.in.deadline(t)
	return nil
}

func (d *duplex) SetWriteDeadline(t time.Time) error {
	d.s.writeDeadline(t)
	return nil
}

// A requestBody is a request's body as its handler sees it.
type requestBody struct {
	s    *stream
	r    *http.Request
	asks bool // the client waits to be told that its body is wanted

	mu   sync.Mutex
	done bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	if err := b.wanted(); err != nil {
		return 0, err
	}
	n, err := b.s.read(p)
	if err == io.EOF {
		b.trailers()
	}
	return n, err
}

// wanted tells a client that waits that its body is wanted, RFC 9110 section 10.1.1.
func (b *requestBody) wanted() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return http.ErrBodyReadAfterClose
	}
	if !b.asks {
		return nil
	}
	b.asks = false
	return b.s.sendInform(append(appendAnswer(nil, http.StatusContinue, "", -1, false), 0, 0))
}

// WriteTo writes pieces as they came, without a buffer between.
func (b *requestBody) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if err := b.wanted(); err != nil {
			return n, err
		}
		wrote, err := b.s.writeTo(w)
		n += wrote
		if err == io.EOF {
			b.trailers()
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (b *requestBody) trailers() {
	t := b.s.in.trailers()
	if len(t) == 0 {
		return
	}
	if b.r.Trailer == nil {
		b.r.Trailer = http.Header{}
	}
	for name, values := range t {
		b.r.Trailer[name] = values
	}
}

// Close implements io.Closer.
func (b *requestBody) Close() error {
	b.retire()
	return nil
}

func (b *requestBody) retire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
}
