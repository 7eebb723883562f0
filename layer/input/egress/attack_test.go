package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

var quiet = log.New(io.Discard, "", 0)

// attacks are ways inside. Each succeeds against a plain client in the same world, or it would prove nothing (SYSTEM N5).
var attacks = []struct {
	name  string
	url   string
	setUp func(w *world)
	want  egress.Fault
}{
	{"a name of loopback", "http://a.example/", names("127.0.0.1"), egress.Inside},
	{"a name of a private address", "http://a.example/", names("10.1.2.3"), egress.Inside},
	{"a name of the metadata service", "http://a.example/latest/meta-data", names("169.254.169.254"), egress.Inside},
	{"a name of the metadata service by v6", "http://a.example/", names("fd00:ec2::254"), egress.Inside},
	{"a name of a cloud's agent on a public address", "http://a.example/", names("168.63.129.16"), egress.Inside},
	{"a name of what carriers share", "http://a.example/", names("100.100.100.200"), egress.Inside},
	{"a name of this host", "http://a.example/", names("0.0.0.0"), egress.Inside},
	{"a name of loopback by v6", "http://a.example/", names("::1"), egress.Inside},
	{"loopback as v4 within v6", "http://a.example/", names("::ffff:127.0.0.1"), egress.Inside},
	{"loopback as v4 compatible with v6", "http://a.example/", names("::127.0.0.1"), egress.Inside},
	{"loopback translated by NAT64", "http://a.example/", names("64:ff9b::7f00:1"), egress.Inside},
	{"loopback translated by a local NAT64", "http://a.example/", names("64:ff9b:1::7f00:1"), egress.Inside},
	{"loopback through 6to4", "http://a.example/", names("2002:7f00:1::1"), egress.Inside},
	{"loopback through Teredo", "http://a.example/", names("2001:0:7f00:1::1"), egress.Inside},
	{"a private address through ISATAP", "http://a.example/", names("2a00:1450::5efe:10.0.0.1"), egress.Inside},
	{"two answers, one of them inside", "http://a.example/", names("93.184.216.34", "127.0.0.1"), egress.Inside},
	{"v4 outside and v6 inside", "http://a.example/", names("93.184.216.34", "::1"), egress.Inside},
	{"a chain of names that ends inside", "http://a.example/", func(w *world) {
		w.names.says("a.example", "cname:b.example")
		w.names.says("b.example", "cname:c.example")
		w.names.says("c.example", "192.168.0.1")
	}, egress.Inside},
	{"a redirect to a name inside", "http://public.example/", redirect("http://inside.example/"), egress.Inside},
	{"a redirect to a literal inside", "http://public.example/", redirect("http://169.254.169.254/"), egress.Redirected},
	{"a redirect to a literal without a scheme", "http://public.example/", redirect("//127.0.0.1/"), egress.Redirected},
	{"a redirect to another port inside", "http://public.example/", redirect("http://inside.example:6379/"), egress.Redirected},
	{"a redirect that a user's name hides", "http://public.example/", redirect("http://public.example@inside.example/"), egress.Redirected},
	{"a literal", "http://127.0.0.1/", nothing, egress.Unreadable},
	{"a literal in decimal", "http://2130706433/", nothing, egress.Unreadable},
	{"a literal in octal", "http://0177.0.0.1/", nothing, egress.Unreadable},
	{"a literal in hexadecimal", "http://0x7f.0.0.1/", nothing, egress.Unreadable},
	{"a literal in one hexadecimal number", "http://0x7f000001/", nothing, egress.Unreadable},
	{"a short literal", "http://127.1/", nothing, egress.Unreadable},
	{"a literal of zeros", "http://0/", nothing, egress.Unreadable},
	{"a literal of v6", "http://[::1]/", nothing, egress.Unreadable},
	{"a literal of v4 within v6", "http://[::ffff:127.0.0.1]/", nothing, egress.Unreadable},
	{"a literal with a zone", "http://[fe80::1%25eth0]/", nothing, egress.Unreadable},
	{"a port inside", "http://inside.example:8080/", names("127.0.0.1"), egress.Unreadable},
}

