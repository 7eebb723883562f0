package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// A Result is everything that a run has measured.
type Result struct {
	System      string  `json:"system"`
	Processors  int     `json:"processors"`
	Go          string  `json:"go"`
	PostgreSQL  string  `json:"postgresql"`
	Duration    float64 `json:"seconds_each"`
	Connections int     `json:"connections"`
	Rounds      int     `json:"rounds"`
	Tables      []Table `json:"tables"`
}

// A Table is about one kind of question.
type Table struct {
	Question string `json:"question"`
	Rows     []Row  `json:"rows"`
}

// A Row is about one server. A ratio compares it with another in the same round; of the rounds, the median is given.
type Row struct {
	Server  string   `json:"server"`
	Title   string   `json:"title"`
	Samples []Sample `json:"samples"`
	Median  Sample   `json:"median"` // of each column by itself

	ToConventional    float64 `json:"requests_to_conventional"`
	ToBare            float64 `json:"requests_to_bare_session"`
	CPUToConventional float64 `json:"cpu_to_conventional"`
	CPUToBare         float64 `json:"cpu_to_bare_session"`

	// What isolation costs (SYSTEM D7): beside WHERE written by hand inside the same layers. Zero for a comparison that is not made.
	CPUToWhere      float64 `json:"cpu_to_where"`      // with the same two look-ups; for a change, with the same audit trail
	CPUToUnaudited  float64 `json:"cpu_to_unaudited"`  // of a change: with the same two look-ups and no audit trail
	CPUToWhereOnce  float64 `json:"cpu_to_where_once"` // with identity's look-up alone, and no audit trail
	DatabaseToWhere float64 `json:"database_to_where"` // of the database's processor time alone
	RequestsToWhere float64 `json:"requests_to_where"` // how many are answered
}

