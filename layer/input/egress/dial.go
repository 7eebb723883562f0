package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// lookup asks for a name's addresses. The dot at its end keeps the machine's search list out, which would complete it to a name
// inside. What answers v4 in v6's clothes is judged, and dialled, as v4.
func (c *Config) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := c.Resolver.LookupNetIP(ctx, "ip", host+".") // a nil Resolver is the machine's
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// resolve gives the addresses of host if every one of them may be reached. One that may not refuses them all: a name with an address
// inside is meant for inside, or is somebody's attempt, and which address is dialled would be luck.
func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, c.times.lookup)
	defer cancel()
	addrs, err := c.lookup(ctx, host)
	switch {
	case ctx.Err() != nil:
		return nil, TooSlow
	case err != nil, len(addrs) == 0, len(addrs) > MaxAddresses:
		return nil, Unresolved
	}
	for _, a := range addrs {
		if c.table(a) || contains(c.config.Inside, a) || c.own.has(a) { // SYSTEM N5
			return nil, Inside
		}
	}
	return addrs, nil
}

// dial connects to t. It is the transport's only way out, so that a request which the transport tries again is judged again.
func (c *Client) dial(ctx context.Context, t target) (net.Conn, error) {
	addrs, err := c.resolve(ctx, t.host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs[:min(len(addrs), MaxTries)] {
		var conn net.Conn
		if conn, err = c.reach(ctx, netip.AddrPortFrom(a, t.port)); err == nil {
			return conn, nil
		}
		if fault := faultOf(err); fault == Guarded || fault == Strayed {
			return nil, fault // two judgements disagree: nothing of this name is to be trusted
		}
	}
	return nil, err
}

// reach connects to the one address that was judged. The guard is made for it alone and runs once the socket is there, on what the
// kernel is about to be given.
func (c *Client) reach(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.times.connect)
	defer cancel()
	dialer := &net.Dialer{KeepAlive: -1, ControlContext: func(_ context.Context, network, address string, conn syscall.RawConn) error {
		given, err := netip.ParseAddrPort(address)
		if err != nil || given != to || c.guard(network, address, conn) != nil { // SYSTEM N5
			return Guarded
		}
		return nil
	}}
	conn, err := c.connect(ctx, dialer, to)
	if err != nil {
		return nil, err
	}
	if err := c.ends(conn, to); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect dials an address and never a name.
func connect(ctx context.Context, d *net.Dialer, to netip.AddrPort) (net.Conn, error) {
	network := "tcp6"
	if to.Addr().Is4() {
		network = "tcp4"
	}
	return d.DialTCP(ctx, network, netip.AddrPort{}, to)
}

// ends looks at the connection that there is: it leads where it was meant to, to a public place by the standard library's
// predicates, and not back to this machine, whose two ends then have one address.
func ends(conn net.Conn, dialled netip.AddrPort) error {
	there, ok := conn.RemoteAddr().(*net.TCPAddr)
	here, too := conn.LocalAddr().(*net.TCPAddr)
	if !ok || !too {
		return Strayed
	}
	remote, local := there.AddrPort(), here.AddrPort()
	addr := remote.Addr().Unmap()
	if addr != dialled.Addr() || remote.Port() != dialled.Port() || addr == local.Addr().Unmap() || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return Strayed // SYSTEM N5
	}
	return nil
}
