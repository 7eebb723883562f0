package perimeter

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// A link is one live connection from a connector, on which requests travel inwards. It is the seam at which another link
// protocol goes in; *http.ClientConn, over an inverted HTTP/2 connection, is the one that there is.
type link interface {
	Reserve() error // takes a place for one RoundTrip, or fails because the link is draining, dead or full
	Release()       // gives an unused place back
	RoundTrip(*http.Request) (*http.Response, error)
	InFlight() int // includes reserved places
	Err() error    // not nil once the link is dead
	Close() error
}

var (
	errNoLink   = errors.New("no connector is linked")
	errLinkBusy = errors.New("every link is at its limit")
)

// A pool chooses among the live links. It is an http.RoundTripper.
type pool struct {
	maxInFlight int
	sign        func(r *http.Request, id, client string) (string, error)

	mu    sync.Mutex
	links []link
	turn  int // where the next search begins, so that links with equal load take turns
}

// add takes up a link, unless there are too many.
func (p *pool) add(l link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.links) >= MaxLinks {
		return false
	}
	p.links = append(p.links, l)
	return true
}

func (p *pool) remove(l link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(p.links, func(x link) bool { return x == l })
}

func (p *pool) closeAll() {
	p.mu.Lock()
	links := slices.Clone(p.links)
	p.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// pick reserves a place on the link with the fewest requests in flight (SYSTEM P6). A link that drains refuses by itself.
func (p *pool) pick(not link) (link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	order := make([]link, 0, len(p.links))
	for i := range p.links {
		if l := p.links[(p.turn+i)%len(p.links)]; l != not && l.Err() == nil {
			order = append(order, l)
		}
	}
	slices.SortStableFunc(order, func(a, b link) int { return a.InFlight() - b.InFlight() })
	err := errNoLink
	for _, l := range order {
		if l.InFlight() >= p.maxInFlight {
			err = errLinkBusy
			continue
		}
		if l.Reserve() == nil {
			return l, nil
		}
	}
	return nil, err
}

// RoundTrip sends r down a link. If that link fails before it answers, r goes down another one, once, provided that nothing of
// it was sent or that it is a GET or HEAD without a body: then a second try cannot do anything twice (RFC 9110 section 9.2.2).
func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	var failed link
	for attempt := 1; ; attempt++ {
		l, err := p.pick(failed)
		if err != nil {
			return nil, err
		}
		resp, sent, err := p.try(l, r, attempt)
		if err == nil || attempt == 2 || !repeatable(r, sent, err) {
			return resp, err
		}
		failed = l
	}
}

// repeatable reports whether r, having failed with err, may be tried again. Neither a client that has gone away nor an
// application that takes too long is a link's failure.
func repeatable(r *http.Request, sent bool, err error) bool {
	var timeout net.Error
	if r.Context().Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	return !sent || r.Body == nil && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// try sends r down l, and reports whether anything of it may have been sent. Each attempt has an assertion of its own, because
// the application takes none twice.
func (p *pool) try(l link, r *http.Request, attempt int) (_ *http.Response, sent bool, err error) {
	v := visitOf(r)
	id := v.id
	if attempt > 1 {
		id += "-" + strconv.Itoa(attempt)
	}
	assertion, err := p.sign(r, id, v.client)
	if err != nil {
		l.Release()
		return nil, true, err // not worth a second try
	}
	var wrote atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) }, // called before the bytes leave
	})
	out := r.WithContext(ctx)
	out.Header = r.Header.Clone()
	out.Header.Set(AssertionHeader, assertion)
	resp, err := l.RoundTrip(out)
	return resp, wrote.Load(), err
}

// inviteHTTP2 makes a link of an accepted connection: the edge is the HTTP/2 client on it, although it did not dial.
func inviteHTTP2(ctx context.Context, conn net.Conn, times timeouts) (*http.ClientConn, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // TLS is already below, ended by the edge itself
	t := &http.Transport{
		Protocols:             &protocols,
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableCompression:    true,
		ResponseHeaderTimeout: times.response,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:               times.ping,
			PingTimeout:                   times.pong,
			WriteByteTimeout:              times.progress,
			MaxReceiveBufferPerStream:     1 << 20,
			MaxReceiveBufferPerConnection: 4<<20 - 1,
		},
	}
	return t.NewClientConn(ctx, "http", "application:80")
}
