// Package bench measures what the layers cost. In one run, on one machine and one PostgreSQL of its own, it asks the same questions
// of a bare handler, of the conventional way to keep tenants apart, of Redoubt inside and outside its perimeter, and of Redoubt with
// WHERE written by hand in the place of row security, in turns, and reports ratios: a number of requests per second says more about the machine than about the program.
//
// Each server is a process of its own, so that its processor time can be told from the database's and from the load
// generator's. Everything is on loopback, bounded, and removed in the end.
package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devedge"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Limits of a run.
const (
	MaxDuration    = 10 * time.Minute
	MaxConnections = 256
	MaxRounds      = 100
)

// A Config says what to measure and how.
type Config struct {
	App         redoubt.App         // the reference application, Commons: the others are written for its orders; required
	Server      []string            // the command line that runs Serve for App in a process of its own; required
	Find        postgres.FindConfig // where PostgreSQL may come from; zero is this machine's own
	Duration    time.Duration       // of each measurement; zero is five seconds
	Connections int                 // that ask at once; zero is 16
	Rounds      int                 // how often every server has its turn; zero is five
	Profiles    string              // a folder for a CPU profile of each process; zero makes none
	Say         func(string)        // told what is under way, at least every Duration; zero is silence

	organizations int // in the database; zero is 200
	perBlock      int // round trips of the database's view; zero is 100
}

func (cfg Config) orDefault() Config {
	if cfg.Duration == 0 {
		cfg.Duration = 5 * time.Second
	}
	if cfg.Connections == 0 {
		cfg.Connections = 16
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = 5
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	if cfg.organizations == 0 {
		cfg.organizations = organizations
	}
	if cfg.perBlock == 0 {
		cfg.perBlock = perBlock
	}
	return cfg
}

func (cfg Config) check() error {
	var faults []error
	problem := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New("bench: "+text))
		}
	}
	problem(cfg.App.Start == nil, "App is required")
	problem(len(cfg.Server) == 0, "Server is required")
	problem(cfg.Duration < 0 || cfg.Duration > MaxDuration, fmt.Sprintf("the duration is not between zero and %s", MaxDuration))
	problem(cfg.Connections < 0 || cfg.Connections > MaxConnections, fmt.Sprintf("the number of connections is not between 1 and %d", MaxConnections))
	problem(cfg.Rounds < 0 || cfg.Rounds > MaxRounds, fmt.Sprintf("the number of rounds is not between 1 and %d", MaxRounds))
	return errors.Join(faults...)
}

var errInterrupted = errors.New("the measurement was interrupted; nothing of it is left")

// Run measures, and leaves nothing behind but profiles. It ends early when ctx does.
func Run(ctx context.Context, cfg Config) (result *Result, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.orDefault()
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
	r := &run{cfg: cfg, world: w}
	defer r.stop()
	for _, step := range []func(context.Context) error{r.start, r.agree, r.measure} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r.result(), nil
}

