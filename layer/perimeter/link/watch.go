package link

import (
	"encoding/binary"
	"time"
)

// watch looks at the clock: it asks for a sign of life, and gives up on a peer that gives none.
func (c *Conn) watch() {
	c.ping()
	tick := time.NewTicker(max(min(c.config.PingAfter, c.config.PingTimeout)/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-tick.C:
			c.mu.Lock()
			asked := c.asked
			c.mu.Unlock()
			heard := c.began.Add(time.Duration(c.heard.Load()))
			switch now := time.Now(); {
			case asked.IsZero():
				c.ping()
			case now.Sub(asked) >= c.config.PingTimeout && now.Sub(heard) >= c.config.PingTimeout:
				c.fail(errDead, 0)
			}
		}
	}
}

func (c *Conn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || !c.roomy() || time.Since(c.pinged) < max(c.config.PingAfter, pingPause) {
		return
	}
	c.asked = time.Now()
	c.pinged = c.asked
	c.out = binary.BigEndian.AppendUint64(appendHeader(c.out, framePing, 0, 8), uint64(c.asked.Sub(c.began)))
	c.kick()
}

// pong takes the answer to a ping. The least round trip is let rise by an eighth each time, should the path have changed.
func (c *Conn) pong(payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked.IsZero() || binary.BigEndian.Uint64(payload) != uint64(c.asked.Sub(c.began)) {
		return broken("an answer to no ping")
	}
	took := max(int64(time.Since(c.asked)), 1)
	c.asked = time.Time{}
	c.rtt.Store(took)
	if best := c.best.Load(); best == 0 || took < best+best/8 {
		c.best.Store(took)
	} else {
		c.best.Store(best + best/8)
	}
	return nil
}
