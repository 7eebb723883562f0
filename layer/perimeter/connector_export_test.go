package perimeter

import (
	"errors"
	"time"
)

// Waits are the longest pauses after so many failures of one kind, one after the other, each at the time that it comes.
func Waits(refused bool, pause time.Duration, n int) (waits []time.Duration) {
	err := errors.New("cannot be reached")
	if refused {
		err = errRefused
	}
	var b backoff
	now := time.Now()
	for range n {
		waits = append(waits, b.next(err, now))
		now = now.Add(pause)
	}
	return waits
}

// SetDrain changes how long a connector that stops waits for what is under way.
func (c *Connector) SetDrain(d time.Duration) { c.drain = d }
