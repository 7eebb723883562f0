package edge

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
)

// Places are for public connections: so many at once, so many of one address, and so many more whose handshake is not over. Where there
// is none left, the connection that has idled longest goes, so that whoever only holds connections locks nobody out (SYSTEM P6). A
// connection idles while none of its requests is being handled; a head that drips in is idling.
type places struct {
	public, greeted crowded
	perAddress      int

	mu sync.Mutex
	of map[netip.Prefix]*crowdedBy
}

// crowded are the connections of one kind.
type crowded struct {
	limit int
	count int
	idle  *list.List // of *place, the one that has idled longest first
}

// crowdedBy are those of one address.
type crowdedBy struct {
	count int
	idle  *list.List
}

// A place is one connection's.
type place struct {
	all  *places
	conn net.Conn
	from netip.Prefix

	in      *crowded // where it is counted; nil once it has left
	busy    int      // requests under way
	byAge   *list.Element
	byOwner *list.Element
}

func newPlaces(limit, perAddress int) *places {
	return &places{
		public: crowded{limit: limit, idle: list.New()}, greeted: crowded{limit: MaxHandshakes, idle: list.New()},
		perAddress: perAddress, of: map[netip.Prefix]*crowdedBy{},
	}
}

// owner is whom an address counts for: in IPv6 whoever has one address has a whole /64 of them.
func owner(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all of them together
	}
	return p
}

// greet takes a place for a connection whose handshake begins, or returns nil: its address has too many, none of which idles.
func (p *places) greet(conn net.Conn) *place {
	x := &place{all: p, conn: conn, from: owner(clientIP(conn.RemoteAddr().String()))}
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.of[x.from]
	if own == nil {
		own = &crowdedBy{idle: list.New()}
		p.of[x.from] = own
	}
	if own.count >= p.perAddress && !p.evict(own.idle) || p.greeted.count >= p.greeted.limit && !p.evict(p.greeted.idle) {
		return nil
	}
	p.of[x.from] = own // it may have left with the last of its connections
	own.count++
	x.enterCrowd(&p.greeted)
	return x
}

// welcome moves a place to the public's, when the handshake is over. It fails if every public connection is busy.
func (x *place) welcome() bool {
	p := x.all
	p.mu.Lock()
	defer p.mu.Unlock()
	if x.in == nil || p.public.count >= p.public.limit && !p.evict(p.public.idle) {
		return false
	}
	x.leaveCrowd()
	x.enterCrowd(&p.public)
	return true
}

// evict closes whoever has idled longest. The lock is held.
func (p *places) evict(idle *list.List) bool {
	oldest := idle.Front()
	if oldest == nil {
		return false
	}
	x := oldest.Value.(*place)
	x.vanish()
	x.conn.Close() // the socket itself: nothing is written, nobody is waited for
	return true
}

func (x *place) enterCrowd(c *crowded) {
	x.in = c
	c.count++
	x.rest()
}

func (x *place) leaveCrowd() {
	x.rise()
	x.in.count--
}

func (x *place) rest() {
	x.byAge = x.in.idle.PushBack(x)
	x.byOwner = x.all.of[x.from].idle.PushBack(x)
}

func (x *place) rise() {
	if x.byAge != nil {
		x.in.idle.Remove(x.byAge)
		x.all.of[x.from].idle.Remove(x.byOwner)
		x.byAge, x.byOwner = nil, nil
	}
}

// vanish gives the place back. The lock is held.
func (x *place) vanish() {
	if x.in == nil {
		return
	}
	x.leaveCrowd()
	x.in = nil
	own := x.all.of[x.from]
	if own.count--; own.count == 0 {
		delete(x.all.of, x.from)
	}
}

// leave gives the place back, once.
func (x *place) gone() {
	x.all.mu.Lock()
	defer x.all.mu.Unlock()
	x.vanish()
}

// enter and leave say that one of the connection's requests is being handled, and that it has been.
func (x *place) enter() {
	x.all.mu.Lock()
	defer x.all.mu.Unlock()
	if x.busy++; x.in != nil {
		x.rise()
	}
}

func (x *place) leave() {
	x.all.mu.Lock()
	defer x.all.mu.Unlock()
	if x.busy--; x.busy == 0 && x.in != nil {
		x.rest()
	}
}

// counts are for the metrics: connections that greet, that are public, and of those the idle ones.
func (p *places) counts() (greeting, public, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.greeted.count, p.public.count, p.public.idle.Len()
}

// A caller is the connection that a request came on.
type caller struct {
	place *place
	guard *guard // of HTTP/1
}

type callerKey struct{}

// callerOf is nil for a request that came over another server's connection, such as HTTP/3's.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// withCaller is the http.Server's ConnContext.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	c := &caller{}
	if g, ok := conn.(*guard); ok {
		c.guard, conn = g, g.Conn
	}
	c.place = beneath(conn).place
	return context.WithValue(ctx, callerKey{}, c)
}

// beneath looks through TLS and the link's cork.
func beneath(conn net.Conn) *steadyConn {
	for {
		switch x := conn.(type) {
		case *steadyConn:
			return x
		case interface{ NetConn() net.Conn }:
			conn = x.NetConn()
		default:
			panic("a public connection that was not greeted")
		}
	}
}