// A Sample is one measurement. Times are in microseconds; those of processors are per request.
type Sample struct {
	Requests    float64 `json:"requests"`
	PerSecond   float64 `json:"requests_per_second"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	AppCPU      float64 `json:"application_cpu_us"`
	EdgeCPU     float64 `json:"edge_cpu_us"`
	DatabaseCPU float64 `json:"database_cpu_us"` // 0 where it cannot be told
	LoadCPU     float64 `json:"load_generator_cpu_us"`
	Memory      float64 `json:"application_memory_bytes"` // the most so far
}

func newSample(times *histogram, took time.Duration, before, after spent) Sample {
	n := float64(max(1, times.n))
	per := func(d time.Duration) float64 { return micros(d) / n }
	return Sample{
		Requests: float64(times.n), PerSecond: float64(times.n) / took.Seconds(), P50: micros(times.quantile(0.5)), P99: micros(times.quantile(0.99)),
		AppCPU: per(after.app - before.app), EdgeCPU: per(after.edge - before.edge), LoadCPU: per(after.load - before.load),
		DatabaseCPU: per(spentSince(before.database, after.database)), Memory: float64(after.memory),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// spentSince sums what the processes have used. One that is new has used all of it since; what one that has ended used is lost.
func spentSince(before, after map[int]time.Duration) (sum time.Duration) {
	for pid, spent := range after {
		sum += spent - before[pid]
	}
	return sum
}

// cpu is what a request costs the whole system, without the load generator.
func (s Sample) cpu() float64 { return s.AppCPU + s.EdgeCPU + s.DatabaseCPU }

// median is the middle value, or the mean of the two in the middle. It is zero for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func medianOf(samples []Sample, column func(*Sample) *float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, *column(&s))
	}
	return median(values)
}

var sampleColumns = []func(*Sample) *float64{
	func(s *Sample) *float64 { return &s.Requests },
	func(s *Sample) *float64 { return &s.PerSecond },
	func(s *Sample) *float64 { return &s.P50 },
	func(s *Sample) *float64 { return &s.P99 },
	func(s *Sample) *float64 { return &s.AppCPU },
	func(s *Sample) *float64 { return &s.EdgeCPU },
	func(s *Sample) *float64 { return &s.DatabaseCPU },
	func(s *Sample) *float64 { return &s.LoadCPU },
	func(s *Sample) *float64 { return &s.Memory },
}

// ratio is the median over the rounds of what a makes of b.
func ratio(a, b []Sample, of func(Sample) float64) float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		if d := of(b[i]); d > 0 {
			all = append(all, of(a[i])/d)
		}
	}
	return median(all)
}

// row is the named server's, or nil.
func (t *Table) row(server string) *Row {
	i := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Server == server })
	if i < 0 {
		return nil
	}
	return &t.Rows[i]
}

// of is the samples of the named server, or none.
func (t *Table) of(server string) []Sample {
	if r := t.row(server); r != nil {
		return r.Samples
	}
	return nil
}

// compare fills in medians and ratios.
func (t *Table) compare() {
	bare, usual, hand, once, unaudited := t.of(bareSession), t.of(conventional), t.of(where), t.of(whereOnce), []Sample(nil)
	if audited := t.of(whereAudited); audited != nil {
		hand, unaudited = audited, hand
	}
	speed := func(s Sample) float64 { return s.PerSecond }
	database := func(s Sample) float64 { return s.DatabaseCPU }
	for i := range t.Rows {
		r := &t.Rows[i]
		for _, column := range sampleColumns {
			*column(&r.Median) = medianOf(r.Samples, column)
		}
		r.ToConventional, r.ToBare = ratio(r.Samples, usual, speed), ratio(r.Samples, bare, speed)
		r.CPUToConventional, r.CPUToBare = ratio(r.Samples, usual, Sample.cpu), ratio(r.Samples, bare, Sample.cpu)
		r.CPUToWhere, r.CPUToUnaudited, r.CPUToWhereOnce = ratio(r.Samples, hand, Sample.cpu), ratio(r.Samples, unaudited, Sample.cpu), ratio(r.Samples, once, Sample.cpu)
		r.DatabaseToWhere, r.RequestsToWhere = ratio(r.Samples, hand, database), ratio(r.Samples, hand, speed)
	}
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d processors, %s, PostgreSQL %s. %d connections, closed loop, %d rounds of %g s in turns; medians.\n",
		r.System, r.Processors, r.Go, r.PostgreSQL, r.Connections, r.Rounds, r.Duration)
	fmt.Fprintln(w, "CPU is in microseconds per request. The load generator shares the processors; it alone pays for the client's side of TLS.")
	for _, t := range r.Tables {
		t.print(w)
	}
}

func (t Table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", t.Question)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "requests/s\tp50 ms\tp99 ms\tapp CPU\tedge CPU\tdb CPU\tload CPU\tapp MB\treq/s : (b)\treq/s : (a)\tCPU : (b)\tCPU : (a)\tCPU : "+t.hand()+"\tdb : "+t.hand()+"\tCPU : (w1)\t  server\t")
	for _, r := range t.Rows {
		m := r.Median
		fmt.Fprintf(w, "%.0f\t%.2f\t%.2f\t%.0f\t%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t  %s\n", m.PerSecond, m.P50/1000, m.P99/1000, m.AppCPU, some(m.EdgeCPU), some(m.DatabaseCPU), m.LoadCPU, m.Memory/(1<<20),
			r.ToConventional, r.ToBare, r.CPUToConventional, r.CPUToBare, r.CPUToWhere, r.DatabaseToWhere, r.CPUToWhereOnce, r.Title)
	}
	w.Flush()
	t.goals(out)
}

// hand names the server that isolation is measured against: the audit trail is no part of isolation.
func (t *Table) hand() string {
	if t.row(whereAudited) != nil {
		return "(wa)"
	}
	return "(w)"
}

func some(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

// The goals of (c) when it reads: this much of the throughput of the conventional way, and of the bare handler. And what isolation
// may add to the processor time of WHERE written by hand (SYSTEM D7), when reading and when changing.
const (
	goalConventional = 1.3
	goalBare         = 0.75
	goalReading      = 1.10
	goalChanging     = 1.15
)

func (t Table) goals(out io.Writer) {
	r := t.row(full)
	if r == nil {
		return
	}
	most := goalReading
	if t.row(whereAudited) != nil {
		most = goalChanging
	} else {
		atLeast(out, "(b)", r.ToConventional, goalConventional)
		atLeast(out, "(a)", r.ToBare, goalBare)
	}
	if r.CPUToWhere == 0 {
		return
	}
	fmt.Fprintf(out, "  goal: (c) with a session uses at most %.2f x the processor time of %s: %s, %.2f (of the database's alone %.2f)\n", most, t.hand(), word(r.CPUToWhere <= most), r.CPUToWhere, r.DatabaseToWhere)
	if a := t.row(whereAudited); a != nil {
		fmt.Fprintf(out, "  the audit trail: (wa) uses %.2f x the processor time of (w); (c) uses %.2f x\n", a.CPUToUnaudited, r.CPUToUnaudited)
	}
}

func atLeast(out io.Writer, of string, got, want float64) {
	fmt.Fprintf(out, "  goal: (c) with a session answers at least %.2f x as many requests as %s: %s, %.2f\n", want, of, word(got >= want), got)
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
