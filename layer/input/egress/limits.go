package egress

import (
	"sync"
	"time"
)

// The limits of everything that is asked and answered (SYSTEM T6). Those that an operator may need to move are fields of Config.
const (
	MaxURL       = 2 << 10   // bytes of an address, and of a Location
	MaxRedirects = 3         // that one Get follows
	MaxAddresses = 16        // that a name may have; one with more is refused
	MaxTries     = 3         // of a name's addresses that are tried
	MaxHeader    = 32 << 10  // bytes of an answer's head, and of a header that is sent
	MaxBody      = 16 << 20  // bytes that a Want may ask for
	MaxTypes     = 16        // that a Want may name
	MaxSend      = 1 << 20   // bytes of a body that is sent
	MaxSendLines = 32        // lines of a header that is sent
	MaxReceipt   = 16 << 10  // bytes that are kept of the answer to it; the rest is not read
	receiveAhead = 256 << 10 // bytes that HTTP/2 lets a site send before they are asked for

	DefaultAtOnce  = 32
	DefaultPerHost = 4
	MaxAtOnce      = 1024

	DefaultTotal     = 10 * time.Second // from the call to the last byte, redirects included
	MaxTotal         = time.Minute
	LookupTimeout    = 3 * time.Second // for the answers about a name
	ConnectTimeout   = 2 * time.Second // for each of its addresses
	HandshakeTimeout = 3 * time.Second // for TLS
	FirstByteTimeout = 5 * time.Second // from the request to the end of the answer's head
	OwnAge           = time.Minute     // after which the machine's own addresses are read again
)

// times are the limits in time, gathered so that a test can meet them without waiting for them.
type times struct {
	total, lookup, connect, handshake, firstByte time.Duration
}

var defaultTimes = times{
	total: DefaultTotal, lookup: LookupTimeout, connect: ConnectTimeout, handshake: HandshakeTimeout, firstByte: FirstByteTimeout,
}

// places bounds how many requests are on their way. Nobody waits for one: a queue would be a bound more, and a way to hold up others.
type places struct {
	all, perHost int

	mu    sync.Mutex
	taken int
	hosts map[string]int // never more entries than all: who has left is deleted
}

// enter takes a place among all.
func (p *places) enter() (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.all {
		return nil, Busy
	}
	p.taken++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
	}, nil
}

// enterHost takes a place among those for one host, so that one slow site, or one user's grudge against one, does not take all.
func (p *places) enterHost(host string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts[host] >= p.perHost {
		return nil, Busy
	}
	if p.hosts == nil {
		p.hosts = map[string]int{}
	}
	p.hosts[host]++
	return func() { p.leaveHost(host) }, nil
}

func (p *places) leaveHost(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts[host]--; p.hosts[host] == 0 {
		delete(p.hosts, host)
	}
}
