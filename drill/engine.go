package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/depth"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// A Config says what is measured.
type Config struct {
	Attacks  []attack.Attack    // at least one; their names differ
	Units    []knockout.Unit    // at least one of a layer; those of layers first, as knockout.Units has them
	Template *target.Template   // of a program that all units' cuts are in; required
	Pairs    bool               // take out every two units of layers too; zero is no
	Seed     uint64             // of all chance: the same seed, the same order and the same guesses
	Lanes    int                // copies that are attacked at the same time; zero is one for each processor, at most 4
	Patience time.Duration      // what one attack, one day of use or one probe may take; zero is 30 s, at most 5 minutes
	Progress func(report.Event) // is told of every configuration, one at a time; may be nil

	// Control is a day of legitimate use, which has to go well on every copy; zero is Day, that of Commons.
	Control func(context.Context, *target.Copy) error
	// Browser starts a browser, one for each lane; zero is attack.NewBrowser.
	Browser func() (*attack.Browser, error)
}

const (
	patience    = 30 * time.Second
	maxPatience = 5 * time.Minute
)

// maxLanes bounds the copies that run at the same time: each is a whole system.
const maxLanes = 4

// maxRuns bounds those of one attack. One whose expected units are right needs about twenty.
const maxRuns = 40

// maxMore bounds the runs that one attack gets for cuts beyond the first, which only the picture needs.
const maxMore = 1

// measure is one drill.
type measure struct {
	Config
	ctx      context.Context
	layers   int // the first of Units that belong to layers; common causes follow
	searches []*depth.Search
	lanes    []*lane

	mu     sync.Mutex // guards what follows
	report *report.Report
	runs   []map[depth.Set]report.Run // by attack
	done   int
	total  int
	faults map[string]bool  // that are in the report
	probed map[string]error // what the probes of units said
	hung   map[int]int      // how often an attack did not come to an end
	missed map[string]bool  // units that the code of a copy has asked for in vain
}

// Measure attacks copies of the template and reports what it found. It ends when ctx does, and reports what it has found until then as not
// complete. Nothing that it started is left running. An error says that nothing could be measured at all.
func Measure(ctx context.Context, c Config) (*report.Report, error) {
	m, err := newMeasure(ctx, c)
	if err != nil {
		return nil, err
	}
	defer m.close()
	began := time.Now()
	m.report.Began = began.UTC().Truncate(time.Second)
	m.rounds()
	if c.Pairs {
		m.pairs()
	}
	m.report.Seconds = time.Since(began).Seconds()
	m.conclude()
	return m.report, nil
}

func newMeasure(ctx context.Context, c Config) (*measure, error) {
	c = c.withDefaults()
	m := &measure{Config: c, ctx: ctx, report: &report.Report{Format: 1, Seed: c.Seed, Faults: []string{}, Anomalies: []string{}},
		faults: map[string]bool{}, missed: map[string]bool{}, probed: map[string]error{}, hung: map[int]int{}}
	m.layers = slices.IndexFunc(c.Units, knockout.Unit.Common)
	if m.layers < 0 {
		m.layers = len(c.Units)
	}
	if err := c.check(m.layers); err != nil {
		return nil, err
	}
	for range c.Lanes {
		m.lanes = append(m.lanes, &lane{measure: m})
	}
	for _, a := range c.Attacks {
		s, err := depth.New(depth.Config{Layers: m.layers, Causes: len(c.Units) - m.layers, Runs: maxRuns, More: maxMore, Expect: m.expected(a)})
		if err != nil {
			return nil, fmt.Errorf("setting the drill up: %w", err)
		}
		m.searches = append(m.searches, s)
		m.runs = append(m.runs, map[depth.Set]report.Run{})
	}
	return m, nil
}

// expected are the units that whoever wrote an attack has named. A name that there is no unit of is what the report says differs.
func (m *measure) expected(a attack.Attack) (set depth.Set) {
	for i, u := range m.Units {
		if slices.Contains(a.Expect, u.Name) {
			set |= depth.Of(i)
		}
	}
	return set
}

func (c Config) withDefaults() Config {
	if c.Lanes == 0 {
		c.Lanes = min(runtime.NumCPU(), maxLanes)
	}
	if c.Patience == 0 {
		c.Patience = patience
	}
	if c.Control == nil {
		c.Control = Day
	}
	if c.Browser == nil {
		c.Browser = attack.NewBrowser
	}
	if c.Progress == nil {
		c.Progress = func(report.Event) {}
	}
	return c
}

// check reports every problem at once.
func (c Config) check(layers int) error {
	var faults []error
	wrong := func(is bool, what string, args ...any) {
		if is {
			faults = append(faults, fmt.Errorf(what, args...))
		}
	}
	wrong(c.Template == nil, "there is no template")
	wrong(len(c.Attacks) == 0, "there is no attack")
	wrong(layers == 0, "there is no unit of a layer, or they do not come first")
	wrong(c.Lanes < 0 || c.Lanes > maxLanes, "Lanes is %d, and must be from 0 to %d", c.Lanes, maxLanes)
	wrong(c.Patience < 0 || c.Patience > maxPatience, "Patience is %v, and must be from 0 to %v", c.Patience, maxPatience)
	names := map[string]bool{}
	for i, u := range c.Units {
		wrong(u.Common() != (i >= layers), "%s: units of layers come first, then common causes", u.Name)
		wrong(u.Name == "" || names[u.Name], "the unit %q is there twice, or has no name", u.Name)
		names[u.Name] = true
	}
	for _, a := range c.Attacks {
		wrong(a.Name == "" || names[a.Name], "the attack %q is there twice, or has no name", a.Name)
		wrong(a.Run == nil, "the attack %q has no Run", a.Name)
		names[a.Name] = true
	}
	return errors.Join(faults...)
}

