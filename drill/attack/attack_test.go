package attack_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/target"
)

var (
	template *target.Template
	chromium = sync.OnceValues(attack.NewBrowser)
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	work, err := target.Work()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	ctx := context.Background()
	program, err := knockout.Build(ctx, knockout.BuildConfig{Program: "github.com/redoubt-dev/redoubt/cmd/redoubt", Work: work, Units: knockout.Units()})
	if err == nil {
		template, err = target.NewTemplate(ctx, program, work)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if b, err := chromium(); err == nil {
			b.Close()
		}
	}()
	return m.Run()
}

// TestAttacksDoHarmWhereNothingStands is the positive control: what fails with everything out attacks nothing. TRY_OUT, a list of units
// with commas between, "none" or "all", takes those out instead, and tells what happens.
func TestAttacksDoHarmWhereNothingStands(t *testing.T) { // SYSTEM G5
	c := start(t, out(os.Getenv("TRY_OUT")))
	for _, a := range attack.All() {
		t.Run(a.Name, func(t *testing.T) { try(t, c, a, os.Getenv("TRY_OUT") == "") })
	}
}

func out(names string) []knockout.Unit {
	all := knockout.Units()
	switch names {
	case "", "all":
		return slices.DeleteFunc(all, knockout.Unit.Common) // which change who everybody is
	case "none":
		return nil
	}
	return slices.DeleteFunc(all, func(u knockout.Unit) bool { return !slices.Contains(strings.Split(names, ","), u.Name) })
}

func start(t *testing.T, out []knockout.Unit) *target.Copy {
	t.Helper()
	c, err := template.Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// tries are how often an attack may try where it has to do harm: a browser on a busy machine is late with a click now and then.
const tries = 3

func try(t *testing.T, c *target.Copy, a attack.Attack, must bool) {
	for n := range tries {
		harm, err := once(t, c, a, uint64(n))
		if harm && err == nil || !must {
			return
		}
		if n == tries-1 {
			t.Errorf("%s does no harm although nothing stands in its way (%v)", a.Name, err)
		}
	}
}

func once(t *testing.T, c *target.Copy, a attack.Attack, n uint64) (harm bool, err error) {
	t.Helper()
	if a.Destroys {
		c = start(t, c.Out)
	}
	chance := fnv.New64a()
	chance.Write([]byte(a.Name)) // or all canaries of one copy are the same
	s := &attack.Scene{Copy: c, Rand: rand.New(rand.NewPCG(n, chance.Sum64()))}
	if a.Browser {
		s.Tab = opened(t).Tab
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	harm, err = a.Run(ctx, s)
	t.Logf("harm %t, error %v", harm, err)
	for _, step := range s.Steps() {
		t.Logf("%s: %s → %s", step.Who, step.Did, step.Answer)
	}
	return harm, err
}

// opened is the one browser of these tests. Without one they are skipped with the command that installs it; with CI=true they fail.
func opened(t *testing.T) *attack.Browser {
	t.Helper()
	b, err := chromium()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return b
}
