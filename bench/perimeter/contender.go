package perimeter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The contenders, by name.
const (
	direct   = "direct"
	proxy    = "reverse-proxy"
	inverted = "inverted-http2"
	inside   = "link"
	apart    = "link-apart"
	signed   = "link-apart-signed"

	// Who is restarted, under whose eyes.
	connectors = "connectors"
	edges      = "edges"
	edges2     = "edges-http2"
)

var titles = map[string]string{
	direct:   "the application itself",
	proxy:    "httputil.ReverseProxy, pooled HTTP/1.1",
	inverted: "inverted HTTP/2, net/http",
	inside:   "edge and link, the application as its end",
	apart:    "edge and link, the application apart",
	signed:   "the same, each request signed in a header",

	connectors: "both applications in turn, clients of HTTP/1.1",
	edges:      "one of two edges, clients of HTTP/1.1",
	edges2:     "one of two edges, clients of HTTP/2",
}

// A contender is what is asked, by one address, whatever it consists of.
type contender struct {
	name, title string
	address     string
	secure      *tls.Config
	edge        *process // that the public reaches; nil for the application itself
	connector   *process // between the link and the application, where that is apart
	app         *process
	all         []*process // to be stopped, in the order in which they were started
}

func (c *contender) stop() {
	for _, p := range slices.Backward(c.all) {
		p.stop()
	}
}

// blame names the contender, and adds what its processes last said.
func (c *contender) blame(err error) error {
	var last string
	for _, p := range c.all {
		last += p.lastWords()
	}
	return fmt.Errorf("%s: %w%s", c.name, err, last)
}

// cast starts contenders. With a delay, a long line lies on the hop of those that have one.
func (r *run) cast(ctx context.Context, delay time.Duration, names ...string) (all []*contender, stop func(), err error) {
	stop = func() {
		for _, c := range all {
			c.stop()
		}
	}
	for _, name := range names {
		c, err := r.contend(ctx, name, delay)
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, c)
	}
	return all, stop, nil
}

func (r *run) contend(ctx context.Context, name string, delay time.Duration) (*contender, error) {
	r.cfg.Say("starting " + titles[name])
	c := &contender{name: name, title: titles[name]}
	h := &hop{run: r, c: c, delay: delay}
	err := h.assemble(ctx)
	if err == nil {
		c.secure, err = r.public.client("http/1.1")
	}
	if err == nil {
		err = r.reach(ctx, c)
	}
	if err != nil {
		c.stop()
		return nil, c.blame(err)
	}
	return c, nil
}

// A hop is a contender that is being put together.
type hop struct {
	run   *run
	c     *contender
	delay time.Duration
}

func (h *hop) launch(ctx context.Context, t task) (*process, error) {
	p, err := h.run.launch(ctx, t)
	if err == nil {
		h.c.all = append(h.c.all, p)
	}
	return p, err
}

// via is the address by which another one is reached, on the long line if there is one.
func (h *hop) via(ctx context.Context, address string) (string, error) {
	if h.delay == 0 {
		return address, nil
	}
	p, err := h.launch(ctx, task{Server: relayServer, To: address, Delay: h.delay / 2})
	if err != nil {
		return "", err
	}
	return p.address, nil
}

func (h *hop) assemble(ctx context.Context) (err error) {
	switch h.c.name {
	case direct:
		h.c.app, err = h.launch(ctx, task{Server: directServer})
		if err == nil {
			h.c.address = h.c.app.address
		}
		return err
	case proxy:
		return h.proxied(ctx)
	case inverted:
		return h.inverted(ctx)
	}
	return h.linked(ctx)
}

func (h *hop) proxied(ctx context.Context) (err error) {
	if h.c.app, err = h.launch(ctx, task{Server: originServer}); err != nil {
		return err
	}
	to, err := h.via(ctx, h.c.app.address)
	if err != nil {
		return err
	}
	if h.c.edge, err = h.launch(ctx, task{Server: proxyServer, To: to}); err == nil {
		h.c.address = h.c.edge.address
	}
	return err
}

func (h *hop) inverted(ctx context.Context) (err error) {
	if h.c.edge, err = h.launch(ctx, task{Server: outerServer}); err != nil {
		return err
	}
	h.c.address = h.c.edge.address
	to, err := h.via(ctx, h.c.edge.hop)
	if err != nil {
		return err
	}
	h.c.app, err = h.launch(ctx, task{Server: innerServer, To: to})
	return err
}

// reach asks until it is answered: not everybody has been linked as soon as it runs.
func (r *run) reach(ctx context.Context, c *contender) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("it does not answer"))
	defer cancel()
	for {
		status, err := r.once(ctx, c)
		if status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("asking for the first time: %w (status %d)", context.Cause(ctx), status), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *run) once(ctx context.Context, c *contender) (status int, err error) {
	conn, err := dial(ctx, c.address, c.secure, 0)
	if err != nil {
		return 0, err
	}
	defer conn.close()
	conn.conn.SetDeadline(time.Now().Add(grace))
	status, _, err = conn.get(r.request("GET", "/small", 0))
	return status, err
}

// spent is what a contender's processes have used.
type spent struct{ edge, connector, app, load usage }

func (c *contender) spent() (s spent, err error) {
	s.load = ownUsage()
	for _, of := range []struct {
		p    *process
		into *usage
	}{{c.edge, &s.edge}, {c.connector, &s.connector}, {c.app, &s.app}} {
		if of.p == nil {
			continue
		}
		if *of.into, err = of.p.usage(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// cpu adds what was used since before, for each of n pieces of work in microseconds. A process that is not there has no column.
func (s Sample) cpu(c *contender, before, after spent, n float64) {
	per := func(after, before usage) float64 { return micros(after.CPU-before.CPU) / n }
	s[cpuAll] = per(after.edge, before.edge) + per(after.connector, before.connector) + per(after.app, before.app)
	s[cpuLoad] = per(after.load, before.load)
	s[cpuWhole] = s[cpuAll] + s[cpuLoad]
	for name, p := range map[string]struct {
		is            *process
		before, after usage
	}{cpuEdge: {c.edge, before.edge, after.edge}, cpuConnector: {c.connector, before.connector, after.connector}, cpuApp: {c.app, before.app, after.app}} {
		if p.is != nil {
			s[name] = per(p.after, p.before)
		}
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
