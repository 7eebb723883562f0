package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/drill/depth"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// maxInvalid is the share of attacks, in percent, that may do no harm even where everything is out.
const maxInvalid = 2

// names are those of the units of a set, in their order; never nil, for the report is read by programs too.
func (m *measure) names(out depth.Set) []string {
	names := make([]string, 0, out.Len())
	for _, u := range out.Units() {
		names = append(names, m.Units[u].Name)
	}
	return names
}

// fewNames bounds the units that are named one by one.
const fewNames = 4

// called is a configuration's name within a sentence.
func (m *measure) called(out depth.Set) string {
	layers := depth.First(m.layers)
	in := layers &^ out
	switch {
	case out == 0:
		return "with everything in place"
	case out == layers:
		return "without any layer"
	case out.Len() <= fewNames:
		return "without " + strings.Join(m.names(out), ", ")
	case out.In(layers) && in.Len() <= fewNames:
		return "with nothing but " + strings.Join(m.names(in), ", ")
	}
	return fmt.Sprintf("without %d units", out.Len())
}

// faulty puts a sentence into the report, once; mu is held.
func (m *measure) faulty(text string) {
	if !m.faults[text] {
		m.faults[text] = true
		m.report.Faults = append(m.report.Faults, text)
	}
}

// bites keeps what a probe said.
func (l *lane) bites(u knockout.Unit, err error) {
	if err != nil {
		l.fault("taking %s out is not seen to matter: %v", u.Name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.probed[u.Name] = err
}

// describe notes, once, what machine this is.
func (l *lane) describe(c *target.Copy) {
	l.mu.Lock()
	known := l.report.Machine != ""
	l.mu.Unlock()
	if known {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	var version string
	if err := c.Admin().QueryRow(ctx, `select split_part(current_setting('server_version'), ' ', 1)`).Scan(&version); err != nil {
		return // another copy will say
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Machine = fmt.Sprintf("%s/%s, %d processors, PostgreSQL %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), version)
}

// conclude writes the report from what was found.
func (m *measure) conclude() {
	r := m.report
	for i := range m.Attacks {
		r.Attacks = append(r.Attacks, m.attacked(i))
	}
	for i, u := range m.Units {
		r.Units = append(r.Units, m.unit(i, u))
	}
	if m.Pairs {
		r.Pairs = m.paired()
	}
	if m.ctx.Err() == nil {
		m.validity()
	}
	r.Complete = m.ctx.Err() == nil && !slices.ContainsFunc(r.Attacks, func(a report.Attack) bool {
		return slices.ContainsFunc(a.Runs, func(run report.Run) bool { return run.Outcome == report.Failed })
	})
}

// validity fails a drill whose attacks are not attacks.
func (m *measure) validity() {
	var invalid []string
	for _, a := range m.report.Attacks {
		if !a.Valid && len(a.Runs) > 0 {
			invalid = append(invalid, a.Name)
		}
	}
	if len(invalid) == 0 {
		return
	}
	m.anomaly("these do no harm even without any layer, and count for nothing: %s", strings.Join(invalid, ", "))
	if 100*len(invalid) > maxInvalid*len(m.Attacks) {
		m.faulty(fmt.Sprintf("%d of %d attacks are not valid, and %d %% may be", len(invalid), len(m.Attacks), maxInvalid))
	}
}

func (m *measure) anomaly(format string, args ...any) {
	m.report.Anomalies = append(m.report.Anomalies, fmt.Sprintf(format, args...))
}

// attacked is what was found about one attack.
func (m *measure) attacked(i int) report.Attack {
	a, found := m.Attacks[i], m.searches[i].Result()
	out := report.Attack{Name: a.Name, Threat: a.Threat, Group: a.Group, Title: a.Title, Expect: append([]string{}, a.Expect...), Honest: a.Honest,
		Valid: found.Valid, Breach: found.Breach, Depth: found.Depth, Effective: found.Effective, Solo: m.names(found.Solo), Company: []string{}, Cuts: [][]string{}, Causes: [][]string{}}
	parts := found.Solo
	for _, cut := range found.Cuts {
		out.Cuts = append(out.Cuts, m.names(cut))
		parts |= cut
	}
	for _, cut := range found.Causes {
		out.Causes = append(out.Causes, m.names(cut))
	}
	out.Company = m.names(parts &^ found.Solo)
	out.Runs = m.told(i)
	out.By = m.runs[i][0].By
	out.Agrees = out.By == "" || slices.ContainsFunc(m.names(parts), func(name string) bool { return string(m.layer(name)) == out.By })
	m.judged(out, found)
	return out
}

func (m *measure) layer(unit string) string {
	i := slices.IndexFunc(m.Units, func(u knockout.Unit) bool { return u.Name == unit })
	return string(m.Units[i].Layer)
}

// told are an attack's runs, those with the fewest units out first.
func (m *measure) told(i int) []report.Run {
	sets := make([]depth.Set, 0, len(m.runs[i]))
	for set := range m.runs[i] {
		sets = append(sets, set)
	}
	slices.SortFunc(sets, func(a, b depth.Set) int { return cmp.Or(a.Len()-b.Len(), cmp.Compare(a, b)) })
	runs := make([]report.Run, 0, len(sets))
	for _, set := range sets {
		runs = append(runs, m.runs[i][set])
	}
	return runs
}

// judged puts into the report what is wrong with an attack, and what was not expected.
func (m *measure) judged(a report.Attack, found depth.Result) {
	for _, kind := range []struct{ outcome, said string }{{report.Crashed, "broke the copy"}, {report.Hung, "did not come to an end"}, {report.Failed, "could not be carried out"}} {
		runs := slices.DeleteFunc(slices.Clone(a.Runs), func(run report.Run) bool { return run.Outcome != kind.outcome })
		if len(runs) > 0 && kind.outcome == report.Crashed && found.Proven && !slices.ContainsFunc(runs, m.matters) {
			m.anomaly("%s broke the copy in %d of %d runs, all of them with much out that no proof needs", a.Name, len(runs), len(a.Runs))
		} else if len(runs) > 0 {
			m.faulty(fmt.Sprintf("%s %s in %d of %d runs, first without %d units: %s", a.Name, kind.said, len(runs), len(a.Runs), len(runs[0].Out), runs[0].Note))
		}
	}
	if m.ctx.Err() != nil || !found.Valid {
		return
	}
	if !found.Proven {
		m.faulty(fmt.Sprintf("%s: its depth was not found within %d runs", a.Name, found.Runs))
	}
	for _, set := range found.Anomalies {
		m.anomaly("%s did harm without %s, and none without %s", a.Name, m.some(set.Less), m.some(set.More))
	}
	if !a.Agrees {
		m.anomaly("%s was refused by %s, by its own word, which no cut has a unit of", a.Name, a.By)
	}
	if surprise := differ(a.Expect, a.Solo); surprise != "" && !found.Breach && len(a.Expect) > 0 { // those that are generated expect nothing
		m.anomaly("%s: %s", a.Name, surprise)
	}
}

// few is how many units may be out for a failure that somebody may live to see.
const few = 2

// matters reports whether a run is one of those by which an attack is judged: with few units out, or few in place.
func (m *measure) matters(run report.Run) bool {
	return len(run.Out) <= few || len(run.Out) >= m.layers-1
}

// some names the units of a set, or how many there are.
func (m *measure) some(set depth.Set) string {
	if set.Len() > fewNames {
		return fmt.Sprintf("%d units (all but %s)", set.Len(), strings.Join(m.names(depth.First(len(m.Units))&^set), ", "))
	}
	return "[" + strings.Join(m.names(set), ", ") + "]"
}

// differ says how what stops an attack alone differs from what was expected to.
func differ(expected, found []string) string {
	var said []error
	for _, unit := range expected {
		if !slices.Contains(found, unit) {
			said = append(said, fmt.Errorf("%s was expected to stop it alone, and does not", unit))
		}
	}
	for _, unit := range found {
		if !slices.Contains(expected, unit) {
			said = append(said, fmt.Errorf("%s stops it alone, which was not expected", unit))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return strings.ReplaceAll(errors.Join(said...).Error(), "\n", "; ")
}

// unit is what was found about one.
func (m *measure) unit(i int, u knockout.Unit) report.Unit {
	out := report.Unit{Name: u.Name, Layer: string(u.Layer), What: u.What, Gone: u.Gone, Missed: m.missed[u.Name]}
	if err, probed := m.probed[u.Name]; !probed {
		out.Bites = "it was not tried"
	} else if err != nil {
		out.Bites = err.Error()
	}
	for _, s := range m.searches {
		found := s.Result()
		if found.Solo.Has(i) {
			out.Solo++
		}
		if alone := depth.Of(i); slices.Contains(found.Cuts, alone) || slices.Contains(found.Causes, alone) {
			out.Last++
		}
	}
	if len(u.Cuts) > 0 && !out.Missed && m.ctx.Err() == nil {
		m.anomaly("nobody has missed %s: no code that it was cut from has run", u.Name)
	}
	return out
}

// paired is the picture of pairs: what does harm where both are out and with neither alone.
func (m *measure) paired() (pairs []report.Pair) {
	for a := range m.layers {
		for b := range a {
			pair := report.Pair{A: m.Units[b].Name, B: m.Units[a].Name, Attacks: []string{}}
			for i, s := range m.searches {
				if m.harms(s, depth.Of(a, b)) && !m.harms(s, depth.Of(a)) && !m.harms(s, depth.Of(b)) {
					pair.Attacks = append(pair.Attacks, m.Attacks[i].Name)
				}
			}
			pairs = append(pairs, pair)
		}
	}
	slices.SortStableFunc(pairs, func(x, y report.Pair) int { return m.index(x.A) - m.index(y.A) })
	return pairs
}

func (m *measure) index(unit string) int {
	return slices.IndexFunc(m.Units, func(u knockout.Unit) bool { return u.Name == unit })
}

func (m *measure) harms(s *depth.Search, out depth.Set) bool {
	o, known := s.Implied(out)
	return known && o == depth.Harm
}