func nothing(w *world) { w.names.says("inside.example", "127.0.0.1") }

func names(addrs ...string) func(*world) {
	return func(w *world) {
		nothing(w)
		w.names.says("a.example", addrs...)
	}
}

func redirect(to string) func(*world) {
	return func(w *world) {
		nothing(w)
		w.site("public.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, to, http.StatusFound)
		})
	}
}

func TestNothingInsideIsReached(t *testing.T) { // SYSTEM N5
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t)
			a.setUp(w)
			if got := ask(w.plain(), a.url); got != secret || w.reached.Swap(0) == 0 {
				t.Fatalf("the attack does not work on a plain client, so it proves nothing: %s", got)
			}
			c := w.client(egress.Config{})
			if _, err := c.Get(t.Context(), a.url, page); fault(t, err) != a.want {
				t.Errorf("Get: got %v, want %q", err, a.want)
			}
			receipt, err := c.Send(t.Context(), a.url, nil, []byte("{}"))
			if a.want == egress.Redirected || strings.HasPrefix(a.name, "a redirect") {
				if err != nil || receipt.Status != http.StatusFound {
					t.Errorf("Send: got %v, %v; want the redirect told and not followed", receipt, err)
				}
			} else if fault(t, err) != a.want {
				t.Errorf("Send: got %v, want %q", err, a.want)
			}
			if n := w.reached.Load(); n != 0 {
				t.Errorf("the service inside was asked %d times", n)
			}
		})
	}
}

func ask(c *http.Client, url string) string {
	answer, err := c.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text) + strings.TrimPrefix(fmt.Sprint(err), "<nil>")
}

// TestAnAnswerThatChanges is DNS rebinding: the name is public when it is looked at and inside when it is dialled.
func TestAnAnswerThatChanges(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	w.site("public.example", "93.184.216.34", html("public"))
	turn := func() {
		w.names.saysInTurn("a.example", []string{"93.184.216.34"}, []string{"127.0.0.1"})
		w.names.mu.Lock()
		defer w.names.mu.Unlock()
		clear(w.names.asked)
	}
	turn()
	first, err := w.names.resolver().LookupNetIP(t.Context(), "ip4", "a.example")
	if err != nil || egress.Special(first[0].Unmap()) {
		t.Fatalf("looking before asking: %v, %v", first, err)
	}
	if got := ask(w.plain(), "http://a.example/"); got != secret {
		t.Fatalf("who looks and then asks is not deceived: %s", got)
	}
	turn()
	w.reached.Store(0)
	answer, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page)
	if err != nil || string(answer.Body) != "public" || w.names.times("a.example") != 1 {
		t.Errorf("got %v, %v after %d lookups; want the public page after one", answer, err, w.names.times("a.example"))
	}
	for range 3 {
		if _, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page); fault(t, err) != egress.Inside {
			t.Errorf("asked again: %v", err)
		}
	}
	turn() // a redirect to itself is a second request: it is judged anew
	w.site("public.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://a.example/", http.StatusFound)
	})
	if _, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page); fault(t, err) != egress.Inside {
		t.Errorf("a redirect to the same name: %v", err)
	}
	if n := w.reached.Load(); n != 0 {
		t.Errorf("the service inside was asked %d times", n)
	}
}

// TestEachJudgementAlone takes the judgements away in every combination: any one that is left refuses. With none left the attack works,
// which shows that it was they that stopped it.
func TestEachJudgementAlone(t *testing.T) { // SYSTEM N5
	for _, addr := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fd00:ec2::254", "fe80::1", "255.255.255.255"} {
		for out := range 8 {
			w := newWorld(t)
			w.names.says("a.example", addr)
			c := w.client(egress.Config{})
			table, guard, ends := out&1 != 0, out&2 != 0, out&4 != 0
			c.KnockOut(table, guard, ends)
			want := egress.Fault("")
			switch {
			case !table:
				want = egress.Inside
			case !guard:
				want = egress.Guarded
			case !ends:
				want = egress.Strayed
			}
			answer, err := c.Get(t.Context(), "http://a.example/", page)
			if got := fault(t, err); got != want || (want == "") != (w.reached.Load() == 1) {
				t.Errorf("%s without table %t, guard %t, ends %t: got %v, %q, want %q", addr, table, guard, ends, answer, got, want)
			}
		}
	}
}

