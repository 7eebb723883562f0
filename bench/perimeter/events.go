package perimeter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// events measures how late one arrives, while nothing else happens and beside others' requests.
func (r *run) events(ctx context.Context) ([]Table, error) {
	all, stop, err := r.cast(ctx, 0, direct, proxy, inverted, inside, apart)
	if err != nil {
		return nil, err
	}
	defer stop()
	t := Table{Title: fmt.Sprintf("How late each of %d server-sent events arrives: alone, and beside %d connections with small requests", r.cfg.Events, busy),
		Columns: []string{lateP50, lateP99, lateMost, lateP50Busy, lateP99Busy, lateMostBusy}}
	t.Rows, err = r.rounds(ctx, t.Title, all, r.eventful)
	t.Goals = []Goal{
		atMost(inside, "p99 when alone, in ms", 50, t.median(inside, lateP99)),
		atMost(inside, "p99 beside others, in ms", 50, t.median(inside, lateP99Busy)),
	}
	return []Table{t}, err
}

func (r *run) eventful(ctx context.Context, c *contender) (Sample, error) {
	alone, err := r.listen(ctx, c)
	if err != nil {
		return nil, err
	}
	crowd, err := r.gather(ctx, c, busy)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	loaded := make(chan error, 1)
	go func() { loaded <- crowd.load(ctx, r.request("GET", "/small", 0), time.Duration(r.cfg.Events)*pause) }()
	beside, err := r.listen(ctx, c)
	if err = errors.Join(err, <-loaded); err != nil {
		return nil, err
	}
	return Sample{lateP50: millis(quantile(alone, 0.5)), lateP99: millis(quantile(alone, 0.99)), lateMost: millis(quantile(alone, 1)),
		lateP50Busy: millis(quantile(beside, 0.5)), lateP99Busy: millis(quantile(beside, 0.99)), lateMostBusy: millis(quantile(beside, 1))}, nil
}

// listen returns by how much each event was late, the least first. Both processes read the clock of one machine.
func (r *run) listen(ctx context.Context, c *contender) ([]time.Duration, error) {
	cs, err := r.gather(ctx, c, 1)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	var late lateness
	err = cs.each(ctx, MaxDuration, func(_ int, conn *client) error {
		length, err := conn.begin(r.request("GET", "/events/"+strconv.Itoa(r.cfg.Events), 0))
		if err != nil {
			return err
		}
		return conn.text(length, &late)
	})
	if err == nil && len(late.all) != r.cfg.Events {
		err = fmt.Errorf("%d events have come of %d", len(late.all), r.cfg.Events)
	}
	slices.Sort(late.all)
	return late.all, err
}

// lateness reads events as they come.
type lateness struct {
	rest []byte // of one that has not come whole
	all  []time.Duration
}

// Write implements io.Writer.
func (l *lateness) Write(p []byte) (int, error) {
	now := time.Now()
	l.rest = append(l.rest, p...)
	for {
		event, rest, whole := bytes.Cut(l.rest, []byte("\n\n"))
		if !whole {
			return len(p), nil
		}
		sent, err := strconv.ParseInt(string(bytes.TrimPrefix(event, []byte("data: "))), 10, 64)
		if err != nil {
			return 0, errors.New("an event does not say when it was sent")
		}
		l.all, l.rest = append(l.all, now.Sub(time.Unix(0, sent))), rest
	}
}
