package perimeter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A crowd is the connections of one measurement. It is a closed loop: each connection sends its next request when the answer to the
// last has come, as so many users without a pause would. A slow server therefore meets fewer requests, not a queue.
type crowd struct {
	conns []*client
	times [][]time.Duration // of each connection's answers
	took  time.Duration
}

// gather connects, and asks once on each connection, so that nothing of what follows is a handshake.
func (r *run) gather(ctx context.Context, c *contender, connections int) (*crowd, error) {
	all := &crowd{times: make([][]time.Duration, connections)}
	for range connections {
		conn, err := dial(ctx, c.address, c.secure, 0)
		if err != nil {
			all.close()
			return nil, err
		}
		all.conns = append(all.conns, conn)
	}
	if err := all.each(ctx, grace, func(_ int, conn *client) error {
		return conn.expect(r.request("GET", "/small", 0), int64(len(greeting)))
	}); err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

func (cs *crowd) close() {
	for _, c := range cs.conns {
		c.close()
	}
}

// expect asks for something of a known length.
func (c *client) expect(request []byte, want int64) error {
	status, length, err := c.get(request)
	if err == nil && (status != http.StatusOK || length != want) {
		err = fmt.Errorf("the answer has status %d and %d bytes, want 200 and %d", status, length, want)
	}
	return err
}

// each runs one connection's part beside the others'. When one fails, or ctx ends, all connections are cut.
func (cs *crowd) each(ctx context.Context, limit time.Duration, part func(i int, c *client) error) error {
	ctx, end := context.WithTimeoutCause(ctx, limit, errors.New("there is no answer in time"))
	defer end()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(ctx, cs.close)
	defer stop()
	var parts sync.WaitGroup
	for i, c := range cs.conns {
		parts.Go(func() {
			if err := part(i, c); err != nil {
				fail(err) // the first counts: the others fail because of it
			}
		})
	}
	parts.Wait()
	return context.Cause(ctx)
}

// load asks for d.
func (cs *crowd) load(ctx context.Context, request []byte, d time.Duration) error {
	began := time.Now()
	err := cs.each(ctx, d+grace, func(i int, c *client) error {
		cs.times[i] = cs.times[i][:0]
		for at := began; at.Sub(began) < d; {
			if err := c.expect(request, int64(len(greeting))); err != nil {
				return err
			}
			now := time.Now()
			cs.times[i] = append(cs.times[i], now.Sub(at))
			at = now
		}
		return nil
	})
	cs.took = time.Since(began)
	return err
}

// sample tells what the load has found.
func (cs *crowd) sample() Sample {
	all := slices.Concat(cs.times...)
	slices.Sort(all)
	return Sample{perSecond: float64(len(all)) / cs.took.Seconds(), answered: float64(len(all)), p50: millis(quantile(all, 0.5)), p99: millis(quantile(all, 0.99))}
}

// quantile is the smallest value that at least the share q of all does not exceed (the nearest-rank definition); zero of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q * float64(len(sorted)))
	if float64(rank) < q*float64(len(sorted)) {
		rank++
	}
	return sorted[max(rank, 1)-1]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
