package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// What the head of a request may be (SYSTEM T6). The edge has its own limits; these do not rely on them.
const (
	maxURL         = 8 << 10
	maxParameters  = 100
	maxHeaders     = 100
	maxHeaderBytes = 64 << 10
)

// outOfBounds refuses what is too much, or makes no sense, before anything is made of it.
func outOfBounds(r *http.Request, b Bounds) *layer.Refusal {
	fields, bytes := headerSize(r.Header)
	switch {
	case !isKnown(r.Method):
		return refusal(layer.Unsupported, "This method is not supported.", errors.New("unknown method"))
	case len(r.RequestURI) > maxURL || len(r.URL.Path)+len(r.URL.RawQuery) >= maxURL:
		return refusal(layer.Malformed, "The address is too long.", fmt.Errorf("an address of over %d bytes", maxURL))
	case strings.Count(r.URL.RawQuery, "&") >= maxParameters:
		return refusal(layer.Malformed, "The address has too many parameters.", fmt.Errorf("over %d parameters", maxParameters))
	case fields > maxHeaders || bytes > maxHeaderBytes:
		return refusal(layer.Malformed, "The request has too many header fields.", fmt.Errorf("%d header fields, %d bytes", fields, bytes))
	case hasBody(r) && isBodiless(r.Method):
		return refusal(layer.Malformed, "This method takes no body.", errors.New("a body where none belongs"))
	case r.ContentLength > b.MaxBody:
		return tooLarge(&http.MaxBytesError{Limit: b.MaxBody})
	}
	return nil
}

func isKnown(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false // TRACE would show a script its own cookies, CONNECT is for proxies
}

// isBodiless names the methods whose body has no meaning, so that two parsers may disagree whether it is there (RFC 9110 §9.3.1,
// §9.3.2, §9.3.5, §9.3.7).
func isBodiless(method string) bool { return isSafe(method) || method == http.MethodDelete }

func headerSize(h http.Header) (fields, bytes int) {
	for key, values := range h {
		fields += len(values)
		for _, v := range values {
			bytes += len(key) + len(v)
		}
	}
	return fields, bytes
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

func tooLarge(cause error) *layer.Refusal {
	return refusal(layer.TooLarge, "The request is too large.", cause)
}

// A body reads the request's body within Bounds. Its errors are refusals, so a caller need only pass them on.
type body struct {
	g    *guard
	src  io.ReadCloser
	err  error // what ended it; every later Read repeats it
	slow bool  // the connection has no deadlines of its own
}

func newBody(g *guard) *body {
	b := &body{g: g, src: http.MaxBytesReader(g.raw, g.r.Body, g.bounds.MaxBody)}
	b.slow = errors.Is(b.extend(), http.ErrNotSupported)
	return b
}

// limit is when the client must have sent its next byte: BodyTimeout from now, but not after the end of the whole, or a byte now
// and then would hold a handler for ever.
func (b *body) limit() time.Time {
	return earliest(time.Now().Add(b.g.bounds.BodyTimeout), b.g.end, b.g.readBy)
}

// pending reports whether the client may still owe some of its body.
func (b *body) pending() bool { return b != nil && b.err == nil }

func (b *body) extend() error {
	if !b.pending() {
		return nil
	}
	return b.g.ctl.SetReadDeadline(b.limit())
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.slow {
		n, err = b.readApart(p)
	} else {
		b.extend()
		n, err = b.src.Read(p)
	}
	if err != nil {
		b.ended(err)
	}
	return n, b.err
}

// ended keeps err, as a refusal unless it is the honest end. Then the deadline goes too: net/http goes on reading, to notice a
// client that leaves, and would take its passing for that.
func (b *body) ended(err error) {
	var large *http.MaxBytesError
	switch {
	case err == io.EOF:
		b.err = err
		_ = b.g.ctl.SetReadDeadline(time.Time{})
	case errors.As(err, &large):
		b.err = tooLarge(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = refusal(layer.Malformed, "The request came too slowly.", err)
	default:
		b.err = refusal(layer.Malformed, "The request could not be read.", err)
	}
}

// readApart reads beside the handler, for connections without deadlines. If the client stalls, the handler goes on and the
// reader waits until the connection's owner closes the body, as it must when the handler returns.
func (b *body) readApart(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	own := make([]byte, min(len(p), 32<<10)) // p is the caller's again after a timeout
	done := make(chan result, 1)
	go func() {
		n, err := b.src.Read(own)
		done <- result{n, err}
	}()
	stall := time.NewTimer(time.Until(b.limit()))
	defer stall.Stop()
	select {
	case got := <-done:
		return copy(p, own[:got.n]), got.err
	case <-stall.C:
		return 0, os.ErrDeadlineExceeded
	}
}

// Close implements io.Closer. It does not close what a stalled reader still holds, which would wait for it.
func (b *body) Close() error {
	if b.slow && errors.Is(b.err, os.ErrDeadlineExceeded) {
		return nil
	}
	return b.src.Close()
}
