package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

func (c *Conn) readLoop() {
	defer c.ring() // what came whole before the end is good
	f := newFeed(heard{c})
	for {
		err := c.readFrame(f)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errProtocol):
			c.fail(err, codeProtocol)
		case errors.Is(err, io.EOF):
			c.fail(fmt.Errorf("reading: %w", io.EOF), 0)
		default:
			c.fail(fmt.Errorf("reading: %w", err), 0)
		}
		return
	}
}

// heard reads the connection: before it may have to wait, it rings the bells; afterwards it notes that the peer lives.
type heard struct{ c *Conn }

func (h heard) Read(p []byte) (int, error) {
	h.c.ring()
	n, err := h.c.conn.Read(p)
	h.c.heard.Store(int64(time.Since(h.c.began)))
	return n, err
}

func (c *Conn) readFrame(f *feed) error {
	b, err := f.next(headerSize)
	if err != nil {
		return err
	}
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	if h.kind == frameData {
		return c.data(f, h)
	}
	payload, err := f.next(h.length)
	if err != nil {
		return err
	}
	if h.stream == 0 {
		return c.linkFrame(h.kind, payload)
	}
	return c.streamFrame(h, payload)
}

func (c *Conn) linkFrame(k kind, payload []byte) error {
	switch k {
	case framePing:
		return c.answerPing(payload)
	case framePong:
		return c.pong(payload)
	case frameGoAway:
		return c.goAway(code(payload[0]), binary.BigEndian.Uint32(payload[1:]))
	case frameToken:
		if c.edge {
			return broken("a token from the application")
		}
		return c.known.learn(payload)
	}
	if c.config.Control == nil {
		return broken("a control message where none is expected")
	}
	select {
	case c.messages <- append([]byte(nil), payload...):
		return nil
	default:
		return broken("more than %d control messages at once", MaxMessages)
	}
}

func (c *Conn) answerPing(payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pings.take(PingBurst, PingRate) {
		return broken("a flood of pings")
	}
	c.out = appendFrame(c.out, framePong, 0, payload)
	c.kick()
	return c.overrun()
}

// overrun ends the link of a peer that makes this end write and does not read.
func (c *Conn) overrun() error {
	if len(c.out) > 2*MaxQueue {
		return errFlood
	}
	return nil
}

// goAway is told by a peer that leaves.
func (c *Conn) goAway(k code, last uint32) error {
	if k < codeDrained || k >= codeEnd {
		return broken("goodbye with code %d", k)
	}
	if k == codeProtocol {
		return errors.New("the peer ended the link: it saw its protocol broken")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.edge {
		return nil // what follows is its end
	}
	if last > c.last {
		return broken("goodbye after a stream that was not opened")
	}
	c.draining = true
	for _, s := range c.streams {
		if s.id > last {
			s.fail(&unprocessed{errDraining})
		}
	}
	if len(c.streams) == 0 {
		c.closing = true
		c.stir.Broadcast()
	}
	return nil
}

// find returns the stream of a frame; nil if it is gone, in which case the peer may not know yet.
func (c *Conn) find(id uint32) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.last {
		return nil, broken("a frame for a stream that was not opened")
	}
	return c.streams[id], nil
}

func (c *Conn) data(f *feed, h header) error {
	s, err := c.find(h.stream)
	if err != nil {
		return err
	}
	if s == nil {
		c.mu.Lock()
		c.late -= int64(h.length)
		over := c.late < 0
		c.mu.Unlock()
		if over {
			return broken("data for a stream that is over")
		}
	} else if err := s.expects(int64(h.length)); err != nil {
		return err
	}
	for left := h.length; left > 0; {
		p, err := f.some(left)
		if err != nil {
			return err
		}
		left -= len(p)
		if s != nil && !s.in.put(p) {
			return broken("data beyond the window")
		}
	}
	return nil
}

func (c *Conn) streamFrame(h header, payload []byte) error {
	if h.kind == frameHead && !c.edge {
		return c.arrive(h.stream, payload)
	}
	s, err := c.find(h.stream)
	if err != nil || s == nil {
		return err
	}
	switch h.kind {
	case frameHead:
		return c.answered(s, payload)
	case frameEnd:
		return c.endedBy(s, payload)
	case frameReset:
		return c.resetBy(s, code(payload[0]))
	}
	return c.granted(s, int64(binary.BigEndian.Uint32(payload)))
}

// endedBy is the peer's END.
func (c *Conn) endedBy(s *stream, block []byte) error {
	if err := s.complete(); err != nil {
		return err
	}
	trailer, err := decodeTrailers(block)
	if err != nil {
		return broken("trailers: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.recvEnd {
		return broken("a second end")
	}
	c.ends(s, trailer)
	return nil
}

// ends notes that the peer has said all. c.mu is held.
func (c *Conn) ends(s *stream, trailer http.Header) {
	s.recvEnd = true
	s.in.end(s.short(), trailer)
	if s.sentEnd {
		c.drop(s)
	}
}

func (c *Conn) resetBy(s *stream, k code) error {
	if k == 0 || k >= codeDrained {
		return broken("a reset with code %d", k)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.edge && !c.resets.take(ResetBurst, ResetRate) {
		return broken("a flood of resets")
	}
	switch {
	case k == codeRefused && c.edge:
		s.fail(&unprocessed{errors.New("the application refused it unseen")})
	case k == codeDone && c.edge && s.recvEnd:
		s.fail(errDone) // its answer stays
	default:
		s.fail(errReset)
	}
	return nil
}

// granted is the peer's WINDOW. Ours never grants less than half of the smallest window, so that nobody can make it send in crumbs.
func (c *Conn) granted(s *stream, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.credit += n; n < MinGrant || s.credit > MaxWindow {
		return broken("a grant of %d bytes", n)
	}
	c.enqueue(s)
	return nil
}
