package egress_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"code.dny.dev/ssrf"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

func TestSpecialAddresses(t *testing.T) { // SYSTEM N5
	for what, addrs := range map[string]string{
		"this network":             "0.0.0.0 0.1.2.3 0.255.255.255",
		"private":                  "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255",
		"shared behind carriers":   "100.64.0.0 100.127.255.255",
		"loopback":                 "127.0.0.0 127.0.0.1 127.255.255.255 ::1",
		"link-local":               "169.254.0.0 169.254.255.255 fe80:: fe80::1 febf:ffff::1",
		"protocol assignments":     "192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.255 2001::1 2001:1::1 2001:1ff:ffff::1",
		"documentation":            "192.0.2.1 198.51.100.1 203.0.113.1 203.0.113.255 2001:db8::1 3fff::1 3fff:fff:ffff::",
		"AS112":                    "192.31.196.1 192.175.48.1 2620:4f:8000::1 2001:4:112::1",
		"multicast tunnels":        "192.52.193.1 2001:3::1",
		"6to4":                     "192.88.99.1 2002:: 2002:7f00:1:: 2002:ffff:ffff::1",
		"benchmarking":             "198.18.0.0 198.19.255.255 2001:2::1",
		"multicast":                "224.0.0.0 224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
		"class E and broadcast":    "240.0.0.0 255.255.255.254 255.255.255.255",
		"unspecified":              "::",
		"v4 mapped":                "::ffff:8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254",
		"v4 compatible":            "::8.8.8.8 ::127.0.0.1",
		"v4 translated":            "::ffff:0:8.8.8.8 ::ffff:0:127.0.0.1",
		"NAT64":                    "64:ff9b::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b:1::1 64:ff9b:1:ffff::",
		"Teredo":                   "2001:0:4136:e378:8000:63bf:3fff:fdd2",
		"ORCHID":                   "2001:10::1 2001:20::1 2001:2f:ffff::1",
		"ISATAP":                   "2a00:1450::5efe:10.0.0.1 2a00:1450::200:5efe:127.0.0.1",
		"discard":                  "100::1 100:0:0:1::1",
		"segment routing":          "5f00::1",
		"unique local":             "fc00::1 fd00::1 fdff:ffff::1",
		"site-local":               "fec0::1 feff::1",
		"the 6bone's":              "3ffe::1",
		"a zone":                   "fe80::1%eth0 2a00:1450::1%1",
		"a cloud's metadata or so": "169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254 fd20:ce::254",
		"nobody's yet":             "4000::1 8000::1 c000::1 e000::1 1fff:ffff::1",
	} {
		for addr := range strings.FieldsSeq(addrs) {
			if !egress.Special(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s is taken for public", what, addr)
			}
		}
	}
	if !egress.Special(netip.Addr{}) {
		t.Error("no address is taken for public")
	}
}

func TestPublicAddresses(t *testing.T) { // the positive control of the table
	for _, addr := range strings.Fields("1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 " +
		"168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 " +
		"198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450::1 2620:4f:8001::1") {
		if egress.Special(netip.MustParseAddr(addr)) {
			t.Errorf("%s is taken for special", addr)
		}
	}
}

