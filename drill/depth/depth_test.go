package depth_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redoubt-dev/redoubt/drill/depth"
)

// A system is known by its minimal cuts: harm is done where one of them is out.
type system struct {
	layers, causes int
	cuts           []depth.Set
}

func (s system) harm(out depth.Set) bool {
	return slices.ContainsFunc(s.cuts, func(c depth.Set) bool { return c.In(out) })
}

func (s system) outcome(out depth.Set) depth.Outcome {
	if s.harm(out) {
		return depth.Harm
	}
	return depth.Stopped
}

// exhaustive tries every set that there is.
func (s system) exhaustive() (want depth.Result) {
	layers := depth.First(s.layers)
	want = depth.Result{Valid: s.harm(layers), Breach: s.harm(0), Depth: -1, Effective: -1}
	for out := range depth.Set(1) << (s.layers + s.causes) {
		if !s.harm(out) {
			continue
		}
		if want.Effective < 0 || out.Len() < want.Effective {
			want.Effective = out.Len()
		}
		if !out.In(layers) {
			continue
		}
		if want.Depth < 0 || out.Len() < want.Depth {
			want.Depth = out.Len()
		}
		if !slices.ContainsFunc(out.Units(), func(u int) bool { return s.harm(out &^ depth.Of(u)) }) {
			want.Cuts = append(want.Cuts, out)
		}
	}
	for u := range s.layers {
		if !want.Breach && want.Valid && !s.harm(layers&^depth.Of(u)) {
			want.Solo |= depth.Of(u)
		}
	}
	return want
}

// random makes one of up to most units; about every tenth has no layers' cut at all.
func random(r *rand.Rand, most int) system {
	s := system{layers: 1 + r.IntN(most-3), causes: r.IntN(4)}
	for range 1 + r.IntN(4) {
		var cut depth.Set
		for range r.IntN(6) {
			cut |= depth.Of(r.IntN(s.layers))
		}
		if s.causes > 0 && r.IntN(3) == 0 {
			cut |= depth.Of(s.layers + r.IntN(s.causes))
		}
		if cut != 0 || r.IntN(20) == 0 {
			s.cuts = append(s.cuts, cut)
		}
	}
	return s
}

func search(t *testing.T, c depth.Config, outcome func(depth.Set) depth.Outcome) depth.Result {
	t.Helper()
	s, err := depth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for sets := s.Next(); len(sets) > 0; sets = s.Next() {
		for _, set := range sets {
			s.Tell(set, outcome(set))
		}
	}
	return s.Result()
}

func check(t *testing.T, s system, got depth.Result) {
	t.Helper()
	want := s.exhaustive()
	if got.Valid != want.Valid || got.Breach != want.Breach {
		t.Fatalf("valid %t, breach %t; want %t, %t: %+v", got.Valid, got.Breach, want.Valid, want.Breach, s)
	}
	if !want.Valid {
		return
	}
	slices.Sort(got.Cuts)
	if got.Depth != want.Depth || got.Effective != want.Effective || got.Solo != want.Solo || !slices.Equal(got.Cuts, want.Cuts) || !got.Proven || !got.Complete {
		t.Fatalf("got %+v, want %+v: %+v", got, want, s)
	}
	for _, cut := range got.Causes {
		if !s.harm(cut) || cut.In(depth.First(s.layers)) {
			t.Fatalf("%v is no cut with a cause: %+v", cut.Units(), s)
		}
	}
	if len(got.Anomalies) > 0 || len(got.Unsure) > 0 {
		t.Fatalf("got anomalies %v, unsure %v", got.Anomalies, got.Unsure)
	}
}

func TestEverySystemIsMeasuredAsTryingEverySetWould(t *testing.T) { // SYSTEM G5
	r := rand.New(rand.NewPCG(7, 7))
	for range 3000 {
		s := random(r, 12)
		c := depth.Config{Layers: s.layers, Causes: s.causes, Runs: 5000, More: 5000, Expect: depth.Set(r.Uint64())}
		check(t, s, search(t, c, s.outcome))
		for _, c.Expect = range s.cuts {
			check(t, s, search(t, c, s.outcome))
		}
	}
}

