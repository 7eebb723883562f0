package link

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Everything that is sent goes through one goroutine, which takes all that is ready and gives it to the connection in one call:
// under load dozens of answers share a TLS record and a system call. What is small goes first; large DATA follows in turns, a
// piece of each stream. All of this is guarded by c.mu.

// roomy reports whether more may be queued. Heads may fill all of the queue, small DATA only half: it never makes the link look full.
func (c *Conn) roomy() bool { return len(c.out) < MaxQueue }

// ahead reports whether n bytes of DATA may be copied behind what is queued, instead of waiting for their turn: if they are few,
// or if nobody waits for a turn and the writer has little to do.
func (c *Conn) ahead(n int) bool {
	return n <= smallWrite && len(c.out) < MaxQueue/2 || c.queue == nil && len(c.out)+n <= aheadSize
}

func (c *Conn) kick() {
	if c.idle {
		c.idle = false
		c.stir.Signal()
	}
}

// enqueue gives s its turn, if it has something to send and credit for it.
func (c *Conn) enqueue(s *stream) {
	if s.queued || len(s.pend) == 0 || s.credit <= 0 || s.unsendable() != nil || c.err != nil {
		return
	}
	s.queued = true
	if c.queue == nil {
		c.queue = s
	} else {
		c.tail.next = s
	}
	c.tail = s
	c.kick()
}

func (c *Conn) dequeue() *stream {
	s := c.queue
	if c.queue = s.next; c.queue == nil {
		c.tail = nil
	}
	s.next, s.queued = nil, false
	return s
}

func (c *Conn) writeLoop() {
	defer c.conn.Close()
	var batch []byte
	for {
		var more bool
		if batch, more = c.collect(batch[:0]); len(batch) > 0 {
			if err := c.put(batch); err != nil {
				c.fail(fmt.Errorf("writing: %w", err), 0)
				return
			}
		}
		if !more {
			c.fail(errDrained, 0)
			return
		}
		if cap(batch) > 2*MaxQueue {
			batch = nil // it was swollen once
		}
	}
}

func (c *Conn) put(batch []byte) error {
	wait := c.config.Patience
	c.mu.Lock()
	if c.err != nil {
		wait = farewell
	}
	c.conn.SetWriteDeadline(time.Now().Add(wait)) // under the lock, or it could lengthen what fail has shortened
	c.mu.Unlock()
	if c.cork == nil {
		_, err := c.conn.Write(batch)
		return err
	}
	c.cork.hold()
	_, err := c.conn.Write(batch)
	return errors.Join(err, c.cork.release())
}

// collect waits for something to send and takes it. It reports false when this is the last.
func (c *Conn) collect(batch []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 && c.queue == nil && c.err == nil && !c.closing {
		c.await()
	}
	batch, c.out = c.out, batch
	c.written = c.last
	c.room.Broadcast()
	if c.err != nil {
		return batch, false
	}
	for room := len(batch) + batchSize; c.queue != nil && len(batch) < room; {
		batch = c.piece(batch, c.dequeue())
	}
	return batch, !c.closing || c.queue != nil
}

// await sleeps until there is something to send, and then lets others who are ready to send do so first: it is they who make
// the batch large.
func (c *Conn) await() {
	for len(c.out) == 0 && c.queue == nil && c.err == nil && !c.closing {
		c.idle = true
		c.stir.Wait()
	}
	c.idle = false
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
}

// piece takes one piece of a stream's DATA.
func (c *Conn) piece(batch []byte, s *stream) []byte {
	n := int(min(int64(len(s.pend)), s.credit, dataSize))
	if n <= 0 || s.unsendable() != nil {
		return batch
	}
	batch = appendFrame(batch, frameData, s.id, s.pend[:n])
	s.pend, s.credit = s.pend[n:], s.credit-int64(n)
	if len(s.pend) == 0 {
		s.taken.Broadcast()
	}
	c.enqueue(s)
	return batch
}