// TestTheKernelIsNotAsked goes the real way: the guard sits in the dialler's control function, before the system call.
func TestTheKernelIsNotAsked(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	for addr, want := range map[string]egress.Fault{"127.0.0.1": egress.Guarded, "::1": egress.Guarded} {
		w.names.says("a.example", addr)
		c, err := egress.New(egress.Config{Resolver: w.names.resolver()})
		if err != nil {
			t.Fatal(err)
		}
		c.KnockOut(true, false, true)
		if _, err := c.Get(t.Context(), "http://a.example/", page); fault(t, err) != want {
			t.Errorf("%s: got %v, want %q", addr, err, want)
		}
		c.KnockOut(true, true, true) // then the kernel is asked, whatever it says
		if _, err := c.Get(t.Context(), "http://a.example/", page); fault(t, err) == want {
			t.Errorf("%s: it was not the guard that refused", addr)
		}
	}
}

func TestTheConnectionLeadsWhereItWasMeantTo(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	w.names.says("a.example", "93.184.216.34")
	c := w.client(egress.Config{})
	c.KnockOut(true, false, false)
	c.Connect(func(ctx context.Context, d *net.Dialer, to netip.AddrPort) (net.Conn, error) {
		for _, other := range []string{"93.184.216.35:80", "93.184.216.34:443", "[::ffff:93.184.216.34]:80"} {
			if err := d.ControlContext(ctx, "tcp4", other, nil); !errors.Is(err, egress.Guarded) {
				t.Errorf("the guard for %v passes %s: %v", to, other, err)
			}
		}
		if err := d.ControlContext(ctx, "udp4", to.String(), nil); !errors.Is(err, egress.Guarded) {
			t.Errorf("the guard passes another network: %v", err)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", w.secret)
	})
	if _, err := c.Get(t.Context(), "http://a.example/", page); fault(t, err) != egress.Strayed || w.reached.Load() != 0 {
		t.Errorf("a connection that leads elsewhere: got %v", err)
	}
}

type ended struct {
	net.Conn
	local, remote string
}

func (e ended) addr(s string) net.Addr {
	if s == "" {
		return &net.UnixAddr{}
	}
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s))
}
func (e ended) LocalAddr() net.Addr  { return e.addr(e.local) }
func (e ended) RemoteAddr() net.Addr { return e.addr(e.remote) }

func TestBothEndsOfAConnection(t *testing.T) { // SYSTEM N5
	for _, c := range []struct {
		name, local, remote, dialled string
		ok                           bool
	}{
		{"a public place", "192.168.1.2:4000", "93.184.216.34:80", "93.184.216.34:80", true},
		{"a public place by v6", "[2a00::5]:4000", "[2a00:1450::1]:443", "[2a00:1450::1]:443", true},
		{"a socket that tells v4 as v6", "[::ffff:192.168.1.2]:4000", "[::ffff:93.184.216.34]:80", "93.184.216.34:80", true},
		{"another address", "192.168.1.2:4000", "93.184.216.35:80", "93.184.216.34:80", false},
		{"another port", "192.168.1.2:4000", "93.184.216.34:81", "93.184.216.34:80", false},
		{"this machine's public address", "93.184.216.34:4000", "93.184.216.34:80", "93.184.216.34:80", false},
		{"loopback", "127.0.0.2:4000", "127.0.0.1:80", "127.0.0.1:80", false},
		{"a private place", "10.0.0.1:4000", "10.0.0.2:80", "10.0.0.2:80", false},
		{"no address of TCP", "", "", "93.184.216.34:80", false},
	} {
		if err := egress.Ends(ended{nil, c.local, c.remote}, netip.MustParseAddrPort(c.dialled)); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}
