package edge_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// A relay is an address that stays while what is behind it changes.
type relay struct {
	listener net.Listener
	to       atomic.Value
	silent   atomic.Bool // nothing passes, but no connection ends: a network that has gone away
}

func newRelay(t *testing.T, to string) *relay {
	r := &relay{listener: listen(t)}
	r.to.Store(to)
	t.Cleanup(func() { r.listener.Close() })
	go r.run()
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) run() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to.Load().(string))
		if err != nil {
			in.Close()
			continue
		}
		go r.pipe(in, out)
		go r.pipe(out, in)
	}
}

func (r *relay) pipe(to, from net.Conn) {
	io.Copy(to, muted{from, r})
	to.Close()
	from.Close()
}

type muted struct {
	net.Conn
	relay *relay
}

func (m muted) Read(p []byte) (int, error) {
	for {
		n, err := m.Conn.Read(p)
		if err != nil || !m.relay.silent.Load() {
			return n, err
		}
	}
}
