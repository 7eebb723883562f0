package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errLinkClosed = errors.New("the link was closed")
	errDraining   = errors.New("the link is draining")
	errDrained    = errors.New("the link has drained")
	errDead       = errors.New("the peer does not answer")
	errFlood      = errors.New("the peer does not read what it makes us write")
)

// A Conn is a live link. Three goroutines keep it: one reads, one writes, one looks at the clock.
type Conn struct {
	conn   net.Conn
	cork   *corked // beneath conn's TLS, or nil
	edge   bool
	config Config
	id     string
	open   *sealer // of what comes; the reader's alone
	began  time.Time
	rtt    atomic.Int64 // of the last ping
	best   atomic.Int64 // the least of late, which is the path without its queues
	bells  []*call      // who has an answer; the reader's alone
	heard  atomic.Int64 // when anything was last read, since began
	dead   chan struct{}
	ended  sync.WaitGroup // the three goroutines

	messages chan []byte

	mu       sync.Mutex
	seal     *sealer // of what goes
	streams  map[uint32]*stream
	out      []byte // frames that go first: everything but large DATA
	queue    *stream
	tail     *stream
	idle     bool // the writer waits
	stir     sync.Cond
	room     sync.Cond // for those who wait until less is queued
	err      error
	closing  bool   // what is queued is still written
	last     uint32 // highest stream opened
	written  uint32 // highest stream whose head was given to the connection
	draining bool
	late     int64 // bytes that may still come for streams that are gone
	resets   bucket
	pings    bucket
	asked    time.Time // when the PING was sent that is not answered
	pinged   time.Time // when the last was
	sent     *sentTokens
	known    knownTokens
	due      []*stream // edge: whose RESET waits for its turn

	application
}

func newConn(conn net.Conn, key Key, c Config, edge bool) *Conn {
	l := &Conn{
		conn: conn, edge: edge, config: c.withDefaults(), id: key.name(), began: time.Now(),
		dead: make(chan struct{}), streams: map[uint32]*stream{}, sent: newSentTokens(),
		messages: make(chan []byte, MaxMessages),
	}
	out, in := "request", "answer"
	if !edge {
		out, in = in, out
	}
	l.seal, l.open = newSealer(key, out), newSealer(key, in)
	l.stir.L, l.room.L = &l.mu, &l.mu
	l.cork = corkBelow(conn)
	return l
}

func (c Config) withDefaults() Config {
	if c.Budget == nil {
		c.Budget = NewBudget(DefaultBudget)
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for at, value := range map[*time.Duration]time.Duration{
		&c.PingAfter: DefaultPingAfter, &c.PingTimeout: DefaultPingTimeout, &c.Patience: DefaultPatience, &c.Response: DefaultResponse,
	} {
		if *at == 0 {
			*at = value
		}
	}
	return c
}

func (c *Conn) start() {
	c.ended.Go(c.readLoop)
	c.ended.Go(c.writeLoop)
	c.ended.Go(c.watch)
	go c.tell()
}

// tell hands control messages on, outside the reader, and the news of the end.
func (c *Conn) tell() {
	done := make(chan struct{})
	go func() { c.ended.Wait(); close(done) }()
	for {
		select {
		case m := <-c.messages:
			c.config.Control(c, m)
			continue
		case <-done:
		}
		if c.config.Closed != nil {
			c.config.Closed(c, c.Err())
		}
		return
	}
}

// ID is the same at both ends, derived from the Key, and not secret.
func (c *Conn) ID() string { return c.id }

// InFlight is how many requests are under way.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// Available reports whether the link is alive, not draining and not full.
func (c *Conn) Available() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unavailable() == nil
}

func (c *Conn) unavailable() error {
	switch {
	case c.err != nil:
		return c.err
	case c.draining || c.closing || c.last >= MaxStream:
		return errDraining
	case len(c.streams) >= c.config.MaxStreams || !c.roomy():
		return ErrBusy
	}
	return nil
}

// Err is not nil once the link is dead.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// RTT is that of the last ping; zero before the first.
func (c *Conn) RTT() time.Duration { return time.Duration(c.rtt.Load()) }

// roundTrip is what windows are measured by.
func (c *Conn) roundTrip() time.Duration {
	if best := c.best.Load(); best > 0 {
		return time.Duration(best)
	}
	return 10 * time.Millisecond
}

// Control sends a message of at most MaxControl bytes.
func (c *Conn) Control(m []byte) error {
	if len(m) > MaxControl {
		return fmt.Errorf("sending control message: it has more than %d bytes", MaxControl)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("sending control message: %w", c.err)
	}
	if !c.roomy() {
		return fmt.Errorf("sending control message: %w", ErrBusy)
	}
	c.out = appendFrame(c.out, frameControl, 0, m)
	c.kick()
	return nil
}

// Close ends the link now; what is under way fails at both ends.
func (c *Conn) Close() error {
	c.fail(errLinkClosed, codeDrained)
	return nil
}

// fail ends the link: the peer is told if that is possible at once, and every stream fails.
func (c *Conn) fail(err error, k code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	c.out, c.queue, c.tail = nil, nil, nil
	if k != 0 {
		c.out = appendGoAway(nil, k, c.last)
	}
	c.conn.SetWriteDeadline(time.Now().Add(farewell)) // a write under way has that long
	for _, s := range c.streams {
		c.lost(s)
		s.fail(c.fate(s, err))
	}
	close(c.dead)
	c.room.Broadcast()
	c.stir.Broadcast()
}

// fate is what a stream's end is told when the link dies: a head that was never given to the connection was not seen by anybody.
func (c *Conn) fate(s *stream, err error) error {
	if c.edge && s.id > c.written {
		return &unprocessed{err}
	}
	return fmt.Errorf("link lost: %w", err)
}

// drop forgets a stream. c.mu is held.
func (c *Conn) drop(s *stream) {
	if s.gone {
		return
	}
	s.gone = true
	if s.clock != nil {
		s.clock.Stop()
	}
	delete(c.streams, s.id)
	c.settle(s)
	if len(c.streams) == 0 && c.edge && (c.draining || c.last >= MaxStream) && !c.closing {
		c.closing = true // the application waits for it
		c.stir.Broadcast()
	}
}

// reset says that s is over, and forgets it. c.mu is held. The edge keeps to half of the rate at which its peer would end the
// link: meanwhile a stream that nobody waits for keeps its place, so that a crowd that comes only to go fills the link, and
// nothing worse.
func (c *Conn) reset(s *stream, k code) {
	if c.edge && !c.resets.take(ResetBurst/2, ResetRate/2) {
		if c.due = append(c.due, s); len(c.due) == 1 {
			time.AfterFunc(resetPause, c.resetDue)
		}
		return
	}
	c.out = appendFrame(c.out, frameReset, s.id, []byte{byte(k)})
	c.drop(s)
	c.kick()
}

// resetDue sends what reset has kept back.
func (c *Conn) resetDue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 && c.err == nil {
		if s := c.due[0]; !s.gone {
			if !c.resets.take(ResetBurst/2, ResetRate/2) {
				time.AfterFunc(resetPause, c.resetDue)
				return
			}
			c.out = appendFrame(c.out, frameReset, s.id, []byte{byte(codeCancel)})
			c.drop(s)
			c.kick()
		}
		c.due = c.due[1:]
	}
}

func appendWindow(dst []byte, stream uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(dst, frameWindow, stream, 4), uint32(n))
}

func appendGoAway(dst []byte, k code, last uint32) []byte {
	dst = append(appendHeader(dst, frameGoAway, 0, 5), byte(k))
	return binary.BigEndian.AppendUint32(dst, last)
}