// folder is in memory if there is enough of it. The database's account has to pass through.
func folder() (string, error) {
	const memory, enough = "/dev/shm", 1 << 30
	base := os.TempDir()
	var room syscall.Statfs_t
	if err := syscall.Statfs(memory, &room); err == nil && uint64(room.Bavail)*uint64(room.Bsize) >= enough {
		base = memory
	}
	dir, err := os.MkdirTemp(base, fmt.Sprintf("redoubt-bench-%d-", os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("making a folder for the measurement: %w", err)
	}
	return dir, os.Chmod(dir, 0o711)
}

// A contender is one of the servers, with the questions as it wants to be asked.
type contender struct {
	name, title string
	schema      string   // where its orders and posts are; empty for one that is not asked to change any
	app, edge   *process // edge is nil for those that listen themselves
	target      target
	requests    [kinds][]request
	samples     [kinds][]Sample
}

// The kinds of questions.
const (
	one = iota
	list
	insert
	update
	kinds
)

var kindNames = [kinds]string{"one order by its id", "a list of 20 orders", "placing an order", "editing a post"}

// changes reports whether a kind of question is one.
func changes(kind int) bool { return kind == insert || kind == update }

// A run is one measurement from start to end.
type run struct {
	cfg        Config
	world      *world
	processes  []*process
	contenders []*contender
}

// asked are the contenders that such questions are asked of.
func (r *run) asked(kind int) []*contender {
	return slices.DeleteFunc(slices.Clone(r.contenders), func(c *contender) bool {
		if changes(kind) {
			return c.schema == ""
		}
		return c.name == whereAudited // which reads as where does
	})
}

func (r *run) stop() {
	for _, p := range slices.Backward(r.processes) {
		p.stop()
	}
}

// start starts every server. They all run from here on: those that are not asked sleep.
func (r *run) start(ctx context.Context) error {
	r.cfg.Say("starting the servers")
	if r.cfg.Profiles != "" {
		if err := os.MkdirAll(r.cfg.Profiles, 0o755); err != nil {
			return fmt.Errorf("making a folder for profiles: %w", err)
		}
	}
	for _, s := range []struct{ name, title, schema string }{
		{bareTold, "bare handler, told who asks", ""},
		{bareSession, "(a) bare handler, session lookup", bareSchema},
		{conventional, "(b) conventional: session, BEGIN, set_config, RLS, COMMIT", conventionalSchema},
		{whereOnce, "(w1) Redoubt, but WHERE by hand and one look-up", bareSchema},
		{where, "(w) Redoubt, but WHERE by hand", bareSchema},
		{whereAudited, "(wa) as (w), with an audit trail", auditedSchema},
		{full, "(c) Redoubt, session", commonsSchema},
		{fullKey, "(c) Redoubt, API key", ""},
	} {
		app, err := r.launch(ctx, r.world.task(s.name))
		if err != nil {
			return err
		}
		r.enter(&contender{name: s.name, title: s.title, schema: s.schema, app: app, target: target{address: app.address}})
	}
	return r.startTunnel(ctx)
}

func (r *run) launch(ctx context.Context, t task) (*process, error) {
	if r.cfg.Profiles != "" {
		abs, err := filepath.Abs(r.cfg.Profiles)
		if err != nil {
			return nil, err
		}
		t.Profile = filepath.Join(abs, t.Server+".pprof")
	}
	p, err := launch(ctx, r.cfg.Server, r.world.dir, t)
	if err != nil {
		return nil, err
	}
	r.processes = append(r.processes, p)
	return p, nil
}

// startTunnel starts the edge, then the application that links to it: the one contender of two processes.
func (r *run) startTunnel(ctx context.Context) error {
	keys, err := provision.Open(filepath.Join(r.world.dir, "tls"), nil)
	if err != nil {
		return err
	}
	t := r.world.task(edgeServer)
	edge, err := r.launch(ctx, t)
	if err != nil {
		return err
	}
	t = r.world.task(fullTunnel)
	t.Origin = originAt(edge.address)
	if t.Credential, err = devedge.Credential(t.Folder, "Commons", edge.address); err != nil {
		return err
	}
	app, err := r.launch(ctx, t)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(keys.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	secure := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	r.enter(&contender{name: fullTunnel, title: "(d) Redoubt behind edge and tunnel, session", app: app, edge: edge, target: target{edge.address, secure}})
	return nil
}

// enter writes the contender's requests: the same questions by the same people in the same order for all.
func (r *run) enter(c *contender) {
	for _, a := range r.world.askers {
		fields := a.credential(c.name)
		host := "localhost:" + portOf(c.target.address)
		for _, id := range a.orders {
			c.requests[one] = append(c.requests[one], request{bytes: get(host, "/api/v1/orders/"+id, fields...)})
		}
		c.requests[list] = append(c.requests[list], request{bytes: get(host, "/api/v1/orders?limit=20", fields...)})
	}
	if c.schema != "" {
		r.enterChanges(c)
	}
	for kind := range kinds {
		all, chance := c.requests[kind], rand.New(rand.NewPCG(1, 2))
		chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	r.contenders = append(r.contenders, c)
}

// timeSlack is by how much the lengths of two moments differ at most: one may end ".123456".
const timeSlack = 7

// enterChanges writes what the contender is asked to change, as a page's script would: with Origin and the synchroniser token.
func (r *run) enterChanges(c *contender) {
	host := "localhost:" + portOf(c.target.address)
	for _, a := range r.world.changers {
		fields := append(a.credential(c.name), "Origin", origin, transport.TokenHeader, a.token)
		for n := range 8 {
			order := fmt.Sprintf(`{"product_id":%q,"quantity":%d,"notes":"To the back door, please: %d."}`, a.product, 1+n, n)
			c.requests[insert] = append(c.requests[insert], request{bytes: ask("POST", host, "/api/v1/orders", order, fields), slack: timeSlack})
			edit := fmt.Sprintf(`{"body":"Edited, since one can: %d."}`, n)
			c.requests[update] = append(c.requests[update], request{bytes: ask("PUT", host, "/api/v1/posts/"+a.post(n/2), edit, fields), slack: timeSlack})
		}
	}
}

func (a asker) credential(server string) []string {
	switch server {
	case bareTold:
		return []string{organizationField, a.organization, profileField, a.profile}
	case fullKey:
		return []string{"Authorization", "Bearer " + a.key}
	}
	return []string{"Cookie", sessionCookie + "=" + a.session}
}

// agree asks every server every question once, which warms it up, and holds the answers against each other: servers that do not
// say the same, byte for byte, cannot be compared. Of a change the time and the new id are left out, and what it has done is
// compared too.
func (r *run) agree(ctx context.Context) error {
	for kind := range kinds {
		var first, did = []string(nil), ""
		for _, c := range r.asked(kind) {
			r.cfg.Say(fmt.Sprintf("checking the answers of %s: %s", c.name, kindNames[kind]))
			answers, done, err := r.check(ctx, c, kind)
			if err != nil {
				return c.blame(err)
			}
			if first == nil {
				first, did = answers, done
			}
			for i, answer := range answers {
				if answer != first[i] {
					return fmt.Errorf("bench: %s answers differently from the first: %s: %.400q, not %.400q", c.name, kindNames[kind], answer, first[i])
				}
			}
			if did != done {
				return fmt.Errorf("bench: %s has changed something else than the first: %s", c.name, kindNames[kind])
			}
		}
	}
	return nil
}

// check returns each answer, and what was done.
func (r *run) check(ctx context.Context, c *contender, kind int) (answers []string, done string, err error) {
	crowd, err := gather(ctx, c.target, r.cfg.Connections)
	if err != nil {
		return nil, "", err
	}
	defer crowd.close()
	if !changes(kind) {
		answers, err = crowd.verify(ctx, c.requests[kind], asItIs)
		return answers, "", err
	}
	began := time.Now()
	if answers, err = crowd.verify(ctx, c.requests[kind], timeless); err != nil {
		return nil, "", err
	}
	done, err = r.world.done(ctx, c.schema, began)
	return answers, done, err
}

// blame names the server, and tells what it wrote to its log.
func (c *contender) blame(err error) error {
	return fmt.Errorf("measuring %s: %w%s", c.name, err, c.app.lastWords())
}

// measure gives each server its turn, round after round, so that what else the machine does hits them alike.
func (r *run) measure(ctx context.Context) error {
	turns := 0
	for kind := range kinds {
		turns += len(r.asked(kind))
	}
	left := time.Duration(r.cfg.Rounds*turns) * r.cfg.Duration
	for round := range r.cfg.Rounds {
		for kind := range kinds {
			for _, c := range r.asked(kind) {
				r.cfg.Say(fmt.Sprintf("round %d of %d, %s: %s (%s left)", round+1, r.cfg.Rounds, kindNames[kind], c.name, left.Round(time.Second)))
				s, err := r.sample(ctx, c, kind)
				if err != nil {
					return c.blame(err)
				}
				c.samples[kind] = append(c.samples[kind], s)
				left -= r.cfg.Duration
			}
		}
		if err := r.world.tidy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sample is one measurement. Connections, and their TLS, are made before it begins.
func (r *run) sample(ctx context.Context, c *contender, kind int) (Sample, error) {
	crowd, err := gather(ctx, c.target, r.cfg.Connections)
	if err != nil {
		return Sample{}, err
	}
	defer crowd.close()
	before, err := r.spent(c)
	if err != nil {
		return Sample{}, err
	}
	times, took, err := crowd.load(ctx, c.requests[kind], r.cfg.Duration)
	if err != nil {
		return Sample{}, err
	}
	after, err := r.spent(c)
	if err != nil {
		return Sample{}, err
	}
	return newSample(times, took, before, after), nil
}

// spent is the processor time that each part has used so far, and what the application holds in memory at most.
type spent struct {
	app, edge, load time.Duration
	database        map[int]time.Duration // by process; nil if it cannot be told
	memory          int64                 // bytes
}

func (r *run) spent(c *contender) (s spent, err error) {
	u, err := c.app.usage()
	if err != nil {
		return s, err
	}
	s.app, s.memory = u.CPU, u.Memory
	if c.edge != nil {
		if u, err = c.edge.usage(); err != nil {
			return s, err
		}
		s.edge = u.CPU
	}
	s.database, s.load = childrenOf(r.world.cluster.PID()), ownUsage().CPU
	return s, nil
}

func (r *run) result() *Result {
	result := &Result{System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.GOMAXPROCS(0), Go: runtime.Version(), PostgreSQL: r.world.version,
		Duration: r.cfg.Duration.Seconds(), Connections: r.cfg.Connections, Rounds: r.cfg.Rounds}
	for kind, name := range kindNames {
		t := Table{Question: name}
		for _, c := range r.asked(kind) {
			t.Rows = append(t.Rows, Row{Server: c.name, Title: c.title, Samples: c.samples[kind]})
		}
		t.compare()
		result.Tables = append(result.Tables, t)
	}
	return result
}
