package drill

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/depth"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// What is over its time is told so, has a sixth of that time more to notice, and is then left behind, together with its copy.
const grace = 6

// maxHung bounds how often one attack may fail to come to an end: then it is given up, or it would cost hours.
const maxHung = 3

// A lane attacks one copy after the other, with a browser of its own.
type lane struct {
	*measure
	browser *attack.Browser // nil until an attack needs one
	copy    *target.Copy
	event   report.Event // of the configuration
}

func (l *lane) close() {
	if l.browser != nil {
		l.browser.Close()
	}
}

// configuration starts a copy without the units of the job, holds it to a day of legitimate use, looks whether the unit is really missing
// where it is one alone, and carries out the attacks.
func (l *lane) configuration(j job) {
	began := time.Now()
	l.event = report.Event{Configuration: l.called(j.out)}
	if l.start(j.out) {
		if l.control(j.out) {
			l.probe(j.out)
			l.attacks(j)
		}
		l.stop()
	}
	if l.ctx.Err() == nil {
		l.untold(j)
	}
	l.event.Took = time.Since(began)
	l.tell()
}

// start starts a copy, twice if need be: a port that was free may have been taken since.
func (l *lane) start(out depth.Set) bool {
	units := make([]knockout.Unit, 0, len(l.Units))
	for _, u := range out.Units() {
		units = append(units, l.Units[u])
	}
	var faults [2]error
	for i := range faults {
		if l.ctx.Err() != nil {
			return false
		}
		if l.copy, faults[i] = l.Template.Start(l.ctx, units); faults[i] == nil {
			l.describe(l.copy)
			return true
		}
	}
	l.copy = nil
	if l.ctx.Err() == nil {
		l.fault("a copy %s does not start: %v", l.event.Configuration, faults[1])
	}
	return false
}

func (l *lane) stop() {
	if l.copy == nil {
		return
	}
	missed, err := l.copy.Missed(), l.copy.Stop()
	if err != nil {
		l.fault("a copy %s was not removed: %v", l.event.Configuration, err)
	}
	l.copy = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range missed {
		l.missed[u] = true
	}
}

// control is the negative control: what stops attacks by stopping everybody is no defence.
func (l *lane) control(out depth.Set) bool {
	err := l.within(func(ctx context.Context) error { return l.Control(ctx, l.copy) })
	if l.ctx.Err() != nil {
		return false
	}
	l.mu.Lock()
	l.report.Controls++
	l.mu.Unlock()
	if err != nil {
		l.fault("legitimate use fails %s, so that nothing that was seen there counts: %v", l.event.Configuration, err)
	}
	return err == nil
}

// probe looks whether a unit that is out alone is really missing.
func (l *lane) probe(out depth.Set) {
	if out.Len() != 1 {
		return
	}
	u := l.Units[out.Units()[0]]
	if u.Bites == nil {
		l.bites(u, errors.New("nothing proves it"))
		return
	}
	err := l.within(func(ctx context.Context) error { return u.Bites(ctx, l.copy) })
	if l.ctx.Err() == nil {
		l.bites(u, err)
	}
	if errors.Is(err, errLost) { // it may still ask the copy
		l.stop()
	}
}

// within calls what others wrote: it may panic, and it may not come back.
func (l *lane) within(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(l.ctx, l.Patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("it panicked: %v", p)
			}
		}()
		done <- call(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return errors.Join(ctx.Err(), err)
	case <-time.After(l.Patience / grace):
		return errLost
	}
}

// errLost is what never came back. Its copy is given up.
var errLost = errors.New("it does not come to an end")

// attacks carries out those of the job in an order of the seed's; those that leave ruins last, each but the last on a copy of its own.
func (l *lane) attacks(j job) {
	order := slices.Clone(j.attacks)
	r := rand.New(rand.NewPCG(l.Seed, uint64(j.out)))
	slices.Sort(order)
	r.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	slices.SortStableFunc(order, func(a, b int) int { return destroys(l.Attacks[a]) - destroys(l.Attacks[b]) })
	for n, a := range order {
		if l.ctx.Err() != nil {
			return
		}
		if l.copy != nil && !l.copy.Alive() { // later than the attack that it died of could see
			l.stop()
		}
		if l.copy == nil && !l.start(j.out) {
			return
		}
		if l.lost(a) {
			continue
		}
		run, intact := l.attack(l.Attacks[a])
		if l.ctx.Err() != nil { // what it did was cut short
			return
		}
		run.Out = l.names(j.out)
		l.record(a, j.out, run)
		if !intact || l.Attacks[a].Destroys && n < len(order)-1 {
			l.stop()
		}
	}
}

func destroys(a attack.Attack) int {
	if a.Destroys {
		return 1
	}
	return 0
}

// attack carries one out. What it leaves is intact if the copy can be attacked again.
func (l *lane) attack(a attack.Attack) (run report.Run, intact bool) {
	s := &attack.Scene{Copy: l.copy, Rand: chance(l.Seed, a.Name)}
	if a.Browser {
		if err := l.browse(); err != nil {
			return report.Run{Outcome: report.Failed, Note: err.Error()}, true
		}
		s.Tab = l.browser.Tab
	}
	log := len(l.copy.Log("application"))
	began := time.Now()
	harm := false
	err := l.within(func(ctx context.Context) (err error) {
		harm, err = a.Run(ctx, s)
		return err
	})
	took := time.Since(began)
	if errors.Is(err, errLost) { // it still has the scene
		return report.Run{Outcome: report.Hung, Note: err.Error(), Millis: took.Milliseconds()}, false
	}
	text := l.copy.Log("application")
	run = judge(seen{harm: harm, err: err, late: took >= l.Patience, alive: l.copy.Alive(), steps: s.Steps(), log: text[min(log, len(text)):]})
	run.Millis = took.Milliseconds()
	return run, l.copy.Alive() && run.Outcome != report.Hung
}

// chance is an attack's own: the same in every configuration, whatever ran before.
func chance(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// browse looks for this lane's browser, once. Without one the drill goes on, and says which attacks it could not carry out.
func (l *lane) browse() (err error) {
	if l.browser != nil {
		return nil
	}
	if l.browser, err = l.Browser(); err != nil {
		l.browser = nil
		l.fault("attacks that need a browser were not carried out: %v", err)
	}
	return err
}

// untold tells the searches of what could not be tried, or they would ask for it again.
func (l *lane) untold(j job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range j.attacks {
		l.searches[a].Tell(j.out, depth.Unsure) // the first word counts
	}
}

// lost reports whether an attack has been given up.
func (l *lane) lost(a int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hung[a] >= maxHung
}

// record keeps a run and tells the attack's search.
func (l *lane) record(a int, out depth.Set, run report.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Runs++
	l.runs[a][out] = run
	l.searches[a].Tell(out, outcomes[run.Outcome])
	switch run.Outcome {
	case report.Harm:
		l.event.Harm = append(l.event.Harm, l.Attacks[a].Name)
	case report.Hung:
		l.hung[a]++
	}
}

var outcomes = map[string]depth.Outcome{report.Harm: depth.Harm, report.Stopped: depth.Stopped}

// fault puts a sentence into the report, once.
func (l *lane) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event.Faults = append(l.event.Faults, text)
	l.faulty(text)
}

func (l *lane) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	l.report.Configurations = l.done
	l.event.Done, l.event.Total, l.event.Runs = l.done, l.total, l.report.Runs
	slices.Sort(l.event.Harm)
	l.Progress(l.event)
}
