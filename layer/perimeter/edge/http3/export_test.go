package http3

import (
	"net"
	"time"
)

// Times are limits that tests meet; zero leaves one as it is.
type Times struct {
	Handshake, Header, Idle, Dead, Drain, Linger time.Duration
	Handshakes, Retry                            int64
}

// NewIn is New with other times.
func NewIn(c Config, t Times) (*Server, error) {
	all := usual
	for _, change := range []struct{ to, from *time.Duration }{
		{&all.handshake, &t.Handshake}, {&all.header, &t.Header}, {&all.idle, &t.Idle}, {&all.dead, &t.Dead}, {&all.drain, &t.Drain}, {&all.linger, &t.Linger},
	} {
		if *change.from != 0 {
			*change.to = *change.from
		}
	}
	if t.Handshakes != 0 {
		all.handshakes, all.retry = t.Handshakes, t.Retry
	}
	return newServer(c, all)
}

// Handshakes is how many are going on.
func (s *Server) Handshakes() int64 { return s.handshakes.Load() }

// Windows is by how much windows may still grow.
func (s *Server) Windows() int64 { return s.windows.left.Load() }

// Spend leaves so much of the windows' budget.
func (s *Server) Spend(left int64) { s.windows.left.Store(left) }

// Neighbourhood is by what addresses are counted.
func Neighbourhood(addr net.Addr) string { return neighbourhood(addr).String() }
