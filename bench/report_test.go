package bench

import (
	"strings"
	"testing"
	"time"
)

func TestRatiosAreOfTheSameRound(t *testing.T) {
	// The machine is half as fast in the second round, and busy in the third: that must not show in a ratio.
	table := Table{Question: "a question", Rows: []Row{
		{Server: bareSession, Title: "(a)", Samples: []Sample{{PerSecond: 400, AppCPU: 10}, {PerSecond: 200, AppCPU: 20}, {PerSecond: 40, AppCPU: 30}}},
		{Server: conventional, Title: "(b)", Samples: []Sample{{PerSecond: 200, AppCPU: 15, DatabaseCPU: 5}, {PerSecond: 100, AppCPU: 40}, {PerSecond: 20, AppCPU: 60}}},
		{Server: full, Title: "(c)", Samples: []Sample{{PerSecond: 300, AppCPU: 20}, {PerSecond: 150, AppCPU: 40}, {PerSecond: 30, AppCPU: 50, EdgeCPU: 10}}},
	}}
	table.compare()
	r := table.row(full)
	if r.ToConventional != 1.5 || r.ToBare != 0.75 || r.CPUToConventional != 1 || r.CPUToBare != 2 || r.Median.PerSecond != 150 || r.Median.AppCPU != 40 {
		t.Errorf("got %+v", *r)
	}
	var out strings.Builder
	(&Result{System: "any", Tables: []Table{table}}).Print(&out)
	for _, want := range []string{"a question", "(c)", "1.30 x as many requests as (b): met, 1.50", "0.75 x as many requests as (a): met, 0.75"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAGoalThatIsMissedIsSaid(t *testing.T) {
	table := Table{Rows: []Row{{Server: bareSession, Samples: []Sample{{PerSecond: 100}}}, {Server: conventional, Samples: []Sample{{PerSecond: 100}}}, {Server: full, Samples: []Sample{{PerSecond: 99}}}}}
	table.compare()
	var out strings.Builder
	table.print(&out)
	if !strings.Contains(out.String(), "as (b): MISSED, 0.99") || !strings.Contains(out.String(), "as (a): met, 0.99") {
		t.Errorf("the report says:\n%s", out.String())
	}
}

// SYSTEM D7: isolation is measured beside the same layers with WHERE by hand; of a change, beside one with the same audit trail.
func TestIsolationIsMeasuredBesideItsOwnLayers(t *testing.T) {
	cpu := func(app, database float64) []Sample {
		return []Sample{{AppCPU: app, DatabaseCPU: database}, {AppCPU: 3 * app, DatabaseCPU: 3 * database}} // the second round on a busy machine
	}
	reading := []Row{{Server: where, Samples: cpu(300, 100)}, {Server: whereOnce, Samples: cpu(300, 50)}, {Server: full, Samples: cpu(300, 132)}}
	changing := []Row{{Server: where, Samples: cpu(300, 100)}, {Server: whereOnce, Samples: cpu(300, 50)}, {Server: whereAudited, Samples: cpu(300, 200)}, {Server: full, Samples: cpu(300, 300)}}
	for _, c := range []struct {
		name                         string
		rows                         []Row
		hand, unaudited, once, alone float64
		says                         []string
	}{
		{"reading", reading, 1.08, 0, 432. / 350, 1.32, []string{"at most 1.10 x the processor time of (w): met, 1.08 (of the database's alone 1.32)"}},
		{"changing", changing, 1.2, 1.5, 600. / 350, 1.5, []string{"at most 1.15 x the processor time of (wa): MISSED, 1.20", "(wa) uses 1.25 x the processor time of (w); (c) uses 1.50 x"}},
	} {
		table := Table{Rows: c.rows}
		table.compare()
		r := table.row(full)
		if r.CPUToWhere != c.hand || r.CPUToUnaudited != c.unaudited || r.CPUToWhereOnce != c.once || r.DatabaseToWhere != c.alone {
			t.Errorf("%s: got %+v", c.name, *r)
		}
		var out strings.Builder
		table.print(&out)
		for _, want := range c.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the report lacks %q:\n%s", c.name, want, out.String())
			}
		}
	}
}

func TestTheCostOfARoundTripIsThatOfAQuietMoment(t *testing.T) {
	if got := cost([]float64{90, 10, 11, 12, 13, 14, 15, 16, 17, 18, 99}); got != 12 {
		t.Errorf("got %v, want the fifth part from below, 12", got)
	}
	if got := cost(nil); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
	// Ratios are of the same block, so a moment in which all was slow does not show; a request has identity's look-up before both.
	r := DatabaseResult{Trips: map[string][]float64{"with": {30, 300, 33}, "without": {20, 200, 22}, identityTrip: {10}}}
	if got := r.contrast(contrast{entered: "with", lookedUp: "without"}); got.ToLookedUp != 1.5 || got.More != 10 || got.OfRequest != 43./32 {
		t.Errorf("got %+v", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.values, got, c.want)
		}
	}
}

func TestOnlyTimeSinceTheBeginningCounts(t *testing.T) {
	before := map[int]time.Duration{1: time.Second, 2: time.Minute}
	after := map[int]time.Duration{1: 3 * time.Second, 3: time.Second} // 2 has ended, 3 is new
	if got := spentSince(before, after); got != 3*time.Second {
		t.Errorf("got %v, want 3s", got)
	}
}
