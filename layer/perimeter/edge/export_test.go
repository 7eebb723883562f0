package edge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"
)

// What tests of the outside may touch of the inside.
var (
	CheckTarget = checkTarget
	IsClaim     = isClaim
	Quote       = quote
)

// Times are the limits in time that a test shortens; zero leaves one as it is.
type Times struct {
	Handshake, Header, Idle, Progress, Silence, Response, Drain, Ping, Patience, Recent, Recheck time.Duration
}

func (t Times) apply() timeouts {
	d := defaultTimeouts
	for _, x := range []struct {
		to   *time.Duration
		from time.Duration
	}{
		{&d.handshake, t.Handshake}, {&d.header, t.Header}, {&d.idle, t.Idle}, {&d.progress, t.Progress}, {&d.silence, t.Silence}, {&d.response, t.Response},
		{&d.drain, t.Drain}, {&d.ping, t.Ping}, {&d.pong, t.Ping}, {&d.patience, t.Patience}, {&d.recent, t.Recent}, {&d.recheck, t.Recheck},
	} {
		if x.from != 0 {
			*x.to = x.from
		}
	}
	return d
}

// NewIn is New with other limits in time.
func NewIn(c Config, t Times) (*Edge, error) { return newEdge(c, t.apply()) }

// Judge runs a guard over b and reports how many bytes pass and why the rest does not.
func Judge(b []byte) (good int, reason string, betweenRequests bool) {
	g := &guard{refused: func(r string) { reason = r }}
	good = g.follow(b)
	return good, reason, g.state == inRequestLine && len(g.line) == 0
}

// Between follows a server's frames and reports whether the bytes end between two of them.
func Between(pieces ...[]byte) bool {
	var f frames
	for _, p := range pieces {
		f.follow(p)
	}
	return f.between()
}

// Trailers are those that may be passed on.
func Trailers(h http.Header) http.Header { return trailers(h) }

// Places reports what the edge's connections do.
func (e *Edge) Places() (greeting, public, idle int) { return e.places.counts() }

// Greet takes places for connections whose handshake never ends, and returns how many of them are left.
func Greet(conns []net.Conn, limit, perAddress int) (left int) {
	p := newPlaces(limit, perAddress)
	for _, c := range conns {
		p.greet(c)
	}
	left, _, _ = p.counts()
	return left
}

// WaitForLink is many requests that wait for a link that does not come; it returns how many were told so at once.
func WaitForLink(ctx context.Context, n int) (atOnce int) {
	p := newPool("test", 1, timeouts{patience: time.Minute, recent: time.Minute})
	told := make(chan bool, n)
	for range n {
		go func() {
			_, err := p.take(ctx, nil)
			told <- err == errNoLink
		}()
	}
	for range n {
		if <-told {
			atOnce++
		}
	}
	return atOnce
}

// Limited is how many addresses are remembered after so many have come.
func Limited(n int) int {
	r := newRates(Rate{PerSecond: 1})
	for i := range n {
		r.check(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), http.Header{})
	}
	return len(r.of)
}

// Attempts reads a body of the given size by a first attempt, up to the given number of bytes, and then by a second one, to its end.
func Attempts(size, first int) (second int64, repeatable bool, err error) {
	r := httptest.NewRequest("POST", "/", io.LimitReader(neverEmpty{}, int64(size)))
	u := newUpload(httptest.NewRecorder(), r, -1, time.Minute)
	one := u.again()
	io.CopyN(io.Discard, one, int64(first))
	repeatable = !u.lost.Load()
	two := u.again()
	second, err = io.Copy(io.Discard, two)
	if n, e := one.Read(make([]byte, 1)); n != 0 || e == nil {
		panic("the first attempt reads on")
	}
	return second, repeatable, err
}

type neverEmpty struct{}

func (neverEmpty) Read(p []byte) (int, error) { return len(p), nil }

// NewCrowd limits a listener's connections.
func NewCrowd(l net.Listener, limit int) net.Listener { return newCrowd(l, limit) }
