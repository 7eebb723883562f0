package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// The view from inside the database: what one round trip costs the backend that serves it, in its own processor time, with the
// credential presented and with WHERE written by hand. It shows what a change to the layers' SQL is worth, to the microsecond,
// where requests per second show it to the tenth.

// Sizes of the view. A block is long beside the clock's grain and short beside what else a machine does.
const (
	blocks    = 8   // of every kind of round trip, in a round
	perBlock  = 100 // round trips in a block
	lowerPart = 0.2 // the quantile that is given as the cost: what else ran on the processor only adds
)

// The product's own words. Where they change, these do.
const (
	enterReading = `select redoubt.enter_session($1, $2, true)`
	enterWriting = `select redoubt.enter_session($1, $2, false)`

	contextProfile = `(select redoubt.profile())`
	enteredOrder   = ordersOf + contextProfile + ordersFrom + `order_` + ordersJoin + ` where o.id = $1`
	enteredOrders  = ordersOf + contextProfile + ordersFrom + `order_` + ordersJoin + ` where $1::timestamptz is null or (o.created_at, o.id) < ($1, $2::uuid)
 order by o.created_at desc, o.id desc limit $3`
	enteredInsertOrder = `insert into order_ (product_id, quantity, notes) values ($1, $2, $3) returning id`
	enteredInsertPost  = `insert into post (body) values ($1) returning id`
	enteredUpdatePost  = `update post set body = $2, html = $3, edited_at = now() where id = $1`
)

// visit is what the application says about where a request came from, as long as it usually is.
const visit = "203.0.113.7 01JBENCHBENCHBENCHBENCHBEN"

// A trip is one kind of round trip.
type trip struct {
	name, schema string // on the connection to the schema's tables
	queue        func(b *pgx.Batch, a asker, n int)
	ask          func(ctx context.Context, a asker) error // instead of queue: by the product's own code
}

// changes reports whether it is asked by those who change things.
func (t trip) changes() bool {
	return strings.Contains(t.name, "insert") || strings.Contains(t.name, "update")
}

// A contrast is what one piece of work costs in three ways. An empty name means that there is no such way.
type contrast struct {
	what                   string
	entered, lookedUp, own string // names of trips
}

// With the credential presented.
var entered = []trip{
	{name: "empty", queue: func(b *pgx.Batch, _ asker, _ int) { b.Queue(`select`) }},
	{name: "enter", queue: func(b *pgx.Batch, a asker, _ int) { a.enter(b) }},
	{name: "enter, verify once", queue: func(b *pgx.Batch, a asker, _ int) { a.enter(b); b.Queue(`select redoubt.org()`) }},
	{name: "enter, verify twice", queue: func(b *pgx.Batch, a asker, _ int) { a.enter(b); b.Queue(`select redoubt.org(), redoubt.profile()`) }},
	{name: "enter, verify three times", queue: func(b *pgx.Batch, a asker, _ int) {
		a.enter(b)
		b.Queue(`select redoubt.org(), redoubt.profile(), redoubt.person()`)
	}},
	{name: "enter, one", queue: func(b *pgx.Batch, a asker, n int) { a.enter(b); b.Queue(enteredOrder, a.order(n)) }},
	{name: "enter, list", queue: func(b *pgx.Batch, a asker, _ int) { a.enter(b); b.Queue(enteredOrders, nil, nil, 21) }},
	{name: "enter, insert post", queue: func(b *pgx.Batch, a asker, _ int) { a.enterWriting(b); b.Queue(enteredInsertPost, words) }},
	{name: "enter, insert order", queue: func(b *pgx.Batch, a asker, _ int) {
		a.enterWriting(b)
		b.Queue(enteredInsertOrder, a.product, 2, words)
	}},
	{name: "enter, update post", queue: func(b *pgx.Batch, a asker, n int) {
		a.enterWriting(b)
		b.Queue(enteredUpdatePost, a.post(n), changedText(n), "")
	}},
}

// With WHERE by hand.
var handWritten = []trip{
	{name: "one", queue: func(b *pgx.Batch, a asker, n int) { b.Queue(handOrder, a.organization, a.profile, a.order(n)) }},
	{name: "list", queue: func(b *pgx.Batch, a asker, _ int) { b.Queue(handOrders, a.organization, a.profile, 21) }},
	{name: "insert post", queue: func(b *pgx.Batch, a asker, _ int) { b.Queue(handInsertPost, a.organization, a.profile, words) }},
	{name: "insert order", queue: func(b *pgx.Batch, a asker, _ int) {
		b.Queue(handInsertOrder, a.organization, a.profile, a.product, 2, words)
	}},
	{name: "update post", queue: func(b *pgx.Batch, a asker, n int) {
		b.Queue(handUpdatePost, a.organization, a.profile, a.post(n), changedText(n), "")
	}},
}

