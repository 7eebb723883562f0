package link

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// request makes the http.Request. It says HTTP/1.1, because that is what handlers, WebSocket libraries and proxies know how to
// upgrade, and because nothing of HTTP/2 can be done with it, such as pushing.
func (s *stream) request(w *response) (*http.Request, error) {
	h := &s.served.head
	u, err := url.ParseRequestURI(h.target)
	if err != nil {
		return nil, errors.New("the target is malformed")
	}
	r := (&http.Request{
		Method: h.method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h.header, Host: h.host,
		RequestURI: h.target, Body: http.NoBody, RemoteAddr: h.remote(),
	}).WithContext(&s.served.ctx)
	w.bodiless, w.upgrade = h.method == http.MethodHead, h.upgrade
	switch {
	case h.upgrade != "":
		withUpgrade(h.header, h.upgrade)
	case !h.ends:
		r.ContentLength = h.length
		if h.length > 0 {
			withLength(h.header, h.length)
		}
		r.Trailer = declared(h.header)
		w.body = &requestBody{s: s, r: r, asks: expects(h.header)}
		delete(h.header, "Expect") // answered when the body is read
		r.Body = w.body
	}
	return r, nil
}

// declared is what the client has said that it will say after the body, as net/http shows it.
func declared(h http.Header) http.Header {
	lines := h["Trailer"]
	if lines == nil {
		return nil
	}
	delete(h, "Trailer")
	t := http.Header{}
	for _, name := range elements(lines) {
		t[name] = nil
	}
	return t
}

// elements are the names in a list of names, RFC 9110 section 5.6.1.
func elements(lines []string) (names []string) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); isName(name) && !reserved[name] && name != "Trailer" {
				names = append(names, name)
			}
		}
	}
	return names
}

// An Arrival is what the link knows of a request that a handler serves: its head was authenticated with the link's key.
type Arrival struct {
	ID     string
	Link   string // Conn.ID
	Token  string // not verified by the link
	Scheme string
	Client netip.Addr
}

// From returns the arrival of the request that ctx belongs to.
func From(ctx context.Context) (Arrival, bool) {
	a, ok := ctx.Value(arrivalKey{}).(*Arrival)
	if !ok {
		return Arrival{}, false
	}
	return *a, true
}

type arrivalKey struct{}

// A reqContext knows two values more than what is below it.
type reqContext struct {
	context.Context
	arrival Arrival
}

// nominal is what a handler finds where net/http would put its server. httputil.ReverseProxy aborts an answer that it cannot
// complete only if there is one; otherwise a truncated answer would end as if it were whole.
var nominal = &http.Server{}

// Value implements context.Context.
func (c *reqContext) Value(key any) any {
	switch key {
	case arrivalKey{}:
		return &c.arrival
	case http.ServerContextKey:
		return nominal
	}
	return c.Context.Value(key)
}
