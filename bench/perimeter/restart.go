package perimeter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clients ask during a restart, one POST among ten requests. They repeat nothing.
const clients = 10

// restart measures what clients notice when parts are replaced in order: failed requests.
func (r *run) restart(ctx context.Context) ([]Table, error) {
	t := Table{Title: fmt.Sprintf("Restarts under %d clients that repeat nothing", clients), Columns: []string{restarts, answered, failures, unanswered, longest}}
	var all []*contender
	for _, name := range []string{connectors, edges, edges2} {
		all = append(all, &contender{name: name, title: titles[name]})
	}
	var err error
	t.Rows, err = r.rounds(ctx, t.Title, all, func(ctx context.Context, c *contender) (Sample, error) { return r.replaced(ctx, c.name) })
	for _, name := range []string{connectors, edges, edges2} {
		t.Goals = append(t.Goals, atMost(name, "failed requests in all rounds", 0, sum(columnOf(t.samples(name), failures))))
	}
	return []Table{t}, err
}

// sum is not a number if there are none: what was not measured is not zero.
func sum(values []float64) (all float64) {
	if len(values) == 0 {
		return math.NaN()
	}
	for _, v := range values {
		all += v
	}
	return all
}

// A deployment is two edges that share a folder, and two applications that are linked to both.
type deployment struct {
	run   *run
	c     *contender // of all their processes
	tasks map[*process]task
	edges [2]*process
	apps  [2]*process
}

func (r *run) deploy(ctx context.Context) (d *deployment, err error) {
	d = &deployment{run: r, c: &contender{name: "deployment"}, tasks: map[*process]task{}}
	if d.c.secure, err = r.public.client("http/1.1"); err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		d.c.stop()
		return nil, d.c.blame(err)
	}
	return d, nil
}