// trips are all of them: what is written by hand once by itself, once after the look-up and, if it changes something, once with an
// audit trail.
func trips() (all []trip) {
	for _, t := range entered {
		t.schema = commonsSchema
		all = append(all, t)
	}
	all = append(all, trip{name: "look-up", schema: bareSchema, queue: func(b *pgx.Batch, a asker, _ int) { b.Queue(lookUpSession, a.sessionID) }})
	for _, t := range handWritten {
		t.schema = bareSchema
		all = append(all, t, trip{name: "look-up, " + t.name, schema: bareSchema, queue: func(b *pgx.Batch, a asker, n int) {
			b.Queue(lookUpSession, a.sessionID)
			t.queue(b, a, n)
		}})
		if t.changes() {
			all = append(all, trip{name: "look-up, audited " + t.name, schema: auditedSchema, queue: func(b *pgx.Batch, a asker, n int) {
				b.Queue(lookUpAudited, a.sessionID, visit)
				t.queue(b, a, n)
			}})
		}
	}
	return all
}

const words = "Something new, and rather short."

func (a asker) enter(b *pgx.Batch)        { b.Queue(enterReading, a.session, visit) }
func (a asker) enterWriting(b *pgx.Batch) { b.Queue(enterWriting, a.session, visit) }

func (a asker) order(n int) string { return a.orders[n%len(a.orders)] }
func (a asker) post(n int) string  { return a.posts[n%len(a.posts)] }

// changedText differs each time, so that an update has something to record.
func changedText(n int) string { return fmt.Sprintf("Changed for the %dth time, more or less.", n) }

var contrasts = []contrast{
	{"nothing else", "enter", "look-up", ""},
	{"one order by its id, joined with its buyer", "enter, one", "look-up, one", "one"},
	{"a list of 20 orders, joined", "enter, list", "look-up, list", "list"},
	{"insert a post, no audit trail beside it", "enter, insert post", "look-up, insert post", "insert post"},
	{"insert a post, an equal trail beside it", "enter, insert post", "look-up, audited insert post", ""},
	{"insert an order, priced by a trigger, no trail", "enter, insert order", "look-up, insert order", "insert order"},
	{"insert an order, an equal trail", "enter, insert order", "look-up, audited insert order", ""},
	{"update a post, no trail", "enter, update post", "look-up, update post", "update post"},
	{"update a post, an equal trail", "enter, update post", "look-up, audited update post", ""},
}

const identityTrip = "identity"

// A DatabaseResult is what round trips cost a backend.
type DatabaseResult struct {
	PostgreSQL string               `json:"postgresql"`
	Blocks     int                  `json:"blocks"`
	PerBlock   int                  `json:"round_trips_in_a_block"`
	Trips      map[string][]float64 `json:"trips_us"` // by name: microseconds of processor time for one, block by block
}

// Database measures round trips by the processor time of their backend, and leaves nothing behind. It needs Linux.
func Database(ctx context.Context, cfg Config) (result *DatabaseResult, err error) {
	cfg.Server = []string{"none"} // the only server is PostgreSQL
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.orDefault()
	if _, err := ranFor(os.Getpid()); err != nil {
		return nil, err
	}
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	defer func() {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	cfg.Say("starting a database and filling it")
	w, err := build(ctx, cfg, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	v := &view{world: w, conns: map[string]*pgx.Conn{}}
	defer v.close()
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	result = &DatabaseResult{PostgreSQL: w.version, Blocks: cfg.Rounds * blocks, PerBlock: cfg.perBlock, Trips: map[string][]float64{}}
	return result, v.measure(ctx, cfg, result.Trips)
}

// A view is the connections by which round trips are measured, by the schema whose tables they see; and the superuser's.
type view struct {
	world *world
	conns map[string]*pgx.Conn
	trips []trip
	ended []func()
}

func (v *view) close() {
	for _, end := range slices.Backward(v.ended) {
		end()
	}
}

func (v *view) open(ctx context.Context) error {
	for schema, address := range map[string]string{commonsSchema: v.world.as("redoubt_app", guarded), bareSchema: v.world.as(whereRole, plain),
		auditedSchema: v.world.as(whereRole, plain), superuser: v.world.super(guarded)} {
		conn, err := connect(ctx, address, schema)
		if err != nil {
			return fmt.Errorf("connecting to the tables of %s: %w", schema, err)
		}
		v.ended = append(v.ended, func() { conn.Close(context.WithoutCancel(ctx)) })
		v.conns[schema] = conn
	}
	db, ids, err := openStores(ctx, v.world.app, v.world.stores())
	if err != nil {
		return err
	}
	db.Close() // round trips as the application's role are on a connection of their own
	v.ended = append(v.ended, ids.Close)
	v.trips = append(trips(), trip{name: identityTrip, ask: func(ctx context.Context, a asker) error {
		r, err := http.NewRequestWithContext(ctx, "GET", "https://localhost/", nil)
		if err != nil {
			return err
		}
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: a.session})
		_, err = ids.Identify(r)
		return err
	}})
	return nil
}

const superuser = "superuser"

