package edge

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are the edge's metrics. No label holds anything that a client chose.
type counts struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	denied     *prometheus.CounterVec
	retries    prometheus.Counter
	turnedAway *prometheus.CounterVec
	bytes      *prometheus.CounterVec

	known [600]atomic.Pointer[map[string]*outcome] // by status: the counters of each application, found once
}

// An outcome is what one application and status are counted by.
type outcome struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
	in, out  prometheus.Counter
}

func newCounts(e *Edge) *counts {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "redoubt_edge_" + name, Help: help}, labels)
	}
	c := &counts{
		registry:   prometheus.NewRegistry(),
		requests:   counter("requests_total", "Requests answered.", "application", "code"),
		refused:    counter("refused_total", "Requests that the edge refused by itself.", "kind"),
		denied:     counter("policy_denied_total", "Requests that the gate refused.", "application", "rule"),
		turnedAway: counter("connections_refused_total", "Connections closed for want of a place.", "reason"),
		bytes:      counter("body_bytes_total", "Bytes of bodies, in from clients and out to them.", "application", "direction"),
		retries:    prometheus.NewCounter(prometheus.CounterOpts{Name: "redoubt_edge_retries_total", Help: "Requests sent down another link."}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "redoubt_edge_request_seconds", Help: "Time from a request's head to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"application"}),
	}
	c.registry.MustRegister(c.requests, c.seconds, c.refused, c.denied, c.retries, c.turnedAway, c.bytes, &state{e})
	return c
}

// request counts one. The rule in a label is one of the configured ones.
func (c *counts) request(v *visit, status int, took time.Duration) {
	application := v.application()
	o := c.outcome(application, status)
	o.requests.Inc()
	o.seconds.Observe(took.Seconds())
	o.out.Add(float64(v.answer.bytes))
	if v.body != nil {
		o.in.Add(float64(v.body.count.Load()))
	}
	switch {
	case v.denied != nil:
		c.refused.WithLabelValues(v.denied.slug).Inc()
	case v.refused != nil:
		c.denied.WithLabelValues(application, v.rule).Inc()
	}
}

func (c *counts) outcome(application string, status int) *outcome {
	status = min(max(status, 0), len(c.known)-1)
	at := &c.known[status]
	have := at.Load()
	if have != nil && (*have)[application] != nil {
		return (*have)[application]
	}
	o := &outcome{
		c.requests.WithLabelValues(application, strconv.Itoa(status)), c.seconds.WithLabelValues(application),
		c.bytes.WithLabelValues(application, "in"), c.bytes.WithLabelValues(application, "out"),
	}
	next := map[string]*outcome{application: o}
	if have != nil {
		for name, other := range *have {
			next[name] = other
		}
	}
	at.CompareAndSwap(have, &next) // who loses is found the next time
	return o
}

// state is read when it is asked for.
type state struct{ e *Edge }

var (
	linksDesc       = prometheus.NewDesc("redoubt_edge_links", "Live links.", []string{"application", "state"}, nil)
	rttDesc         = prometheus.NewDesc("redoubt_edge_link_rtt_seconds", "Round trip of a link's last ping.", []string{"application", "connector", "link"}, nil)
	flyingDesc      = prometheus.NewDesc("redoubt_edge_link_requests", "Requests in flight on a link.", []string{"application", "connector", "link"}, nil)
	waitingDesc     = prometheus.NewDesc("redoubt_edge_waiting_requests", "Requests that wait for a link.", []string{"application"}, nil)
	connectionsDesc = prometheus.NewDesc("redoubt_edge_connections", "Public connections.", []string{"state"}, nil)
	budgetDesc      = prometheus.NewDesc("redoubt_edge_window_budget_bytes", "Memory granted for what arrives from applications.", nil, nil)
	expiresDesc     = prometheus.NewDesc("redoubt_edge_certificate_expires_seconds", "When the first public certificate ends, in Unix time.", nil, nil)
	droppedDesc     = prometheus.NewDesc("redoubt_edge_access_lines_dropped_total", "Access lines lost because their writer was slow.", nil, nil)
)

func (s *state) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, to) }

func (s *state) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for name, p := range s.e.pools {
		live, draining, waiting := 0, 0, p.waits()
		for _, m := range p.all() {
			if m.conn.Available() {
				live++
			} else {
				draining++
			}
			gauge(rttDesc, m.conn.RTT().Seconds(), name, m.peer.ID, m.conn.ID())
			gauge(flyingDesc, float64(m.conn.InFlight()), name, m.peer.ID, m.conn.ID())
		}
		gauge(linksDesc, float64(live), name, "available")
		gauge(linksDesc, float64(draining), name, "unavailable")
		gauge(waitingDesc, float64(waiting), name)
	}
	greeting, public, idle := s.e.places.counts()
	gauge(connectionsDesc, float64(greeting), "handshake")
	gauge(connectionsDesc, float64(idle), "idle")
	gauge(connectionsDesc, float64(public-idle), "busy")
	gauge(budgetDesc, float64(s.e.budget.Used()))
	if s.e.config.Expires != nil {
		gauge(expiresDesc, float64(s.e.config.Expires().Unix()))
	}
	to <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(s.e.lines.lost()))
}
