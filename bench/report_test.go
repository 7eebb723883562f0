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