func FuzzSystemsAreMeasured(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		s := random(rand.New(rand.NewPCG(a, b)), 12)
		got := search(t, depth.Config{Layers: s.layers, Causes: s.causes, Runs: 5000, More: 5000, Expect: depth.Set(a ^ b)}, s.outcome)
		check(t, s, got)
	})
}

// Layers that stand one behind the other, each sufficient: when that is expected, the runs that prove it; when nothing is, a few for each.
func TestAnAttackThatEachOfItsLayersStopsNeedsFewRuns(t *testing.T) {
	s := system{layers: 36, causes: 5, cuts: []depth.Set{depth.Of(3, 17, 30), depth.Of(36)}}
	for name, c := range map[string]struct {
		expect depth.Set
		runs   int
	}{
		"expected":            {depth.Of(3, 17, 30), 2 + 3 + 1 + 6},
		"more than is there":  {depth.Of(3, 17, 20, 30), 2 + 4 + 1 + 6 + 1},
		"one was not thought": {depth.Of(3, 30), 2 + 2 + 1 + 6 + 9},
		"nothing expected":    {0, 2 + 6 + 34},
		"all of it wrong":     {depth.Of(1, 2), 2 + 2 + 1 + 6 + 34},
	} {
		got := search(t, depth.Config{Layers: 36, Causes: 5, Expect: c.expect}, s.outcome)
		if got.Depth != 3 || got.Effective != 1 || !got.Proven || !got.Complete || got.Solo != depth.Of(3, 17, 30) {
			t.Errorf("%s: got %+v", name, got)
		}
		if got.Runs > c.runs {
			t.Errorf("%s: %d runs, want at most %d", name, got.Runs, c.runs)
		}
	}
}

func TestASearchOfFullSizeStaysWithinItsRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	most, total := 0, 0
	for range 200 {
		s := system{layers: 38, causes: 5}
		shared := depth.Of(r.IntN(38), r.IntN(38))
		for range 1 + r.IntN(3) {
			s.cuts = append(s.cuts, shared|depth.Of(r.IntN(38)), shared|depth.Of(38+r.IntN(5), r.IntN(38)))
		}
		got := search(t, depth.Config{Layers: 38, Causes: 5}, s.outcome)
		if !got.Proven || got.Depth < 1 || got.Effective > got.Depth {
			t.Fatalf("got %+v: %+v", got, s)
		}
		most, total = max(most, got.Runs), total+got.Runs
	}
	t.Logf("%d runs at most, %d in the mean", most, total/200)
	if most > 4*43+60 {
		t.Errorf("one search asked for %d runs", most)
	}
}

func TestASearchEndsWhenItsRunsAreUsedUp(t *testing.T) {
	s := system{layers: 12, cuts: []depth.Set{depth.Of(0, 1), depth.Of(2, 3), depth.Of(4, 5), depth.Of(6, 7)}}
	for runs := 1; runs < 60; runs++ {
		asked := 0
		got := search(t, depth.Config{Layers: 12, Runs: runs}, func(out depth.Set) depth.Outcome { asked++; return s.outcome(out) })
		if asked > runs || got.Runs != asked {
			t.Fatalf("asked %d times, said %d, of %d", asked, got.Runs, runs)
		}
		if got.Proven && got.Depth != 2 {
			t.Fatalf("with %d runs: got %+v", runs, got)
		}
	}
}

func TestAnythingIsAnEnd(t *testing.T) { // not even a system without any order keeps a search going
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		got := search(t, depth.Config{Layers: 10, Causes: 3, More: 50}, func(depth.Set) depth.Outcome { return depth.Outcome(r.IntN(3)) })
		if got.Runs > 4*13+60 {
			t.Fatalf("got %d runs", got.Runs)
		}
	}
}

