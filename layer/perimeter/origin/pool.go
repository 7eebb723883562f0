package origin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

var errBusy = errors.New("the application has as many requests as it may")

// A pool keeps connections to the application, and bounds how many there are.
type pool struct {
	network, address string
	dialer           net.Dialer
	slots            chan struct{}

	mu    sync.Mutex
	idle  []*conn // the most recently used last, which is taken first
	sweep *time.Timer
}

// A conn is one connection to the application.
type conn struct {
	net.Conn
	r      *bufio.Reader
	head   int64 // bytes that may still be read of a head; negative when none is being read
	reused bool
	until  time.Time // when it is no longer kept
}

var errHead = errors.New("the answer's head is too large")

// Read is under the bufio.Reader.
func (c *conn) Read(p []byte) (int, error) {
	if c.head < 0 {
		return c.Conn.Read(p)
	}
	if c.head == 0 {
		return 0, errHead
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.head)])
	c.head -= int64(n)
	return n, err
}

func newPool(network, address string, c Config) *pool {
	p := &pool{network: network, address: address, slots: make(chan struct{}, c.MaxConns)}
	p.dialer.Timeout = DialTimeout
	if !c.InsecureRemote {
		p.dialer.Control = loopback
	}
	p.sweep = time.AfterFunc(time.Hour, p.expire)
	p.sweep.Stop()
	return p
}

// loopback refuses an address that is not of this machine, at the moment of dialling: "localhost" is what a file says that it is.
func loopback(network, address string, _ syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().IsLoopback() {
		return errors.New("the application's address is not on this machine")
	}
	return nil
}

// enter takes one of the places at the application, which leave gives back.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(SlotTimeout)
	defer wait.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return errBusy
	}
}

func (p *pool) leave() { <-p.slots }

// get returns a kept connection that still lives, or a new one.
func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := p.pop()
		if c == nil {
			break
		}
		if time.Now().Before(c.until) && alive(c.Conn) {
			c.reused = true
			return c, nil
		}
		c.Close()
	}
	raw, err := p.dialer.DialContext(ctx, p.network, p.address)
	if err != nil {
		return nil, fmt.Errorf("dialling the application: %w", err)
	}
	c := &conn{Conn: raw, head: -1}
	c.r = bufio.NewReaderSize(c, headBuffer)
	return c, nil
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put keeps a connection on which an exchange is complete.
func (p *pool) put(c *conn, keep time.Duration) {
	c.SetDeadline(time.Time{})
	c.until = time.Now().Add(min(keep, KeepIdle))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= min(MaxIdleConns, cap(p.slots)) {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if len(p.idle) == 1 {
		p.sweep.Reset(KeepIdle)
	}
}

// expire closes what was kept too long, and comes again while anything is kept.
func (p *pool) expire() {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, c := range p.idle {
		if now.Before(c.until) {
			kept = append(kept, c)
		} else {
			c.Close()
		}
	}
	clear(p.idle[len(kept):])
	if p.idle = kept; len(kept) > 0 {
		p.sweep.Reset(KeepIdle)
	}
}

func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
	p.sweep.Stop()
}

// buffers are for copying bodies.
var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}
