package perimeter

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func example() *Result {
	t := Table{Title: "Small requests", Columns: []string{perSecond, cpuEdge}, Ratios: []string{perSecond}, To: proxy, Rows: []Row{
		{Contender: proxy, Title: titles[proxy], Samples: []Sample{{perSecond: 100, cpuEdge: 20}, {perSecond: 50, cpuEdge: 22}, {perSecond: 90, cpuEdge: 21}}},
		{Contender: inside, Title: titles[inside], Samples: []Sample{{perSecond: 150}, {perSecond: 100}, {perSecond: 90}}},
	}}
	t.Goals = []Goal{atLeast(inside, "answers", 1.4, t.ratio(inside, proxy, perSecond)), atMost(inside, "p99", 20, 30)}
	return &Result{System: "linux/amd64", Processors: 2, Go: "go1.26", Load: []string{"0.10", "1.90"}, Rounds: 3, Tables: []Table{t}}
}

func TestARatioIsTheMedianOfTheRounds(t *testing.T) {
	table := example().Tables[0]
	if got := table.ratio(inside, proxy, perSecond); got != 1.5 { // 1.5, 2 and 1; the ratio of the medians would be 1.11
		t.Errorf("got %v, want 1.5", got)
	}
	if got := table.ratio(inside, apart, perSecond); !math.IsNaN(got) {
		t.Errorf("got %v of one who was not asked", got)
	}
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestAGoalThatWasNotMeasuredIsMissed(t *testing.T) {
	var table Table
	for _, g := range []Goal{atLeast(inside, "x", 1, table.ratio(inside, proxy, perSecond)), atMost(inside, "x", 1, table.median(inside, p99))} {
		if g.Met {
			t.Errorf("%s is met", g)
		}
	}
}

func TestTheFarGoalFollowsThePool(t *testing.T) {
	for name, c := range map[string]struct {
		pool, got float64
		met       bool
	}{
		"a fast pool asks for 150":             {260, 151, true},
		"a fast pool is not asked for a share": {260, 149, false},
		"a slow pool asks for three quarters":  {100, 76, true},
		"and no less":                          {100, 74, false},
		"more than 150 is always enough":       {190, 150, true},
	} {
		t.Run(name, func(t *testing.T) {
			table := Table{Rows: []Row{{Contender: proxy, Samples: []Sample{{down: c.pool}}}, {Contender: inside, Samples: []Sample{{down: c.got}}}}}
			if g := farGoal(&table, down); g.Met != c.met {
				t.Errorf("got %s", g)
			}
		})
	}
}

func TestTheReportSaysWhatWasMissed(t *testing.T) {
	r := example()
	var out strings.Builder
	r.Print(&out)
	for _, want := range []string{"3 rounds", "0.10, then 1.90", "90 (50–100)", "21", "1.50", "-", "at least 1.40: met, 1.50", "at most 20: MISSED, 30", titles[inside]} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if missed := r.Missed(); len(missed) != 1 || missed[0].What != "p99" {
		t.Errorf("missed are %v", missed)
	}
}

func TestTheReportIsJSON(t *testing.T) {
	text, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(text, &back); err != nil || len(back.Tables) != 1 || back.Tables[0].Rows[0].Samples[1][perSecond] != 50 {
		t.Errorf("got %+v (%v)", back, err)
	}
}

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{{nil, 0.5, 0}, {hundred[:1], 0.99, 1}, {hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred[:3], 0.5, 2}, {hundred, 0, 1}} {
		if got := quantile(c.of, c.q); got != c.want {
			t.Errorf("the quantile %v of %d values is %d, want %d", c.q, len(c.of), got, c.want)
		}
	}
}

func TestFiguresAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12345.6: "12346", -1.5: "-1.50"} {
		if got := figure(v); got != want {
			t.Errorf("%v is printed as %s, want %s", v, got, want)
		}
	}
	if got := figure(math.NaN()); got != "-" {
		t.Errorf("what is not there is printed as %s", got)
	}
}
