package link_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// relayed is a TLS pair whose bytes take that long each way, through a path that holds as much as comes.
func relayed(t testing.TB, oneWay time.Duration, corked bool) (edge, app *tls.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func() (near, far net.Conn) {
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return near, far
	}
	a, relayA := pair()
	b, relayB := pair()
	go delay(relayA, relayB, oneWay)
	go delay(relayB, relayA, oneWay)
	t.Cleanup(func() { relayA.Close(); relayB.Close() })
	return handshake(t, a, b, corked)
}

// delay carries bytes late, and nothing else.
func delay(from, to net.Conn, by time.Duration) {
	type piece struct {
		due time.Time
		b   []byte
	}
	path := make(chan piece, 1<<14)
	go func() {
		for p := range path {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.b); err != nil {
				from.Close()
			}
		}
		to.Close()
	}()
	for {
		b := make([]byte, 64<<10)
		n, err := from.Read(b)
		if n > 0 {
			path <- piece{time.Now().Add(by), b[:n]}
		}
		if err != nil {
			close(path)
			return
		}
	}
}
