package perimeter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// slow measures what readers that hardly read cost those who do: memory at the edge, and patience.
func (r *run) slow(ctx context.Context) ([]Table, error) {
	t := Table{Title: fmt.Sprintf("%d readers of %d kB/s each, beside %d connections with small requests", r.cfg.Readers, r.cfg.Rate/1000, busy),
		Columns: []string{grown, grownConnector, grownApp, p99Before, p99, perSecondBefore, perSecond}}
	var err error
	// Everybody's processes are new in each turn: memory that somebody has had once grows no more.
	all := []*contender{{name: proxy, title: titles[proxy]}, {name: inverted, title: titles[inverted]}, {name: inside, title: titles[inside]}, {name: apart, title: titles[apart]}}
	t.Rows, err = r.rounds(ctx, t.Title, all, func(ctx context.Context, c *contender) (Sample, error) { return r.slowly(ctx, c.name) })
	t.Goals = []Goal{
		atMost(inside, "the edge's growth in MB", 100, t.median(inside, grown)),
		atMost(inside, "p99 of small requests meanwhile, in ms", 20, t.median(inside, p99)),
	}
	return []Table{t}, err
}

func (r *run) slowly(ctx context.Context, name string) (Sample, error) {
	c, err := r.contend(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	crowd, err := r.gather(ctx, c, busy)
	if err != nil {
		return nil, c.blame(err)
	}
	defer crowd.close()
	alone, before, err := r.watch(ctx, c, crowd)
	if err != nil {
		return nil, c.blame(err)
	}
	readers, end, err := r.read(ctx, c)
	if err != nil {
		return nil, c.blame(err)
	}
	beside, most, err := r.watch(ctx, c, crowd)
	if err = errors.Join(err, end()); err != nil {
		return nil, c.blame(fmt.Errorf("with %d readers: %w", readers, err))
	}
	const mega = 1e6
	s := Sample{p99: beside[p99], perSecond: beside[perSecond], p99Before: alone[p99], perSecondBefore: alone[perSecond],
		grown: float64(most.edge.Memory-before.edge.Memory) / mega, grownApp: float64(most.app.Memory-before.app.Memory) / mega}
	if c.connector != nil {
		s[grownConnector] = float64(most.connector.Memory-before.connector.Memory) / mega
	}
	return s, nil
}

// watch loads, and meanwhile looks now and then how much memory there is at most.
func (r *run) watch(ctx context.Context, c *contender, crowd *crowd) (Sample, spent, error) {
	var most spent
	loaded := make(chan error, 1)
	go func() { loaded <- crowd.load(ctx, r.request("GET", "/small", 0), r.cfg.Duration) }()
	for {
		now, err := c.spent()
		most.edge.Memory, most.connector.Memory, most.app.Memory = max(most.edge.Memory, now.edge.Memory), max(most.connector.Memory, now.connector.Memory), max(most.app.Memory, now.app.Memory)
		select {
		case failed := <-loaded:
			return crowd.sample(), most, errors.Join(failed, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// read starts the readers. Those who end them learn whether one was not given what it could have taken.
func (r *run) read(ctx context.Context, c *contender) (readers int, end func() error, err error) {
	cs := &crowd{}
	for range r.cfg.Readers {
		conn, err := dial(ctx, c.address, c.secure, piece)
		if err != nil {
			cs.close()
			return len(cs.conns), nil, err
		}
		cs.conns = append(cs.conns, conn)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- cs.each(ctx, 2*MaxDuration, func(_ int, conn *client) error { return r.sip(conn) })
	}()
	return len(cs.conns), func() error {
		cancel(errEnough)
		if err := <-ended; !errors.Is(err, errEnough) {
			return err
		}
		return nil
	}, nil
}

var errEnough = errors.New("the measurement is over")

// sip takes a little, waits, and takes a little again. What it asks for is more than it will ever have taken.
func (r *run) sip(c *client) error {
	const sips = 10 // a second
	if _, err := c.begin(r.request("GET", "/down/"+strconv.Itoa(MaxBytes), 0)); err != nil {
		return err
	}
	for tick := time.Tick(time.Second / sips); ; <-tick {
		if _, err := io.CopyN(io.Discard, c.in, int64(max(1, r.cfg.Rate/sips))); err != nil {
			return fmt.Errorf("reading slowly: %w", err)
		}
	}
}