// stricter is where our table refuses what the guard's passes. The other way round there is nothing: what the guard refuses, the table does.
func stricter(a netip.Addr) bool {
	b := a.As16()
	return a == netip.MustParseAddr("168.63.129.16") || netip.MustParsePrefix("3ffe::/16").Contains(a) ||
		a.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// agree compares the table with the guard's, and with what the standard library knows.
func agree(t *testing.T, guard *ssrf.Guardian, a netip.Addr) {
	t.Helper()
	guarded := guard.SafeAddr(a) != nil
	special := egress.Special(a)
	if special != guarded && !(special && stricter(a)) {
		t.Errorf("%v: special %t, guarded %t", a, special, guarded)
	}
	if !special && (!a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.Is4In6()) {
		t.Errorf("%v is taken for public, and is not by the standard library", a)
	}
}

func TestTheTableAgreesWithTheGuard(t *testing.T) { // SYSTEM N5
	guard := ssrf.New()
	edges := append(append([]netip.Prefix{ssrf.IPv6GlobalUnicast, ssrf.IPv6NAT64Prefix}, ssrf.IPv4DeniedPrefixes...), ssrf.IPv6DeniedPrefixes...)
	for _, p := range edges {
		first := p.Masked().Addr()
		last := lastOf(p)
		for _, a := range []netip.Addr{first, last, first.Prev(), last.Next()} {
			if a.IsValid() {
				agree(t, guard, a)
			}
		}
	}
	const seed = 20261122
	random := rand.New(rand.NewPCG(seed, seed))
	for range 100_000 {
		agree(t, guard, netip.AddrFrom4([4]byte(bytesOf(random, 4))))
		agree(t, guard, netip.AddrFrom16([16]byte(bytesOf(random, 16))))
	}
	for range 20_000 { // near the edges, where a random address seldom falls
		p := edges[random.IntN(len(edges))]
		b := p.Addr().AsSlice()
		for i := p.Bits() / 8; i < len(b); i++ {
			b[i] = byte(random.Uint32())
		}
		if i := random.IntN(p.Bits()+1) / 8; random.IntN(2) == 0 && i < len(b) {
			b[i] ^= 1 << random.IntN(8)
		}
		a, _ := netip.AddrFromSlice(b)
		agree(t, guard, a)
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func bytesOf(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func FuzzSpecial(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::7f00:1").AsSlice())
	f.Add(netip.MustParseAddr("2a00::5efe:1.2.3.4").AsSlice())
	guard := ssrf.New()
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := netip.AddrFromSlice(b); ok {
			agree(t, guard, a)
		}
	})
}

func TestThisMachineIsNotReached(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	w.site("a.example", "93.184.216.34", html("ours"))
	w.site("b.example", "2a00:1450::7", html("ours"))
	w.site("c.example", "93.184.216.35", html("theirs"))
	c := w.client(egress.Config{})
	c.Owns(func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("93.184.216.34"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2a00:1450::7"), Mask: net.CIDRMask(64, 128)},
			&net.UnixAddr{Name: "nobody asks"},
		}, nil
	})
	for url, want := range map[string]egress.Fault{"http://a.example/": egress.Inside, "http://b.example/": egress.Inside, "http://c.example/": ""} {
		if _, err := c.Get(t.Context(), url, page); fault(t, err) != want {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
}

func TestNetworksThatTheOperatorNamed(t *testing.T) { // SYSTEM N5
	for _, want := range []egress.Fault{egress.Inside, egress.Guarded} { // by the table, and by the guard when the table is gone
		w := newWorld(t)
		w.site("a.example", "93.184.216.34", html("ours"))
		w.site("b.example", "2a00:1450::7", html("ours"))
		w.site("c.example", "93.184.217.1", html("theirs"))
		c := w.client(egress.Config{Inside: []netip.Prefix{netip.MustParsePrefix("93.184.216.0/24"), netip.MustParsePrefix("2a00:1450::/32")}})
		c.KnockOut(want == egress.Guarded, false, false)
		for url, want := range map[string]egress.Fault{"http://a.example/": want, "http://b.example/": want, "http://c.example/": ""} {
			if _, err := c.Get(t.Context(), url, page); fault(t, err) != want {
				t.Errorf("%s: got %v, want %q", url, err, want)
			}
		}
	}
}

func TestOwnAddressesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, mine := 0, "93.184.216.34"
		var trouble error
		has := egress.Own(func() ([]net.Addr, error) {
			reads++
			return []net.Addr{&net.IPNet{IP: net.ParseIP(mine), Mask: net.CIDRMask(32, 32)}}, trouble
		})
		first, second := netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("93.184.216.35")
		if !has(first) || has(second) || reads != 1 {
			t.Errorf("at first: %d reads", reads)
		}
		mine = "93.184.216.35"
		time.Sleep(egress.OwnAge - time.Second)
		if !has(first) || has(second) || reads != 1 {
			t.Errorf("within a minute: %d reads", reads)
		}
		time.Sleep(time.Second)
		if has(first) || !has(second) || reads != 2 {
			t.Errorf("after a minute: %d reads", reads)
		}
		trouble = errors.New("no answer")
		time.Sleep(egress.OwnAge)
		if !has(first) || !has(second) || !has(netip.MustParseAddr("8.8.8.8")) || reads != 3 {
			t.Errorf("while it cannot be found out, every address is the machine's: %d reads", reads)
		}
		trouble = nil
		time.Sleep(egress.OwnAge)
		if has(first) || !has(second) || reads != 4 {
			t.Errorf("once it can again: %d reads", reads)
		}
	})
}
