package link

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Hijack implements http.Hijacker for requests that ask for an upgrade, and only for them: other requests have no connection of
// their own that could be taken. Both ways to answer are known: WriteHeader(101) before, or the text of an HTTP/1.1 answer
// written to what Hijack returns.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.done:
		return nil, nil, errFinished
	case w.taken:
		return nil, nil, http.ErrHijacked
	case w.upgrade == "":
		return nil, nil, fmt.Errorf("taking over the connection: no upgrade was asked for: %w", http.ErrNotSupported)
	case w.status != 0 && w.status != http.StatusSwitchingProtocols:
		return nil, nil, errors.New("taking over the connection: it was answered already")
	case w.failed != nil:
		return nil, nil, w.failed
	}
	w.taken = true
	w.s.c.took(w.s)
	h := &hijacked{s: w.s, w: w, answered: w.status != 0}
	return h, bufio.NewReadWriter(bufio.NewReader(h), bufio.NewWriter(h)), nil
}

// A hijacked stream is a net.Conn. Until it is answered, what is written is the text of that answer.
type hijacked struct {
	s        *stream
	w        *response
	answered bool
	text     []byte
}

func (h *hijacked) Read(p []byte) (int, error) { return h.s.read(p) }

// Write implements net.Conn. Before the answer is complete it is for one goroutine, as any HTTP/1.1 answer is.
func (h *hijacked) Write(p []byte) (int, error) {
	if h.answered {
		return h.s.write(p)
	}
	h.text = append(h.text, p...)
	end := bytes.Index(h.text, []byte("\r\n\r\n"))
	if end < 0 && len(h.text) < MaxHead {
		return len(p), nil
	}
	if err := h.answer(end + 4); err != nil {
		h.s.abort(codeFailed, err)
		return 0, err
	}
	return len(p), nil
}

// answer reads what the handler wrote. Whoever takes over the connection to answer anything but 101 has no need to: nothing
// else is taken from here, so that there is one way to say how long a body is.
func (h *hijacked) answer(end int) error {
	text := h.text
	h.text, h.answered = nil, true
	if end < 4 {
		return errTooLarge
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text[:end])), nil)
	if err != nil {
		return errors.New("answering upgrade: this is no HTTP/1.1 answer")
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("answering upgrade: %d instead of 101", r.StatusCode)
	}
	h.w.mu.Lock()
	err = h.w.switchTo(r.Header)
	h.w.mu.Unlock()
	if err == nil && end < len(text) {
		_, err = h.s.write(text[end:])
	}
	return err
}

// CloseWrite ends what is sent; what comes can still be read.
func (h *hijacked) CloseWrite() error { return h.s.end(nil) }

// Close ends both directions. What was written before still arrives.
func (h *hijacked) Close() error {
	if !h.answered {
		h.s.abort(codeFailed, errClosed)
		return nil
	}
	h.s.close()
	return nil
}

func (h *hijacked) LocalAddr() net.Addr  { return h.s.c.conn.LocalAddr() }
func (h *hijacked) RemoteAddr() net.Addr { return client{&h.s.served.head} }

func (h *hijacked) SetDeadline(t time.Time) error {
	h.s.in.deadline(t)
	h.s.writeDeadline(t)
	return nil
}

func (h *hijacked) SetReadDeadline(t time.Time) error {
	h.s.in.deadline(t)
	return nil
}

func (h *hijacked) SetWriteDeadline(t time.Time) error {
	h.s.writeDeadline(t)
	return nil
}

// A client is the address of a request's client.
type client struct{ head *requestHead }

func (client) Network() string  { return "tcp" }
func (c client) String() string { return c.head.remote() }
