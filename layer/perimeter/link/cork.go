package link

import (
	"net"
	"sync"
)

// Cork goes beneath TLS: tls.Server(link.Cork(conn), config). TLS writes each of its records, 16 KiB at the most, in a call of
// its own, and reads little more than one at a time; once a link is made of the connection, what the link writes at once goes
// down in one call, and what is there is read in one. Until then, and for a browser's connection for ever, it is conn itself.
func Cork(conn net.Conn) net.Conn { return &corked{Conn: conn} }

const corkSize = 128 << 10

type corked struct {
	net.Conn
	linked bool // set before the link's goroutines begin, then constant
	in     []byte
	lo, hi int // of in; the reader's alone

	mu   sync.Mutex
	held bool
	out  []byte
}

// corkBelow returns what is below TLS, prepared for a link, or nil if nothing was corked.
func corkBelow(conn net.Conn) *corked {
	inside, ok := conn.(interface{ NetConn() net.Conn })
	if !ok {
		return nil
	}
	c, _ := inside.NetConn().(*corked)
	if c != nil {
		c.linked, c.in = true, make([]byte, corkSize)
	}
	return c
}

// NetConn is what lies beneath, as *tls.Conn names it.
func (c *corked) NetConn() net.Conn { return c.Conn }

func (c *corked) Read(p []byte) (int, error) {
	if !c.linked {
		return c.Conn.Read(p)
	}
	if c.lo == c.hi {
		n, err := c.Conn.Read(c.in)
		if c.lo, c.hi = 0, n; n == 0 {
			return 0, err
		}
	}
	n := copy(p, c.in[c.lo:c.hi])
	c.lo += n
	return n, nil
}

func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.Conn.Write(p)
	}
	if len(c.out)+len(p) > corkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	c.out = append(c.out, p...)
	return len(p), nil
}

// hold keeps back what is written until release.
func (c *corked) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

func (c *corked) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	return c.flush()
}

func (c *corked) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}