func (d *deployment) start(ctx context.Context) (err error) {
	folder := filepath.Join(d.run.dir, fmt.Sprintf("deployment-%d", d.run.started))
	for i := range d.edges {
		if d.edges[i], err = d.launch(ctx, task{Server: edgeServer, redoubt: redoubt{Folder: folder, Edge: fmt.Sprintf("edge-%d", i)}}); err != nil {
			return err
		}
	}
	for i := range d.apps {
		credential, err := provision(folder, d.edges[0].address, d.edges[1].address)
		if err != nil {
			return err
		}
		if d.apps[i], err = d.launch(ctx, task{Server: appServer, redoubt: redoubt{Credential: credential}}); err != nil {
			return err
		}
	}
	for _, e := range d.edges {
		if err := d.run.reach(ctx, &contender{address: e.address, secure: d.c.secure}); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) launch(ctx context.Context, t task) (*process, error) {
	started, err := d.run.launch(ctx, t)
	if err == nil {
		d.c.all = append(d.c.all, started)
		d.tasks[started] = t
	}
	return started, err
}

// replace stops a process in order, and starts another one like it.
func (d *deployment) replace(ctx context.Context, old *process) (*process, error) {
	t := d.tasks[old]
	t.Listen = old.address
	old.stop()
	d.c.all = slices.DeleteFunc(d.c.all, func(x *process) bool { return x == old })
	return d.launch(ctx, t)
}

// replaced counts what fails while everything that is to be replaced is.
func (r *run) replaced(ctx context.Context, what string) (Sample, error) {
	d, err := r.deploy(ctx)
	if err != nil {
		return nil, err
	}
	defer d.c.stop()
	asking, enough := context.WithCancel(ctx)
	defer enough()
	var w witness
	var askers sync.WaitGroup
	for i := range clients {
		a := r.newAsker(d, i, what == edges2)
		askers.Go(func() { a.run(asking, &w) })
	}
	count, err := d.replaceAll(ctx, what, r.cfg.Duration)
	enough()
	askers.Wait()
	if err != nil {
		return nil, d.c.blame(err)
	}
	if w.why != nil {
		r.cfg.Say(fmt.Sprintf("%s: the first of %d failures: %v", titles[what], w.failed.Load(), w.why))
	}
	return w.sample(count), nil
}

// replaceAll lets some time pass before and after each replacement.
func (d *deployment) replaceAll(ctx context.Context, what string, between time.Duration) (count int, err error) {
	all := d.edges[:1]
	if what == connectors {
		all = d.apps[:]
	}
	for i := range all {
		if err := wait(ctx, between); err != nil {
			return count, err
		}
		if all[i], err = d.replace(ctx, all[i]); err != nil {
			return count, err
		}
		count++
	}
	return count, wait(ctx, between)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// A witness counts what clients see.
type witness struct {
	answered, failed, unanswered atomic.Int64
	longest                      atomic.Int64
	first                        sync.Once
	why                          error // of the first failure
}

func (w *witness) saw(err error, took time.Duration, silent bool) {
	for old := w.longest.Load(); int64(took) > old && !w.longest.CompareAndSwap(old, int64(took)); old = w.longest.Load() {
	}
	if err == nil {
		w.answered.Add(1)
		return
	}
	w.first.Do(func() { w.why = err })
	w.failed.Add(1)
	if silent {
		w.unanswered.Add(1)
	}
}

func (w *witness) sample(count int) Sample {
	return Sample{restarts: float64(count), answered: float64(w.answered.Load()), failures: float64(w.failed.Load()),
		unanswered: float64(w.unanswered.Load()), longest: millis(time.Duration(w.longest.Load()))}
}

// An asker is one client that knows both edges. It connects to one, and to the other when that hangs up or does not take it.
type asker struct {
	turn atomic.Int64 // which edge it asks
	ask  func(ctx context.Context, post bool) (err error, silent bool)
	quit func()
}

func (r *run) newAsker(d *deployment, i int, http2 bool) *asker {
	a := &asker{}
	a.turn.Store(int64(i))
	addresses := []string{d.edges[0].address, d.edges[1].address} // which restarts do not change
	reach := func(ctx context.Context, secure *tls.Config) (c *client, err error) {
		for range 2 * len(addresses) {
			if c, err = dial(ctx, addresses[a.turn.Load()%int64(len(addresses))], secure, 0); err == nil {
				return c, nil
			}
			a.turn.Add(1)
		}
		return nil, err
	}
	if http2 {
		a.overHTTP2(r, d.c.secure, reach)
	} else {
		a.overHTTP1(r, d.c.secure, reach)
	}
	return a
}

func (a *asker) run(ctx context.Context, w *witness) {
	defer a.quit()
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		err, silent := a.ask(ctx, n%10 == 9)
		if ctx.Err() != nil {
			return // it is over, whatever became of the last one
		}
		w.saw(err, time.Since(began), silent)
	}
}

// dialler connects to either edge.
type dialler func(ctx context.Context, secure *tls.Config) (*client, error)

var sent = []byte(strings.Repeat("0123456789abcdef", 64))

// overHTTP1 keeps one connection. Without a byte of answer on one that was used before, a client may ask again when nothing can be
// done twice (RFC 9112 section 9.3.1); this one does not, and counts.
func (a *asker) overHTTP1(r *run, secure *tls.Config, reach dialler) {
	var c *client
	get, post := r.request("GET", "/small", 0), append(r.request("POST", "/up", int64(len(sent))), sent...)
	a.quit = func() {
		if c != nil {
			c.close()
		}
	}
	a.ask = func(ctx context.Context, change bool) (err error, silent bool) {
		used := c != nil
		if !used {
			if c, err = reach(ctx, secure); err != nil {
				return err, false
			}
		}
		c.conn.SetDeadline(time.Now().Add(grace))
		request := get
		if change {
			request = post
		}
		status, _, err := c.get(request)
		silent = used && err != nil && status == 0
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the answer has status %d", status)
		}
		if err != nil || c.last {
			c.close()
			c = nil
		}
		return err, silent
	}
}

// overHTTP2 is net/http's client: a stream that the server says not to have seen, in its GOAWAY, goes over another connection by
// itself (RFC 9113 section 6.8).
func (a *asker) overHTTP2(r *run, secure *tls.Config, reach dialler) {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	h2 := secure.Clone()
	h2.NextProtos = []string{"h2"}
	t := &http.Transport{Protocols: &protocols, ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := reach(ctx, h2)
		if err != nil {
			return nil, err
		}
		return c.conn, nil
	}}
	c := &http.Client{Transport: t, Timeout: grace}
	a.quit = t.CloseIdleConnections
	a.ask = func(ctx context.Context, change bool) (error, bool) {
		method, path, body := "GET", "/small", io.Reader(nil)
		if change {
			method, path, body = "POST", "/up", bytes.NewReader(sent)
		}
		req, err := http.NewRequestWithContext(ctx, method, "https://"+host+path, body)
		if err != nil {
			return err, false
		}
		req.Header.Set(r.credential.field, r.credential.value)
		resp, err := c.Do(req)
		if err != nil {
			return err, false
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			err = errors.Join(err, fmt.Errorf("the answer has status %d", resp.StatusCode))
		}
		return errors.Join(err, resp.Body.Close()), false
	}
}
