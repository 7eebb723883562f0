package perimeter

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// What a sample has, by the words that head its column. Processor time is that of servers alone, but for the load generator's own.
const (
	perSecond    = "requests/s"
	answered     = "requests"
	p50          = "p50 ms"
	p99          = "p99 ms"
	cpuAll       = "CPU µs"
	cpuEdge      = "edge µs"
	cpuConnector = "connector µs"
	cpuApp       = "application µs"
	cpuLoad      = "load µs"
	cpuWhole     = "all µs" // servers and load: what bounds requests per second on a machine that does nothing else

	down    = "down MB/s"
	up      = "up MB/s"
	cpuDown = "CPU ms/100 MB down"
	cpuUp   = "CPU ms/100 MB up"

	grown           = "edge grows MB"
	grownConnector  = "connector grows MB"
	grownApp        = "application grows MB"
	p99Before       = "p99 ms before"
	perSecondBefore = "requests/s before"

	lateP50      = "p50 ms alone"
	lateP99      = "p99 ms alone"
	lateMost     = "latest ms alone"
	lateP50Busy  = "p50 ms beside"
	lateP99Busy  = "p99 ms beside"
	lateMostBusy = "latest ms beside"

	restarts   = "restarts"
	failures   = "failed"
	unanswered = "of them without a byte of answer"
	longest    = "longest ms"
)

// A Sample is one turn's figures by their columns.
type Sample map[string]float64

// A Row is one contender's.
type Row struct {
	Contender string   `json:"contender"`
	Title     string   `json:"title"`
	Samples   []Sample `json:"samples"`
}

// A Table is one measurement.
type Table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Ratios  []string `json:"ratios"` // columns that are compared, round by round
	To      string   `json:"to"`     // with this contender's
	Rows    []Row    `json:"rows"`
	Goals   []Goal   `json:"goals"`
}

// A Goal is what was to be reached.
type Goal struct {
	Contender string  `json:"contender"`
	What      string  `json:"what"`
	Most      bool    `json:"most"` // Want is the most that it may be, and not the least
	Want      float64 `json:"want"`
	Got       float64 `json:"got"`
	Met       bool    `json:"met"`
}

// A Result is everything that a run has measured.
type Result struct {
	System     string    `json:"system"`
	Processors int       `json:"processors"`
	Go         string    `json:"go"`
	Began      time.Time `json:"began"`
	Load       []string  `json:"load"` // of the machine at the beginning and at the end, where that can be told
	Rounds     int       `json:"rounds"`
	Seconds    float64   `json:"seconds_each"`
	Tables     []Table   `json:"tables"`
}

func (r *run) begin() *Result {
	return &Result{System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version(), Began: time.Now().UTC().Truncate(time.Second),
		Load: []string{loadAverage()}, Rounds: r.cfg.Rounds, Seconds: r.cfg.Duration.Seconds()}
}

func (r *Result) finish() { r.Load = append(r.Load, loadAverage()) }

// loadAverage is of the last minute (proc_loadavg(5)).
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// Missed are the goals that were not met.
func (r *Result) Missed() (all []Goal) {
	for _, t := range r.Tables {
		for _, g := range t.Goals {
			if !g.Met {
				all = append(all, g)
			}
		}
	}
	return all
}

func (t *Table) samples(contender string) []Sample {
	i := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Contender == contender })
	if i < 0 {
		return nil
	}
	return t.Rows[i].Samples
}

// median is of a column. It is not a number if there is none.
func (t *Table) median(contender, column string) float64 {
	return median(columnOf(t.samples(contender), column))
}

// ratio is the median over the rounds of what a has of b's.
func (t *Table) ratio(a, b, column string) float64 {
	var all []float64
	of, to := t.samples(a), t.samples(b)
	for i := range min(len(of), len(to)) {
		if d := to[i][column]; d != 0 {
			all = append(all, of[i][column]/d)
		}
	}
	return median(all)
}

func columnOf(samples []Sample, column string) (values []float64) {
	for _, s := range samples {
		if v, there := s[column]; there {
			values = append(values, v)
		}
	}
	return values
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func atLeast(contender, what string, want, got float64) Goal {
	return Goal{Contender: contender, What: what, Want: want, Got: got, Met: got >= want}.told()
}

func atMost(contender, what string, want, got float64) Goal {
	return Goal{Contender: contender, What: what, Most: true, Want: want, Got: got, Met: got <= want}.told()
}

// told makes a goal that can be written as JSON, which has no word for what is not a number.
func (g Goal) told() Goal {
	if math.IsNaN(g.Got) {
		g.What, g.Got = g.What+" (not measured)", 0
	}
	return g
}

// String says whether it was met.
func (g Goal) String() string {
	bound, verdict := "at least", "MISSED"
	if g.Most {
		bound = "at most"
	}
	if g.Met {
		verdict = "met"
	}
	return fmt.Sprintf("goal: %s: %s, %s %s: %s, %s", titles[g.Contender], g.What, bound, figure(g.Want), verdict, figure(g.Got))
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d processors, %s; load average %s. %d rounds in turns; medians, and in parentheses the least and the most of the rounds.\n",
		r.System, r.Processors, r.Go, strings.Join(r.Load, ", then "), r.Rounds)
	fmt.Fprintln(w, "CPU is that of all servers together, then of each, per request; the load generator shares the processors. On a machine that does other work,")
	fmt.Fprintln(w, "believe the ratios of processor time first: who gets how much of a busy machine is its scheduler's decision. TLS 1.3 outside, for all.")
	for i := range r.Tables {
		r.Tables[i].print(w)
	}
}

func (t *Table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", t.Title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range t.Columns {
		fmt.Fprintf(w, "%s\t", c)
	}
	for _, c := range t.Ratios {
		fmt.Fprintf(w, "%s :\t", c)
	}
	fmt.Fprintln(w, "  of\t")
	for _, r := range t.Rows {
		t.printRow(w, r)
	}
	w.Flush()
	for _, g := range t.Goals {
		fmt.Fprintf(out, "  %s\n", g)
	}
}

func (t *Table) printRow(w io.Writer, r Row) {
	for _, c := range t.Columns {
		values := columnOf(r.Samples, c)
		if len(values) == 0 {
			fmt.Fprint(w, "-\t")
			continue
		}
		fmt.Fprint(w, figure(median(values)))
		if !strings.Contains(c, "µs") && !strings.Contains(c, "CPU") {
			fmt.Fprintf(w, " (%s–%s)", figure(slices.Min(values)), figure(slices.Max(values)))
		}
		fmt.Fprint(w, "\t")
	}
	for _, c := range t.Ratios {
		fmt.Fprintf(w, "%s\t", figure(t.ratio(r.Contender, t.To, c)))
	}
	fmt.Fprintf(w, "  %s\n", r.Title)
}

// figure has three digits that count, or all before the point.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
