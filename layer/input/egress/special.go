package egress

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// special4 are the ranges of IPv4 that are not the public's: IANA's special-purpose registry (RFC 6890), multicast, and what
// clouds keep for themselves among public addresses.
var special4 = prefixes(
	"0.0.0.0/8",          // this network, RFC 791
	"10.0.0.0/8",         // private, RFC 1918
	"100.64.0.0/10",      // shared behind carriers, RFC 6598; a cloud's metadata at 100.100.100.200
	"127.0.0.0/8",        // loopback, RFC 1122
	"168.63.129.16/32",   // a cloud's host agent, on an address that looks public
	"169.254.0.0/16",     // link-local, RFC 3927; most clouds' metadata at 169.254.169.254
	"172.16.0.0/12",      // private, RFC 1918
	"192.0.0.0/24",       // protocol assignments, RFC 6890; a cloud's metadata at 192.0.0.192
	"192.0.2.0/24",       // documentation, RFC 5737
	"192.31.196.0/24",    // AS112, RFC 7535
	"192.52.193.0/24",    // multicast tunnels, RFC 7450
	"192.88.99.0/24",     // relays of 6to4, RFC 7526
	"192.168.0.0/16",     // private, RFC 1918
	"192.175.48.0/24",    // AS112, RFC 7534
	"198.18.0.0/15",      // benchmarking, RFC 2544
	"198.51.100.0/24",    // documentation, RFC 5737
	"203.0.113.0/24",     // documentation, RFC 5737
	"224.0.0.0/4",        // multicast, RFC 5771
	"240.0.0.0/4",        // class E, RFC 1112
	"255.255.255.255/32", // broadcast, RFC 919
)

// global6 is all of IPv6 that has been given out (RFC 4291 section 2.4). Outside it are loopback, v4-mapped and v4-compatible forms,
// NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local addresses with clouds' metadata among them, link-local, site-local and multicast.
var global6 = netip.MustParsePrefix("2000::/3")

// special6 are the exceptions within it.
var special6 = prefixes(
	"2001::/23",         // protocol assignments, RFC 2928: Teredo, ORCHID, benchmarking, anycast
	"2001:db8::/32",     // documentation, RFC 3849
	"2002::/16",         // 6to4, which leads to an IPv4 address, RFC 3056
	"2620:4f:8000::/48", // AS112, RFC 7534
	"3ffe::/16",         // the 6bone's, given back, RFC 3701
	"3fff::/20",         // documentation, RFC 9637
)

func prefixes(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// special reports whether a is none that a stranger's address may lead to. It is so for whatever is not plainly public: an address with
// a zone, and IPv4 within IPv6, are in no prefix of global6.
func special(a netip.Addr) bool {
	if a.Is4() {
		return contains(special4, a)
	}
	return !global6.Contains(a) || contains(special6, a) || isatap(a)
}

// isatap finds an IPv4 address tunnelled within a site (RFC 5214 section 6.1): in any prefix, the interface says so.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// ownAddresses knows the machine's own, which are public on many machines, and behind which services listen for neighbours.
type ownAddresses struct {
	read func() ([]net.Addr, error)

	mu    sync.Mutex
	at    time.Time
	known map[netip.Addr]bool
	fault error
}

// has reports whether a is the machine's. While that cannot be found out, every address is.
func (o *ownAddresses) has(a netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); o.at.IsZero() || now.Sub(o.at) >= OwnAge {
		o.at = now
		o.refresh()
	}
	return o.fault != nil || o.known[a]
}

func (o *ownAddresses) refresh() {
	var addrs []net.Addr
	addrs, o.fault = o.read()
	o.known = make(map[netip.Addr]bool, len(addrs))
	for _, addr := range addrs {
		if p, err := netip.ParsePrefix(addr.String()); err == nil {
			o.known[p.Addr().WithZone("").Unmap()] = true
		}
	}
}
