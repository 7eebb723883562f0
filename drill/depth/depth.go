// Package depth finds how many layers have to fail together before an attack does harm, in few runs: every run costs a copy of a
// whole system, started without some of its layers. It knows nothing of layers, attacks or copies. It asks for sets of units to be taken
// out, is told what an attack did there, and asks again, so that whoever drills can carry out all that wait for one set on one copy.
//
// A unit is something that can be taken out; harm is taken to be monotone: what does harm where a set is out does harm where more is.
// What contradicts that is not smoothed over but listed (Result.Anomalies). With S(K) for "harm was done while K was out":
//
//   - an attack is valid if it does harm with all layers out, and a breach if it does with none out;
//   - its solo set are the units that stop it with every other one out, and every set that lets it through contains them all: if the solo
//     set lets it through, it is the one minimal cut, and its size the depth. Where that is expected, as many runs as there are units in it
//     and one more prove it;
//   - else the depth is the size of the smallest set that hits every known blocker, once that set lets the attack through (implicit hitting
//     sets). A blocker is a minimal set of units that stops the attack while all others are out; each set that was expected to let
//     the attack through and did not yields one more;
//   - the effective depth is the same, where a common cause, which takes several layers out at once, costs one like any other unit.
package depth

import (
	"fmt"
	"iter"
	"slices"
)

// A Config says what is searched. Units are numbered: those of layers first, then common causes.
type Config struct {
	Layers int // units of layers; at least one
	Causes int // common causes
	Expect Set // units of layers that are expected to stop it alone; what is right about it saves runs, and nothing hangs on it
	Runs   int // the most runs that the search may ask for; zero is 4 for each unit and 60 more
	More   int // the most runs for cuts beyond the first, which the depth does not need; zero is none
}

// An Outcome is what came of an attack.
type Outcome int8

// The outcomes. Unsure is anything that is neither: a crash, an attack that could not be carried out. It is never taken for a stop.
const (
	Unsure Outcome = iota
	Stopped
	Harm
)

// A Result is what the search has found out so far.
type Result struct {
	Valid     bool      // it did harm with all layers out
	Breach    bool      // it did harm with nothing out
	Depth     int       // the fewest units of layers that have to be out; -1 if no such set was found
	Effective int       // the same with common causes
	Proven    bool      // Depth and Effective are exact, if harm is monotone; else they may be less than what they say, or -1
	Solo      Set       // the units that stop it alone
	Cuts      []Set     // minimal sets of layers' units that let it through
	Complete  bool      // Cuts are all of them
	Causes    []Set     // the same with a common cause in each, as small as Effective
	Unsure    []Set     // where the answer that was needed was neither harm nor a stop
	Anomalies []Anomaly // what contradicts that harm is monotone
	Runs      int       // how many were asked for
}

// An Anomaly is an attack that did harm while Less was out and none while More was, which is all of Less and others.
type Anomaly struct{ Less, More Set }

// A Search is one attack's. It is for one goroutine.
type Search struct {
	config Config
	layers Set // all units of layers
	all    Set // with the common causes
	known  map[Set]Outcome
	order  []Set // of known, as they were told
	wanted []Set
	left   int
	result Result

	blockers map[Set][]Set // by the units that were to be out: layers or all
	next     func() ([]Set, bool)
	stop     func()
	done     bool
}

// New starts a search.
func New(c Config) (*Search, error) {
	switch {
	case c.Layers < 1 || c.Causes < 0 || c.Layers+c.Causes > MaxUnits:
		return nil, fmt.Errorf("a search is for 1 to %d units, not %d and %d causes", MaxUnits, c.Layers, c.Causes)
	case c.Runs < 0 || c.More < 0:
		return nil, fmt.Errorf("a search cannot ask for fewer runs than none")
	case c.Runs == 0:
		c.Runs = 4*(c.Layers+c.Causes) + 60
	}
	s := &Search{config: c, layers: First(c.Layers), all: First(c.Layers + c.Causes), known: map[Set]Outcome{}, left: c.Runs, blockers: map[Set][]Set{}}
	s.result.Depth, s.result.Effective = -1, -1
	s.next, s.stop = iter.Pull(s.steps)
	return s, nil
}

// Next is where the attack has to be run next; empty when the search is over. It stays the same until all of it has been told.
func (s *Search) Next() []Set {
	s.wanted = slices.DeleteFunc(s.wanted, func(set Set) bool { _, told := s.known[set]; return told })
	for len(s.wanted) == 0 && !s.done {
		wanted, more := s.next()
		s.wanted, s.done = wanted, !more
	}
	return s.wanted
}

// Tell says what came of the attack while set was out. It may be told without having been asked for. The first word for a set counts.
func (s *Search) Tell(set Set, o Outcome) {
	if _, again := s.known[set]; again || !set.In(s.all) {
		return
	}
	s.known[set] = o
	s.order = append(s.order, set)
}

// Close ends a search before its end.
func (s *Search) Close() {
	s.stop()
	s.done, s.wanted = true, nil
}

// Result is what has been found so far.
func (s *Search) Result() Result {
	r := s.result
	r.Cuts, r.Causes = slices.Clone(r.Cuts), slices.Clone(r.Causes)
	r.Unsure, r.Anomalies = s.unsure(), s.anomalies()
	return r
}

func (s *Search) unsure() (sets []Set) {
	for _, set := range s.order {
		if s.known[set] == Unsure {
			sets = append(sets, set)
		}
	}
	return sets
}

// maxAnomalies bounds those that are listed of one attack.
const maxAnomalies = 10

// anomalies are pairs of runs in which more was out and less was harmed.
func (s *Search) anomalies() (found []Anomaly) {
	for _, less := range s.order {
		for _, more := range s.order {
			if s.known[less] == Harm && s.known[more] == Stopped && less.In(more) {
				if found = append(found, Anomaly{less, more}); len(found) == maxAnomalies {
					return found
				}
			}
		}
	}
	return found
}

// A Wanted is a set that searches wait for.
type Wanted struct {
	Set Set
	By  []int // the indices of the searches
}

// Gather is what several searches want next, so that all that want a set can be run on one copy: in the order of the first to want it.
func Gather(searches []*Search) (all []Wanted) {
	at := map[Set]int{}
	for i, s := range searches {
		for _, set := range s.Next() {
			if _, ok := at[set]; !ok {
				at[set] = len(all)
				all = append(all, Wanted{Set: set})
			}
			all[at[set]].By = append(all[at[set]].By, i)
		}
	}
	return all
}