func TestWhatContradictsItselfIsListed(t *testing.T) {
	got := search(t, depth.Config{Layers: 4}, func(out depth.Set) depth.Outcome {
		if out == depth.First(4) || out == depth.Of(0) { // the attack works without 0, and not without 0 and another
			return depth.Harm
		}
		return depth.Stopped
	})
	if !got.Valid || len(got.Anomalies) != 0 { // the solo row says that everything is needed: 0 alone was never asked
		t.Errorf("got %+v", got)
	}
	s, err := depth.New(depth.Config{Layers: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Tell(depth.Of(0), depth.Harm) // but it may be told
	s.Tell(depth.Of(0, 1), depth.Stopped)
	s.Tell(depth.Of(0, 1), depth.Harm) // the first word counts
	s.Tell(depth.Of(9), depth.Harm)    // there is no such unit
	if got, want := s.Result().Anomalies, []depth.Anomaly{{Less: depth.Of(0), More: depth.Of(0, 1)}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatIsUnsureIsNoStop(t *testing.T) {
	s := system{layers: 5, cuts: []depth.Set{depth.Of(1, 2)}}
	for name, c := range map[string]struct {
		unsure depth.Set
		want   string
	}{
		"with nothing out":       {0, "true false 2 2"},
		"with everything out":    {depth.First(5), "false false -1 -1"},
		"where it counts":        {depth.First(5) &^ depth.Of(1), "true false 2 2"}, // 1 is not said to stop it alone
		"where nobody asks":      {depth.Of(0, 1), "true false 2 2"},
		"where the harm was due": {depth.Of(1, 2), "true false 2 2"},
	} {
		got := search(t, depth.Config{Layers: 5}, func(out depth.Set) depth.Outcome {
			if out == c.unsure {
				return depth.Unsure
			}
			return s.outcome(out)
		})
		if name == "where it counts" && got.Solo.Has(1) {
			t.Errorf("%s: 1 is said to stop it alone", name)
		}
		if said := fmt.Sprint(got.Valid, got.Breach, got.Depth, got.Effective); said != c.want || (len(got.Unsure) > 0) != (name != "where nobody asks") {
			t.Errorf("%s: got %s, want %s; unsure %v", name, said, c.want, got.Unsure)
		}
	}
}

func TestASearchIsForSoManyUnits(t *testing.T) {
	for _, c := range []depth.Config{{}, {Layers: -1}, {Layers: 60, Causes: 5}, {Layers: 1, Causes: -1}, {Layers: 1, Runs: -1}, {Layers: 1, More: -1}} {
		if _, err := depth.New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	full := system{layers: 64, cuts: []depth.Set{depth.Of(63)}}
	if got := search(t, depth.Config{Layers: 64}, full.outcome); got.Depth != 1 || got.Solo != depth.Of(63) {
		t.Errorf("got %+v", got)
	}
}

func TestAClosedSearchWantsNothing(t *testing.T) {
	s, err := depth.New(depth.Config{Layers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Next(); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	s.Close()
	s.Close()
	if got := s.Next(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestSearchesShareTheirSets(t *testing.T) {
	var all []*depth.Search
	for range 3 {
		s, err := depth.New(depth.Config{Layers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		all = append(all, s)
	}
	all[1].Tell(0, depth.Stopped)
	got := depth.Gather(all)
	if len(got) != 2 || got[0].Set != 0 || !slices.Equal(got[0].By, []int{0, 2}) || !slices.Equal(got[1].By, []int{0, 1, 2}) {
		t.Errorf("got %+v", got)
	}
	all[0].Tell(0, depth.Stopped)
	if got := all[0].Next(); len(got) != 1 || got[0] != depth.First(2) {
		t.Errorf("got %v, want what is not told yet", got)
	}
}
