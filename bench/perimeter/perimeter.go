// Package perimeter measures what the perimeter costs a request, beside servers without it, in one run and on one machine: an
// application that is asked directly, one behind net/http's reverse proxy, one behind an inverted HTTP/2 connection, and one behind
// the edge and the link, in the same process as the link's end and in one of its own. All of them speak TLS 1.3 to the public.
//
// Each server is a process of its own, so that its processor time and memory are its own, and the load comes from yet another. They
// take turns in rounds; a ratio is the median of the ratios within each round, because the machine is as fast as it pleases, but
// mostly equally so for neighbours in time.
package perimeter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Limits of a run.
const (
	MaxDuration    = 10 * time.Minute
	MaxConnections = 2000
	MaxRounds      = 100
	MaxBytes       = 8 << 30
	MaxReaders     = 500
	MaxEvents      = 100_000
	MaxRoundTrip   = 5 * time.Second
)

// A Config says what to measure and how.
type Config struct {
	Server      []string      // the command line that runs Serve in a process of its own; required
	Only        []string      // names of the measurements to make, as Measurements lists them; none means all
	Rounds      int           // how often every server has its turn; zero is five
	Duration    time.Duration // of each measurement that is not of one transfer; zero is three seconds
	Connections []int         // that ask at once, one measurement for each number; none means 1, 50 and 400
	Bulk        int64         // bytes of a transfer; zero is 100 MB
	RoundTrip   time.Duration // of the long hop; zero is 50 ms
	Far         int64         // bytes of a transfer over the long hop; zero is 300 MB
	Readers     int           // that read slowly at once; zero is 20
	Rate        int           // bytes per second that each of them takes; zero is 200,000
	Events      int           // of a stream; zero is 100
	Profiles    string        // a folder for a CPU profile of each process; empty makes none
	Say         func(string)  // told what is under way; nil is silence
}

func (cfg Config) orDefault() Config {
	cfg.Rounds = or(cfg.Rounds, 5)
	cfg.Duration = or(cfg.Duration, 3*time.Second)
	cfg.Bulk = or(cfg.Bulk, 100e6)
	cfg.RoundTrip = or(cfg.RoundTrip, 50*time.Millisecond)
	cfg.Far = or(cfg.Far, 300e6)
	cfg.Readers = or(cfg.Readers, 20)
	cfg.Rate = or(cfg.Rate, 200_000)
	cfg.Events = or(cfg.Events, 100)
	if len(cfg.Connections) == 0 {
		cfg.Connections = []int{1, busy, 400}
	}
	if len(cfg.Only) == 0 {
		cfg.Only = Measurements()
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	return cfg
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (cfg Config) check() error {
	var faults []error
	problem := func(bad bool, format string, a ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("bench: "+format, a...))
		}
	}
	problem(len(cfg.Server) == 0, "Server is required")
	problem(cfg.Rounds < 0 || cfg.Rounds > MaxRounds, "the number of rounds is not between 1 and %d", MaxRounds)
	problem(cfg.Duration < 0 || cfg.Duration > MaxDuration, "the duration is not between zero and %s", MaxDuration)
	for _, n := range cfg.Connections {
		problem(n < 1 || n > MaxConnections, "the number of connections is not between 1 and %d", MaxConnections)
	}
	problem(cfg.Bulk < 0 || cfg.Bulk > MaxBytes || cfg.Far < 0 || cfg.Far > MaxBytes, "a transfer is not between 1 byte and %d", int64(MaxBytes))
	problem(cfg.RoundTrip < 0 || cfg.RoundTrip > MaxRoundTrip, "the round trip is not between zero and %s", MaxRoundTrip)
	problem(cfg.Readers < 0 || cfg.Readers > MaxReaders || cfg.Rate < 0, "the number of slow readers is not between 1 and %d, or their rate is negative", MaxReaders)
	problem(cfg.Events < 0 || cfg.Events > MaxEvents, "the number of events is not between 1 and %d", MaxEvents)
	for _, name := range cfg.Only {
		problem(!slices.Contains(Measurements(), name), "there is no measurement %q; there are %q", name, Measurements())
	}
	return errors.Join(faults...)
}

// A measurement gives tables. It starts its servers and stops them.
type measurement struct {
	name string
	take func(*run, context.Context) ([]Table, error)
}

var measurements = []measurement{
	{"requests", (*run).requests},
	{"bulk", (*run).bulk},
	{"far", (*run).far},
	{"slow", (*run).slow},
	{"events", (*run).events},
	{"restart", (*run).restart},
}

// Measurements are the names of what can be measured, in the order in which it is.
func Measurements() (names []string) {
	for _, m := range measurements {
		names = append(names, m.name)
	}
	return names
}

var errInterrupted = errors.New("the measurement was interrupted; nothing of it is left")

// Run measures, and leaves nothing behind but profiles. It ends early when ctx does.
func Run(ctx context.Context, cfg Config) (result *Result, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &run{cfg: cfg.orDefault()}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	defer func() {
		if ctx.Err() != nil {
			result, err = nil, errInterrupted
		}
		err = errors.Join(err, os.RemoveAll(r.dir))
	}()
	result = r.begin()
	for _, m := range measurements {
		if !slices.Contains(r.cfg.Only, m.name) {
			continue
		}
		tables, err := m.take(r, ctx)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", m.name, err)
		}
		result.Tables = append(result.Tables, tables...)
	}
	result.finish()
	return result, nil
}

// A run is one measurement from start to end.
type run struct {
	cfg     Config
	dir     string // of logs and of the edges' folders
	public  pair   // the certificate that every public side shows
	started int    // processes, for the names of their profiles and folders

	credential credential // that lets the load generator in
}

// prepare makes the folder and the certificate.
func (r *run) prepare() (err error) {
	if r.cfg.Profiles != "" {
		if r.cfg.Profiles, err = filepath.Abs(r.cfg.Profiles); err != nil {
			return err
		}
		if err := os.MkdirAll(r.cfg.Profiles, 0o755); err != nil {
			return fmt.Errorf("making a folder for profiles: %w", err)
		}
	}
	if r.public, err = newPair(); err != nil {
		return err
	}
	if r.credential, err = newCredential(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("", fmt.Sprintf("redoubt-hop-%d-", os.Getpid())); err != nil {
		return fmt.Errorf("making a folder for the measurement: %w", err)
	}
	return nil
}

// rounds gives everybody a turn in each round, the first of which only warms up and is not kept. Every other round goes the other
// way around, so that nobody always follows the same neighbour.
func (r *run) rounds(ctx context.Context, what string, all []*contender, turn func(context.Context, *contender) (Sample, error)) ([]Row, error) {
	rows := make([]Row, len(all))
	for i, c := range all {
		rows[i] = Row{Contender: c.name, Title: c.title}
	}
	for round := range r.cfg.Rounds + 1 {
		for n := range all {
			i := n
			if round%2 == 1 {
				i = len(all) - 1 - n
			}
			r.cfg.Say(fmt.Sprintf("%s: round %d of %d (0 warms up): %s", what, round, r.cfg.Rounds, all[i].title))
			sample, err := turn(ctx, all[i])
			if err != nil {
				return nil, all[i].blame(err)
			}
			if round > 0 {
				rows[i].Samples = append(rows[i].Samples, sample)
			}
		}
	}
	return rows, nil
}
