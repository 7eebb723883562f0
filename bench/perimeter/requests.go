package perimeter

import (
	"context"
	"fmt"
)

// busy is how many connections the goals speak of.
const busy = 50

// requests measures small ones, on few and on many connections.
func (r *run) requests(ctx context.Context) (tables []Table, err error) {
	all, stop, err := r.cast(ctx, 0, direct, proxy, inverted, inside, apart, signed)
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, n := range r.cfg.Connections {
		t := Table{Title: fmt.Sprintf("Small requests, %d %s open", n, plural(n, "connection stays", "connections stay")),
			Columns: []string{perSecond, p50, p99, cpuAll, cpuEdge, cpuConnector, cpuApp, cpuLoad}, Ratios: []string{perSecond, p99, cpuAll, cpuWhole}, To: proxy}
		t.Rows, err = r.rounds(ctx, t.Title, all, func(ctx context.Context, c *contender) (Sample, error) { return r.smallOnes(ctx, c, n) })
		if err != nil {
			return nil, err
		}
		if n == busy {
			t.Goals = []Goal{
				atLeast(inside, "answers, to the reverse proxy's", 1.4, t.ratio(inside, proxy, perSecond)),
				atMost(inside, "p99, to the reverse proxy's", 1, t.ratio(inside, proxy, p99)),
			}
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (r *run) smallOnes(ctx context.Context, c *contender, connections int) (Sample, error) {
	crowd, err := r.gather(ctx, c, connections)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	before, err := c.spent()
	if err != nil {
		return nil, err
	}
	if err := crowd.load(ctx, r.request("GET", "/small", 0), r.cfg.Duration); err != nil {
		return nil, err
	}
	after, err := c.spent()
	if err != nil {
		return nil, err
	}
	s := crowd.sample()
	s.cpu(c, before, after, s[answered])
	return s, nil
}
