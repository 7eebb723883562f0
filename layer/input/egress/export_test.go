package egress

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Reroute leads from addresses to listeners of a test. It stands where the kernel would: the guard has passed the address by then, and
// the connection's ends are judged as if it led where it was meant to.
func (c *Client) Reroute(route func(netip.AddrPort) (listener string, ok bool)) {
	c.connect = func(ctx context.Context, d *net.Dialer, to netip.AddrPort) (net.Conn, error) {
		network := "tcp6"
		if to.Addr().Is4() {
			network = "tcp4"
		}
		if err := d.ControlContext(ctx, network, to.String(), nil); err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		listener, ok := route(to)
		if !ok {
			return nil, syscall.ECONNREFUSED
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", listener)
		if err != nil {
			return nil, err
		}
		return claimed{conn, to}, nil
	}
}

type claimed struct {
	net.Conn
	to netip.AddrPort
}

func (c claimed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.to) }

// Connect replaces the whole of the connection.
func (c *Client) Connect(with func(ctx context.Context, d *net.Dialer, to netip.AddrPort) (net.Conn, error)) {
	c.connect = with
}

// KnockOut takes judgements away.
func (c *Client) KnockOut(table, guard, end bool) {
	if table {
		c.table = func(netip.Addr) bool { return false }
		c.own.read = func() ([]net.Addr, error) { return nil, nil }
		c.config.Inside = nil // the guard has its own
	}
	if guard {
		c.guard = func(string, string, syscall.RawConn) error { return nil }
	}
	if end {
		c.ends = func(net.Conn, netip.AddrPort) error { return nil }
	}
}

// Hurry shortens every limit in time but the total to d.
func (c *Client) Hurry(total, d time.Duration) {
	c.times = times{total: total, lookup: d, connect: d, handshake: d, firstByte: d}
}

// Own is the machine's own addresses as read gives them.
func Own(read func() ([]net.Addr, error)) func(netip.Addr) bool {
	return (&ownAddresses{read: read}).has
}

// Owns replaces what the machine says of its own addresses.
func (c *Client) Owns(read func() ([]net.Addr, error)) { c.own.read = read }

// Hosts is how many host names hold a place.
func (c *Client) Hosts() int {
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	return len(c.places.hosts) + c.places.taken
}

// Follow is where an answer of base leads.
func Follow(base, location string) (string, error) {
	t, err := parse(base)
	if err != nil {
		return "", err
	}
	next, err := t.follow([]string{location})
	return next.String(), err
}

// Special, Ends and Faults are for the tests that look at them alone.
var (
	Special = special
	Ends    = ends
	Faults  = []Fault{Unreadable, Busy, Unresolved, Inside, Guarded, Strayed, Unreachable, TooSlow, Redirected, Unwanted, TooLarge}
)
