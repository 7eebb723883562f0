package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/redoubt-dev/redoubt/layer"
)

var errLong = errors.New("longer than is taken")

// receive reads r's body, of at most most bytes, until r's context ends.
func receive(r *http.Request, most int64) ([]byte, error) {
	if bodiless(r) {
		return nil, nil
	}
	if r.ContentLength > most {
		return nil, errLong
	}
	return readUpTo(patiently(r), r.ContentLength, most)
}

func bodiless(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
}

// readUpTo believes the declared length only up to a few pages of memory: a declaration costs the client nothing.
func readUpTo(body io.Reader, declared, most int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(declared, 0), 16<<10)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(body, most+1))
	if err == nil && n > most {
		err = errLong
	}
	return b.Bytes(), err
}

// patiently is r's body, which is waited for until r's context ends and no longer.
func patiently(r *http.Request) io.Reader {
	if r.Context().Done() == nil {
		return r.Body
	}
	return &patient{r.Context(), r.Body, nil}
}

// A patient reader does not wait for a client that sends nothing. The one read that it leaves behind then ends with the connection,
// by the server's read deadline, and has the body and a buffer for itself. While nobody reads, nothing waits.
type patient struct {
	ctx  context.Context
	body io.Reader
	buf  []byte
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	if most := min(len(b), 32<<10); len(p.buf) < most {
		p.buf = make([]byte, most)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func(body io.Reader, buf []byte) {
		n, err := body.Read(buf)
		done <- result{n, err}
	}(p.body, p.buf[:min(len(b), len(p.buf))])
	select {
	case got := <-done:
		return copy(b, p.buf[:got.n]), got.err
	case <-p.ctx.Done():
		p.buf = nil
		return 0, p.ctx.Err()
	}
}

// unreceived says why a body did not arrive.
func unreceived(err error) error {
	var capped *http.MaxBytesError // a ring further out has a smaller limit
	switch {
	case err == errLong || errors.As(err, &capped):
		return refusal(layer.TooLarge, "The body is too large.", nil)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return refusal(layer.Malformed, "The body did not arrive in time.", fmt.Errorf("receiving the body: %w", err))
	}
	return refusal(layer.Malformed, "The body did not arrive whole.", fmt.Errorf("receiving the body: %w", err))
}
