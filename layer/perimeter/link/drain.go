package link

import (
	"errors"
	"fmt"
	"time"
)

// GoAway is for the application's end: nothing new is taken, and everything that is under way goes on, what was upgraded
// included, for as long as it takes. When nothing is left the link ends, and Serve returns nil. If Serve's ctx ends before, it
// drains as ever.
func (c *Conn) GoAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.edge {
		c.leave()
		c.rest()
	}
}

// leave says that nothing new is taken. c.mu is held.
func (c *Conn) leave() {
	if c.draining || c.err != nil {
		return
	}
	c.draining = true
	c.out = appendGoAway(c.out, codeDrained, c.last)
	c.kick()
}

// drain takes nothing new, and ends the link when all is finished or the time is up. The edge is let go first: closing a
// connection on which something is still coming could destroy what the edge has not read yet.
func (c *Conn) drain(limit time.Duration) {
	c.mu.Lock()
	c.stopping = true
	c.leave()
	c.rest()
	c.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.calm:
	case <-timer.C:
	case <-c.dead:
	}
	for _, s := range c.leftovers() {
		s.abort(codeCancel, errDrained)
	}
	select {
	case <-c.dead:
	case <-time.After(farewell):
		c.finish()
	}
}

// leftovers are the streams that still live, and are counted as cut.
func (c *Conn) leftovers() (left []*stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		left = append(left, s)
		c.lost(s)
	}
	return left
}

// lost counts a request that is ended before its time. One that was taken over has no time of its own to end at, and is not
// waited for when the application stops. c.mu is held.
func (c *Conn) lost(s *stream) {
	if s.served != nil && !(s.served.taken && c.stopping) {
		c.cut++
	}
}

// finish ends the link as soon as what is queued is written.
func (c *Conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.stir.Broadcast()
}

// outcome is what Serve returns.
func (c *Conn) outcome() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.draining || errors.Is(c.err, errProtocol):
		return fmt.Errorf("serving link: %w", c.err)
	case c.cut > 0:
		return fmt.Errorf("draining link: %d requests were cut", c.cut)
	}
	return nil
}

// took notes that a handler has taken its stream over.
func (c *Conn) took(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.served.taken = true
	c.upgraded++
	c.rest()
}

// returned notes that a handler has.
func (c *Conn) returned(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.served.returned = true
	c.settle(s)
}

// finished is returned, and reports whether the handler's goroutine may wait for another.
func (c *Conn) finished(s *stream) bool {
	c.returned(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.resting >= idleWorker {
		return false
	}
	c.resting++
	return true
}

// settle counts a request out when both its handler and its stream have ended. c.mu is held.
func (c *Conn) settle(s *stream) {
	if s.served == nil || !s.served.returned || !s.gone {
		return
	}
	c.running--
	if s.served.taken {
		c.upgraded--
	}
	c.rest()
}

// rest tells whoever waits that nothing runs any more. c.mu is held.
func (c *Conn) rest() {
	if !c.draining {
		return
	}
	if c.running == c.upgraded {
		select {
		case <-c.calm:
		default:
			close(c.calm)
		}
	}
	if c.running == 0 && !c.stopping {
		time.AfterFunc(farewell, c.finish) // unless the edge ends it before, as it should
	}
}
