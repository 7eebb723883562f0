package http3_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A relay stands between clients and servers on this machine. It passes packets on, to one server after another.
type relay struct {
	t       testing.TB
	socket  *net.UDPConn
	to      atomic.Pointer[net.UDPAddr]
	retries atomic.Int64 // packets by which a server asks for a validated address (RFC 9000 section 17.2.5)
	mu      sync.Mutex
	ways    map[string]*net.UDPConn
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, socket: socket, ways: map[string]*net.UDPConn{}}
	r.lead(to)
	t.Cleanup(func() {
		socket.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, w := range r.ways {
			w.Close()
		}
	})
	go r.run()
	return r
}

func (r *relay) addr() string { return r.socket.LocalAddr().String() }

func (r *relay) lead(to string) {
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		r.t.Fatal(err)
	}
	r.to.Store(addr)
}

func (r *relay) run() {
	packet := make([]byte, 2048)
	for {
		n, from, err := r.socket.ReadFromUDP(packet)
		if err != nil {
			return
		}
		if way := r.way(from); way != nil {
			way.WriteToUDP(packet[:n], r.to.Load())
		}
	}
}

// way is the socket that stands for one client.
func (r *relay) way(client *net.UDPAddr) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.ways[client.String()]; w != nil {
		return w
	}
	w, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil
	}
	r.ways[client.String()] = w
	go func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := w.ReadFromUDP(packet)
			if err != nil {
				return
			}
			if n > 0 && packet[0]&0xf0 == 0xf0 {
				r.retries.Add(1)
			}
			if from.String() == r.to.Load().String() { // the one that was killed says nothing any more
				r.socket.WriteToUDP(packet[:n], client)
			}
		}
	}()
	return w
}
