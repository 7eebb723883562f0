package http3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// settle finds out whether a request that does not say how long its body is has one at all. With HTTP/2 the head says so itself; here
// it is the stream's end that does, and who forwards requests must know it: a GET with a body is not retried and is sent on otherwise.
// Other methods are not made to wait, because their client may be waiting for us. It reports whether the stream came to the point
// within the time for heads, which still runs.
func (s *Server) settle(w http.ResponseWriter, r *http.Request) bool {
	defer http.NewResponseController(w).SetReadDeadline(time.Time{})
	if r.ContentLength == 0 {
		r.Body = http.NoBody
	}
	if r.ContentLength >= 0 || !usuallyWithout(r.Method) {
		return true
	}
	first := make([]byte, 1)
	n, err := io.ReadFull(r.Body, first)
	switch {
	case n == 1:
		r.Body = &resumed{io.MultiReader(bytes.NewReader(first), r.Body), r.Body}
		return true
	case errors.Is(err, io.EOF):
		r.Body, r.ContentLength = http.NoBody, 0
		return true
	default:
		return false
	}
}

func usuallyWithout(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	}
	return false
}

// resumed is a body whose first byte has been read already.
type resumed struct {
	io.Reader
	io.Closer
}
