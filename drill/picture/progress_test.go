package picture_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/drill/picture"
	"github.com/redoubt-dev/redoubt/drill/report"
)

// went tells a drill of four configurations, one in ten seconds, one with a fault.
func went(out *bytes.Buffer, width int, color bool) {
	p := picture.NewProgress(out, width, color)
	p.Say("building a copy that layers can be taken out of")
	time.Sleep(time.Minute)
	for i, name := range []string{"everything in place", "without rls/floor", "without gate/action and rls/floor", "gate/page alone"} {
		time.Sleep(10 * time.Second)
		e := report.Event{Configuration: name, Done: i + 1, Total: 4, Harm: make([]string, i), Took: 10 * time.Second}
		if i == 2 {
			e.Faults = []string{"a day of legitimate use does not work: bob cannot buy"}
		}
		p.Tell(e)
	}
	p.End()
}

func TestProgressInAPipeIsALineForEach(t *testing.T) { // SYSTEM G5
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		went(&out, 0, false)
		const want = `building a copy that layers can be taken out of
1/4 everything in place: 0 did harm, 10.0 s
2/4 without rls/floor: 1 did harm, 10.0 s
3/4 without gate/action and rls/floor: 2 did harm, 10.0 s: a day of legitimate use does not work: bob cannot buy
4/4 gate/page alone: 3 did harm, 10.0 s
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	})
}

func TestProgressOnATerminalIsRewrittenInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		went(&out, 80, false)
		got := strings.ReplaceAll(out.String(), "\r\x1b[K", "<\n")
		const want = `building a copy that layers can be taken out of
█████░░░░░░░░░░░░░░░ 1/4, 0:30 left · everything in place<
██████████░░░░░░░░░░ 2/4, 0:20 left · without rls/floor<
without gate/action and rls/floor: a day of legitimate use does not work: bob
cannot buy
███████████████░░░░░ 3/4, 0:10 left · without gate/action and rls/floor<
████████████████████ 4/4 · gate/page alone<
`
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestProgressIsNeverAsWideAsTheTerminal(t *testing.T) {
	steer := regexp.MustCompile(`\r\x1b\[K|\x1b\[[0-9;]{1,4}m`)
	for _, width := range []int{1, 40, 61, 80, 1 << 20} {
		var out bytes.Buffer
		p := picture.NewProgress(&out, width, true)
		p.Say(hostile + strings.Repeat("long ", 1000))
		p.Tell(report.Event{Configuration: hostile + strings.Repeat("long", 1000), Done: 1, Total: 1, Faults: []string{hostile}})
		p.Tell(report.Event{Done: 2, Total: 1}) // one more than was expected
		p.End()
		for _, line := range strings.Split(steer.ReplaceAllString(out.String(), "\n"), "\n") {
			if n := utf8.RuneCountInString(line); n >= max(40, min(width, 240)) {
				t.Errorf("a line of %d characters in %d columns: %q", n, width, line)
			}
			if strings.ContainsAny(line, "\x1b\r\x07") {
				t.Errorf("the terminal is steered by %q", line)
			}
		}
	}
}

func TestProgressIsToldFromSeveralSides(t *testing.T) {
	var out bytes.Buffer
	p := picture.NewProgress(&out, 0, false)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { p.Tell(report.Event{Configuration: fmt.Sprint(i), Done: i + 1, Total: 100}) })
	}
	all.Wait()
	p.End()
	if lines := strings.Count(out.String(), "\n"); lines != 100 || !strings.Contains(out.String(), "100/100 ") {
		t.Errorf("got %d lines", lines)
	}
}

func TestProgressToNobodyGoesOn(t *testing.T) {
	p := picture.NewProgress(full{}, 80, true)
	p.Tell(report.Event{Done: 1, Total: 2})
	p.End()
}
