// Package egress asks addresses that users give: the page behind a link in a post, the endpoint that wants deliveries. Whoever
// names an address makes this machine a client inside its own network, so nothing of the standard client's readiness is left: a
// host is a name and never a literal, its addresses are judged before the connection, at the connection and after it, each time
// by other means, and everything that comes back is bounded.
//
// # What it assumes has failed
//
// The user, the address, and whoever answers: the name's servers, which may say something else each time they are asked; the
// site, which may send anything at any speed and redirect anywhere; and the validation of the form that took the address. The
// caller may have checked nothing. The machine's resolver may lie too, because its answers are judged whoever gave them.
//
// # What it stops
//
//   - Reaching loopback, private, link-local, metadata and every other special address, v4 or v6, mapped or translated, by name, by
//     CNAME, by redirect or by an answer that changes (SYSTEM N5). A name is refused if any of its addresses is special. Then the
//     judged address is dialled, not the name, so that no second answer counts.
//   - The same by another reading of the address: no user, no literal, no brackets, one spelling of host and port.
//   - Bombs and drips: time, header, body, redirects and requests at once are bounded (SYSTEM T6); compressed answers are refused.
//   - Taking anything along: no proxy of the environment, no cookie, no credential, no Referer, no client certificate. Each request has
//     a connection of its own, which is closed behind it: one that is kept would let a later request in unjudged, and would let one
//     user's requests be told from another's. Alt-Svc is ignored, and there is no HTTP/3.
//
// The three judgements share no code: the table in special.go and the machine's own list of addresses before the connection,
// code.dny.dev/ssrf in the dialler's control function, on the very address that the kernel is about to be given, and the
// connection's two ends once it stands.
//
// # What it does not stop
//
// A service on a public address that trusts this machine for where it is: name its network in Config.Inside. The public address
// of a machine behind a translator of addresses, and a network's own NAT64 prefix, are not on any list that it could read: they
// belong there too. A user may make this machine ask any public site, at the pace that the limits admit, from its address; and
// the names go to its resolver.
//
// One sentence answers for all that can go wrong, but time is not hidden: it tells whether a name resolves and whether a public address
// answers, which anybody can find out, and of an inside name that the machine's resolver knows, whether it was slow to say so.
// Nothing inside is ever dialled, so time tells nothing of it. Who fills all places for a host can see that others ask for it.
//
// # How it is knocked out in a drill
//
// Each of the three judgements is taken away in turn, and in pairs (attack_test.go): any one left refuses the loopback address. With
// all gone the same attack reads the metadata service, and a plain http.Client reads it every time.
//
// # Example
//
//	client, err := egress.New(egress.Config{})
//	answer, err := client.Get(ctx, link, egress.Want{Types: []string{"text/html"}, Bytes: 512 << 10, Cut: true})
//	receipt, err := client.Send(ctx, endpoint, http.Header{"Content-Type": {"application/json"}}, body)
package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Config is what a Client needs. The zero Config is complete.
type Config struct {
	Resolver *net.Resolver  // asks for names, and is not believed; nil is the machine's
	Roots    *x509.CertPool // who may vouch for a site; nil is whom the machine trusts
	Inside   []netip.Prefix // further networks that may not be reached, beside the special ones and this machine; empty is none
	AtOnce   int            // requests at once, in all; zero is DefaultAtOnce
	PerHost  int            // requests at once for one host name; zero is DefaultPerHost
	Total    time.Duration  // for one request with its redirects and body; zero is DefaultTotal
}

// A Client asks addresses that users give. It may be used concurrently; one is enough for a program.
type Client struct {
	config Config
	times  times
	places places
	own    ownAddresses

	// The three judgements and what lies between them. Only a test of this package can set them.
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	table   func(netip.Addr) bool
	guard   func(network, address string, conn syscall.RawConn) error
	connect func(ctx context.Context, d *net.Dialer, to netip.AddrPort) (net.Conn, error)
	ends    func(conn net.Conn, dialled netip.AddrPort) error
}

// New makes a Client. It reports everything that is wrong with config at once.
func New(config Config) (*Client, error) {
	c := &Client{config: config, table: special, connect: connect, ends: ends}
	if err := c.config.complete(); err != nil {
		return nil, fmt.Errorf("configuring egress: %w", err)
	}
	c.times = defaultTimes
	c.times.total = c.config.Total
	c.places = places{all: c.config.AtOnce, perHost: c.config.PerHost}
	c.own = ownAddresses{read: net.InterfaceAddrs}
	c.lookup = c.config.lookup
	c.guard = c.config.guardian().Safe
	return c, nil
}

// complete fills in what zero means, and says what cannot be.
func (c *Config) complete() error {
	var faults []error
	check := func(ok bool, name, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s %s", name, rule))
		}
	}
	c.AtOnce = orDefault(c.AtOnce, DefaultAtOnce)
	c.PerHost = orDefault(c.PerHost, min(DefaultPerHost, c.AtOnce))
	c.Total = orDefault(c.Total, DefaultTotal)
	check(c.AtOnce >= 1 && c.AtOnce <= MaxAtOnce, "AtOnce", fmt.Sprintf("is from 1 to %d", MaxAtOnce))
	check(c.PerHost >= 1 && c.PerHost <= c.AtOnce, "PerHost", "is from 1 to AtOnce")
	check(c.Total > 0 && c.Total <= MaxTotal, "Total", fmt.Sprintf("is at most %v", MaxTotal))
	for i, p := range c.Inside {
		check(p.IsValid() && !p.Addr().Is4In6(), fmt.Sprintf("Inside[%d]", i), "is a prefix of IPv4 or IPv6, and not of one within the other")
	}
	return errors.Join(faults...)
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// guardian is the judgement at the connection: a library's table and not ours, so that a mistake in one is not one in the other.
func (c *Config) guardian() *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, p := range c.Inside {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithDeniedV4Prefixes(v4...), ssrf.WithDeniedV6Prefixes(v6...))
}