// measure gives each kind of round trip its turn, block after block. The first round only warms up.
func (v *view) measure(ctx context.Context, cfg Config, into map[string][]float64) error {
	n := 0
	for round := range cfg.Rounds + 1 {
		cfg.Say(fmt.Sprintf("round %d of %d (0 warms up)", round, cfg.Rounds))
		for range blocks {
			for _, t := range v.trips {
				cost, err := v.block(ctx, t, n, cfg.perBlock)
				if err != nil {
					return fmt.Errorf("measuring %q: %w", t.name, err)
				}
				if round > 0 {
					into[t.name] = append(into[t.name], cost)
				}
			}
			n += cfg.perBlock
		}
	}
	return nil
}

// block returns microseconds for each of its round trips.
func (v *view) block(ctx context.Context, t trip, n, times int) (float64, error) {
	before, err := v.ran(ctx, t)
	if err != nil {
		return 0, err
	}
	for i := range times {
		if err := v.once(ctx, t, n+i); err != nil {
			return 0, err
		}
	}
	after, err := v.ran(ctx, t)
	return micros(spentSince(before, after)) / float64(times), err
}

func (v *view) once(ctx context.Context, t trip, n int) error {
	people := v.world.askers
	if t.changes() {
		people = v.world.changers
	}
	a := people[n%len(people)]
	n /= len(people)
	if t.ask != nil {
		return t.ask(ctx, a)
	}
	var b pgx.Batch
	t.queue(&b, a, n)
	return v.conns[t.schema].SendBatch(ctx, &b).Close() // reads every result and returns the first error
}

// ran is how long each backend that may serve the trip has run so far.
func (v *view) ran(ctx context.Context, t trip) (map[int]time.Duration, error) {
	pids, err := v.backends(ctx, t)
	if err != nil {
		return nil, err
	}
	all := map[int]time.Duration{}
	for _, pid := range pids {
		if all[pid], err = ranFor(pid); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (v *view) backends(ctx context.Context, t trip) ([]int, error) {
	if t.ask == nil {
		return []int{int(v.conns[t.schema].PgConn().PID())}, nil
	}
	rows, err := v.conns[superuser].Query(ctx, `select pid from pg_stat_activity where usename = 'redoubt_identity'`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// ---- for people ----

// cost is what a round trip takes when little else runs.
func cost(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(lowerPart*float64(len(sorted)-1))]
}

// A Contrast is one piece of work in three ways, in microseconds of the backend. Ratios are medians over the blocks.
type Contrast struct {
	Entered, LookedUp, Own float64 // the credential presented; the same look-up and WHERE; WHERE by itself
	More                   float64 // Entered less LookedUp
	ToLookedUp             float64 // of this round trip
	OfRequest              float64 // of both round trips of a request: identity's look-up goes before on either side
}

func (r *DatabaseResult) contrast(c contrast) (out Contrast) {
	out.Entered, out.LookedUp, out.Own = cost(r.Trips[c.entered]), cost(r.Trips[c.lookedUp]), cost(r.Trips[c.own])
	out.More = out.Entered - out.LookedUp
	out.ToLookedUp, out.OfRequest = r.ratio(c, 0), r.ratio(c, cost(r.Trips[identityTrip]))
	return out
}

func (r *DatabaseResult) ratio(c contrast, before float64) float64 {
	var all []float64
	with, without := r.Trips[c.entered], r.Trips[c.lookedUp]
	for i := range min(len(with), len(without)) {
		if d := without[i] + before; d > 0 {
			all = append(all, (with[i]+before)/d)
		}
	}
	return median(all)
}

// Print writes the result for people.
func (r *DatabaseResult) Print(out io.Writer) {
	fmt.Fprintf(out, "\nPostgreSQL %s: processor time of the backend for one round trip, in microseconds. %d blocks of %d in turns; the %.0fth percentile of blocks,\nand medians of ratios within a block.\n\n",
		r.PostgreSQL, r.Blocks, r.PerBlock, 100*lowerPart)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, alone := range []struct{ name, title string }{
		{"empty", "an empty statement"}, {identityTrip, "identity's look-up"}, {"enter", "enter"}, {"enter, verify once", "enter, and one verification"},
		{"enter, verify twice", "enter, and two"}, {"enter, verify three times", "enter, and three"},
	} {
		fmt.Fprintf(w, "%.1f\t  %s\t\n", cost(r.Trips[alone.name]), alone.title)
	}
	w.Flush()
	fmt.Fprintln(out, "\nThe credential presented (c), the same look-up and WHERE by hand (w), WHERE alone (w1). The last ratio has identity's look-up before both.")
	fmt.Fprintln(w, "(c)\t(w)\t(w1)\t(c)-(w)\t(c) : (w)\tof a request\t  then\t")
	for _, c := range contrasts {
		v := r.contrast(c)
		fmt.Fprintf(w, "%.1f\t%.1f\t%s\t%.1f\t%.2f\t%.2f\t  %s\t\n", v.Entered, v.LookedUp, some(v.Own), v.More, v.ToLookedUp, v.OfRequest, c.what)
	}
	w.Flush()
}