func (m *measure) close() {
	for _, s := range m.searches {
		s.Close()
	}
	for _, l := range m.lanes {
		l.close()
	}
}

// A job is one configuration: what is out, and which attacks are carried out there.
type job struct {
	out     depth.Set
	attacks []int
}

// rounds asks the searches what they want until they want nothing. What several want is run on one copy.
func (m *measure) rounds() {
	for round := 0; m.ctx.Err() == nil; round++ {
		m.giveUp()
		var jobs []job
		for _, w := range depth.Gather(m.searches) {
			jobs = append(jobs, job{out: w.Set, attacks: w.By})
		}
		if round == 1 { // after the controls, so that attacks that are worth nothing are left out
			jobs = m.singles(jobs)
		}
		if len(jobs) == 0 && round > 0 {
			return
		}
		m.run(jobs)
	}
}

// giveUp ends the searches of attacks that have hung too often.
func (m *measure) giveUp() {
	for i, s := range m.searches {
		if m.hung[i] >= maxHung {
			s.Close()
		}
	}
}

// singles adds each unit out alone: there its probe is tried, and a sample of attacks.
func (m *measure) singles(jobs []job) []job {
	for u := range m.Units {
		jobs = with(jobs, job{out: depth.Of(u), attacks: m.sample(depth.Of(u))})
	}
	return jobs
}

// with adds a job to those that are there, or to the one that has the same configuration.
func with(jobs []job, j job) []job {
	i := slices.IndexFunc(jobs, func(have job) bool { return have.out == j.out })
	if i < 0 {
		return append(jobs, j)
	}
	for _, a := range j.attacks {
		if !slices.Contains(jobs[i].attacks, a) {
			jobs[i].attacks = append(jobs[i].attacks, a)
		}
	}
	return jobs
}

// sampled is how many attacks are tried where nobody has to: what follows from other runs if harm is monotone is held to it there.
const sampled = 3

// sample chooses some of the valid attacks that need neither a browser nor a copy of their own, by the seed.
func (m *measure) sample(out depth.Set) (attacks []int) {
	for i, a := range m.Attacks {
		if !a.Browser && !a.Destroys && m.searches[i].Result().Valid {
			attacks = append(attacks, i)
		}
	}
	r := rand.New(rand.NewPCG(m.Seed, ^uint64(out)))
	r.Shuffle(len(attacks), func(a, b int) { attacks[a], attacks[b] = attacks[b], attacks[a] })
	return attacks[:min(sampled, len(attacks))]
}

// oneIn is how many pairs there are, of those whose outcome follows for every attack, to one that is tried all the same.
const oneIn = 20

// pairs takes out every two units of layers. Tried are the attacks that are to do harm there and those of which nothing is known; and, on a
// sample of the pairs, of those of which it follows that they do none.
func (m *measure) pairs() {
	var jobs []job
	r := rand.New(rand.NewPCG(m.Seed, uint64(m.layers)))
	for a := range m.layers {
		for b := range a {
			j := job{out: depth.Of(a, b), attacks: m.sample(depth.Of(a, b))}
			var needed []int
			for i, s := range m.searches {
				o, follows := s.Implied(j.out)
				found := s.Result()
				news := o == depth.Harm && !harms(s, a) && !harms(s, b) // one of them by itself would be nothing new
				if found.Valid && !found.Breach && (!follows || news) {
					needed = append(needed, i)
				}
			}
			for _, i := range needed {
				if !slices.Contains(j.attacks, i) {
					j.attacks = append(j.attacks, i)
				}
			}
			if j = m.untried(j); len(needed) > 0 || r.IntN(oneIn) == 0 {
				jobs = append(jobs, j)
			}
		}
	}
	m.run(jobs)
}

// harms reports whether an attack is known to do harm where one unit alone is out.
func harms(s *depth.Search, unit int) bool {
	o, _ := s.Implied(depth.Of(unit))
	return o == depth.Harm
}

// untried leaves out what has been tried there already.
func (m *measure) untried(j job) job {
	j.attacks = slices.DeleteFunc(j.attacks, func(a int) bool { _, tried := m.runs[a][j.out]; return tried })
	return j
}

// run carries jobs out on as many lanes as there are, and waits for all of them.
func (m *measure) run(jobs []job) {
	m.mu.Lock()
	m.total += len(jobs)
	m.mu.Unlock()
	slices.SortStableFunc(jobs, func(a, b job) int { return len(b.attacks) - len(a.attacks) }) // long ones first, so that no lane is left with one
	queue := make(chan job)
	var lanes sync.WaitGroup
	for _, l := range m.lanes[:min(len(m.lanes), len(jobs))] {
		lanes.Go(func() {
			for j := range queue {
				l.configuration(j)
			}
		})
	}
	for _, j := range jobs {
		if m.ctx.Err() != nil {
			break
		}
		queue <- j
	}
	close(queue)
	lanes.Wait()
}
