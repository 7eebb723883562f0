package http3

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// A crowd counts connections, altogether and by where they come from. A connection's address is validated when its handshake is
// complete, so that nobody can fill the places of somebody else.
type crowd struct {
	most, each int
	mu         sync.Mutex
	all        int
	from       map[netip.Prefix]int // no more entries than connections
}

func newCrowd(most, each int) *crowd {
	return &crowd{most: most, each: each, from: map[netip.Prefix]int{}}
}

// enter takes a place, and reports whether there was one; leave gives it back.
func (c *crowd) enter(addr net.Addr) (leave func(), ok bool) {
	from := neighbourhood(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || c.from[from] >= c.each {
		return nil, false
	}
	c.all++
	c.from[from]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.from[from]--; c.from[from] == 0 {
			delete(c.from, from)
		}
	}), true
}

// neighbourhood is what one client can choose its address from: an IPv4 address, or an IPv6 network of 64 bits.
func neighbourhood(addr net.Addr) netip.Prefix {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return netip.Prefix{} // one place for all that cannot be told apart
	}
	ip := udp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// A budget bounds by how much the receive windows of all connections together may grow. A connection that gets nothing of it goes on
// with the window that it has.
type budget struct {
	left  atomic.Int64
	taken sync.Map // of *quic.Conn to *atomic.Int64
}

func newBudget(bytes int64) *budget {
	b := &budget{}
	b.left.Store(bytes)
	return b
}

// open makes a connection one that may grow; what it has taken comes back when it is closed.
func (b *budget) open(c *quic.Conn) (done func()) {
	mine := &atomic.Int64{}
	b.taken.Store(c, mine)
	return func() {
		b.taken.Delete(c)
		b.left.Add(mine.Swap(0))
	}
}

// take is called by the library, which then holds locks of the connection: nothing of it may be asked here.
func (b *budget) take(c *quic.Conn, delta uint64) bool {
	mine, ok := b.taken.Load(c)
	if !ok || delta > greatestWindow {
		return false
	}
	if b.left.Add(-int64(delta)) < 0 {
		b.left.Add(int64(delta))
		return false
	}
	mine.(*atomic.Int64).Add(int64(delta))
	return true
}
