package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// A mute is a connection of some address that is closed once.
type mute struct {
	net.Conn
	from   string
	closed bool
}

func (m *mute) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", m.from); return a }
func (m *mute) Close() error         { m.closed = true; return nil }

func mutes(n int, from func(i int) string) (all []net.Conn) {
	for i := range n {
		all = append(all, &mute{from: from(i)})
	}
	return all
}

// SYSTEM P6 T6: handshakes have a number of their own; for one more, the one that has taken longest goes.
func TestHandshakesAreBounded(t *testing.T) {
	many := mutes(edge.MaxHandshakes+1, func(i int) string { return net.JoinHostPort(net.IPv4(10, 0, byte(i>>8), byte(i)).String(), "1") })
	if got := edge.Greet(many, 10, 10); got != edge.MaxHandshakes {
		t.Errorf("%d are left, want %d", got, edge.MaxHandshakes)
	}
	if !many[0].(*mute).closed || many[1].(*mute).closed {
		t.Error("it is not the first that was closed")
	}
	for name, from := range map[string]func(i int) string{
		"one address":                  func(int) string { return "10.0.0.1:1" },
		"one network of IPv6":          func(i int) string { return net.JoinHostPort("2001:db8::"+string(rune('1'+i)), "1") },
		"IPv4 as IPv6 and as itself":   func(i int) string { return []string{"10.0.0.1:1", "[::ffff:10.0.0.1]:1"}[i%2] },
		"a link-local address's zones": func(int) string { return "[fe80::1%1]:1" },
	} {
		if got := edge.Greet(mutes(5, from), 10, 3); got != 3 {
			t.Errorf("%s has %d, want 3", name, got)
		}
	}
	if got := edge.Greet(mutes(5, func(i int) string { return net.JoinHostPort("2001:db8:0:"+string(rune('1'+i))+"::1", "1") }), 10, 3); got != 5 {
		t.Errorf("five networks of IPv6 have %d, want 5", got)
	}
}

func TestWaitingRequestsAreBounded(t *testing.T) { // SYSTEM P6
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got := edge.WaitForLink(ctx, edge.MaxWaiting+3); got != 3 {
		t.Errorf("%d were told at once, want 3", got)
	}
}

func TestRememberedAddressesAreBounded(t *testing.T) { // SYSTEM T6 K1
	if got := edge.Limited(edge.MaxLimited + 10); got != edge.MaxLimited {
		t.Errorf("%d are remembered, want %d", got, edge.MaxLimited)
	}
}

// SYSTEM P6: what is kept of a body for a second link is bounded, and what is kept reads the same again.
func TestBodiesAreKeptUpToABound(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, first int
		repeatable  bool
	}{
		{"nothing was read", 100 << 10, 0, true},
		{"as much as is kept", 100 << 10, edge.MaxKept, true},
		{"all of it", 100, 100, true},
		{"one byte more", 100 << 10, edge.MaxKept + 1, false},
	} {
		n, repeatable, err := edge.Attempts(c.size, c.first)
		if repeatable != c.repeatable || c.repeatable && (err != nil || n != int64(c.size)) || !c.repeatable && err == nil {
			t.Errorf("%s: a second attempt got %d bytes, %v; repeatable %t", c.name, n, err, repeatable)
		}
	}
}

func TestPlainConnectionsAreBounded(t *testing.T) { // SYSTEM T6
	l := edge.NewCrowd(listen(t), 2)
	defer l.Close()
	accepted := make(chan net.Conn, 3)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	<-accepted
	select {
	case <-accepted:
		t.Error("a third was accepted")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close() // gives back one place
	select {
	case <-accepted:
	case <-time.After(5 * time.Second):
		t.Error("no place was given back")
	}
}

// SYSTEM P6: an application has so many links and not one more.
func TestLinksAreBounded(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello, func(c *connector) { c.links = edge.MaxLinks })
	c := &connector{addr: w.addr, certificate: certificate("further")}
	w.authority.admit(c.certificate, enrol.Peer{ID: "further", Application: "test"})
	conn, _, err := c.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v, want the connection's end", err)
	}
	if got := w.edge.Links("test"); got != edge.MaxLinks {
		t.Errorf("%d links, want %d", got, edge.MaxLinks)
	}
}

// SYSTEM P6: connections that want to be enrolled are bounded, and take no place from anybody.
func TestEnrolmentsAreBounded(t *testing.T) {
	w := newWorld(t, edge.Times{Handshake: 2 * time.Second})
	w.authority.slow = make(chan struct{})
	defer close(w.authority.slow)
	dial := func() *tls.Conn {
		c, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Second))
		return c
	}
	for range edge.MaxEnrolments {
		dial()
	}
	w.eventually("so many are served", func() bool { return len(w.authority.enrolled) == edge.MaxEnrolments })
	if _, err := dial().Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one more got %v, want its end", err)
	}
	if greeting, public, _ := w.edge.Places(); greeting+public != 0 {
		t.Errorf("they take %d places", greeting+public)
	}
}

// SYSTEM P6 T6: a head that drips in keeps no place from who has something to say.
func TestDrippingHeadsLockNobodyOut(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MaxConns = 2 })
	w.connect(hello)
	for range 4 {
		c := w.dialRaw()
		go func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+w.host+"\r\n")
			for {
				if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	c := w.dialRaw()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") || time.Since(began) > 5*time.Second {
		t.Errorf("got %q, %v after %v", line, err, time.Since(began))
	}
}
