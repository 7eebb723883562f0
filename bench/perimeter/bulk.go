package perimeter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// transfers is how many go each way in a turn: one alone is over before the machine has settled.
const transfers = 3

// bulk measures large bodies, in both directions.
func (r *run) bulk(ctx context.Context) ([]Table, error) {
	all, stop, err := r.cast(ctx, 0, direct, proxy, inverted, inside, apart)
	if err != nil {
		return nil, err
	}
	defer stop()
	t := Table{Title: fmt.Sprintf("%.0f MB in one body, one connection", float64(r.cfg.Bulk)/1e6),
		Columns: []string{down, up, cpuDown, cpuUp}, Ratios: []string{down, up}, To: proxy}
	t.Rows, err = r.rounds(ctx, t.Title, all, func(ctx context.Context, c *contender) (Sample, error) { return r.both(ctx, c, r.cfg.Bulk, transfers) })
	t.Goals = []Goal{
		atLeast(inside, "down, to the reverse proxy's", 0.6, t.ratio(inside, proxy, down)),
		atLeast(inside, "up, to the reverse proxy's", 0.6, t.ratio(inside, proxy, up)),
	}
	return []Table{t}, err
}

// far measures them over a hop with a long round trip, where what a protocol lets be under way decides.
func (r *run) far(ctx context.Context) ([]Table, error) {
	all, stop, err := r.cast(ctx, r.cfg.RoundTrip, proxy, inverted, inside, apart)
	if err != nil {
		return nil, err
	}
	defer stop()
	t := Table{Title: fmt.Sprintf("%.0f MB in one body, %s round trip on the hop", float64(r.cfg.Far)/1e6, r.cfg.RoundTrip),
		Columns: []string{down, up, cpuDown, cpuUp}, Ratios: []string{down, up}, To: proxy}
	t.Rows, err = r.rounds(ctx, t.Title, all, func(ctx context.Context, c *contender) (Sample, error) { return r.both(ctx, c, r.cfg.Far, 1) })
	for _, way := range []string{down, up} {
		t.Goals = append(t.Goals, farGoal(&t, way))
	}
	return []Table{t}, err
}

// farGoal is 150 MB/s for a stream where the plain pool reaches 200, and as much of less where it does not.
func farGoal(t *Table, way string) Goal {
	const enough, reached = 150, 200
	pool, got := t.median(proxy, way), t.median(inside, way)
	if pool >= reached || got >= enough {
		return atLeast(inside, way+", where the plain pool reaches "+fmt.Sprintf("%.0f", pool), enough, got)
	}
	return atLeast(inside, way+", to the plain pool's, which does not reach 200", float64(enough)/reached, t.ratio(inside, proxy, way))
}

// both measures one direction and then the other.
func (r *run) both(ctx context.Context, c *contender, size int64, times int) (Sample, error) {
	s := Sample{}
	for _, way := range []struct {
		speed, cpu string
		transfer   func(context.Context, *client, int64) error
	}{{down, cpuDown, r.download}, {up, cpuUp, r.upload}} {
		took, cost, err := r.transfer(ctx, c, size, times, way.transfer)
		if err != nil {
			return nil, err
		}
		s[way.speed] = float64(size) * float64(times) / 1e6 / took.Seconds()
		s[way.cpu] = millis(cost) / (float64(size) * float64(times) / 100e6)
	}
	return s, nil
}

func (r *run) transfer(ctx context.Context, c *contender, size int64, times int, once func(context.Context, *client, int64) error) (took, cost time.Duration, err error) {
	cs, err := r.gather(ctx, c, 1)
	if err != nil {
		return 0, 0, err
	}
	defer cs.close()
	before, err := c.spent()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	err = cs.each(ctx, time.Duration(times)*MaxDuration, func(_ int, conn *client) error {
		for range times {
			if err := once(ctx, conn, size); err != nil {
				return err
			}
		}
		return nil
	})
	took = time.Since(began)
	after, asked := c.spent()
	cost = after.edge.CPU + after.connector.CPU + after.app.CPU - before.edge.CPU - before.connector.CPU - before.app.CPU
	return took, cost, errors.Join(err, asked)
}

func (r *run) download(_ context.Context, c *client, size int64) error {
	return c.expect(r.request("GET", "/down/"+strconv.FormatInt(size, 10), 0), size)
}

// upload holds the application to the length that it has seen.
func (r *run) upload(_ context.Context, c *client, size int64) error {
	if _, err := c.conn.Write(r.request("POST", "/up", size)); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	for left := size; left > 0; left -= block {
		if _, err := c.conn.Write(noise[:min(left, block)]); err != nil {
			return fmt.Errorf("sending a body: %w", err)
		}
	}
	status, length, err := c.head()
	if err != nil {
		return err
	}
	var said strings.Builder
	if err := c.text(length, &said); err != nil {
		return err
	}
	if want := strconv.FormatInt(size, 10) + "\n"; status != http.StatusOK || said.String() != want {
		return fmt.Errorf("the answer to %d bytes has status %d and says %.40q", size, status, said.String())
	}
	return nil
}
