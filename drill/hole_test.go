package drill_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// A hole is a mistake that somebody could make in one mechanism, planted into a copy. Of is the unit that it is in.
type hole struct {
	knockout.Unit
	Of string
}

// TestTheDrillFindsPlantedHoles asks, for each, what the solo row asks: with everything else out, does the mechanism still stop alone
// what it stopped before? What it does not stop any more is how the drill has found the hole.
func TestTheDrillFindsPlantedHoles(t *testing.T) { // SYSTEM G5
	template := built(t)
	browser, err := attack.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	found := 0
	for _, h := range holes() {
		t.Run(h.Name, func(t *testing.T) {
			alone := slices.DeleteFunc(knockout.Units(), func(u knockout.Unit) bool { return u.Name == h.Of || u.Common() })
			holed, whole := copyOf(t, template, append(slices.Clone(alone), h.Unit)), copyOf(t, template, alone)
			tried := 0
			for _, a := range meant(h.Of) {
				tried++
				if harms(t, template, browser, holed, a) && !harms(t, template, browser, whole, a) {
					found++
					t.Logf("%s: found by %s", h.What, a.Name)
					return
				}
			}
			t.Errorf("%s: no attack of those that %s is to stop has noticed (%d tried)", h.What, h.Of, tried)
		})
	}
	fmt.Printf("the drill found %d of %d planted holes\n", found, len(holes()))
}

// meant are the attacks that a unit is expected to stop, those that need a browser last: they take longest.
func meant(unit string) []attack.Attack {
	all := slices.DeleteFunc(attack.All(), func(a attack.Attack) bool { return !slices.Contains(a.Expect, unit) })
	slices.SortStableFunc(all, func(a, b attack.Attack) int {
		switch {
		case a.Browser == b.Browser:
			return 0
		case b.Browser:
			return -1
		}
		return 1
	})
	return all
}

// built is a template of the program with every unit and every hole in it.
func built(t *testing.T) *target.Template {
	t.Helper()
	work, err := target.Work()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	units := knockout.Units()
	for _, h := range holes() {
		units = append(units, h.Unit)
	}
	program, err := knockout.Build(t.Context(), knockout.BuildConfig{Program: "github.com/redoubt-dev/redoubt/cmd/redoubt", Work: work, Units: units})
	if err != nil {
		t.Fatal(err)
	}
	template, err := target.NewTemplate(t.Context(), program, work)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func copyOf(t *testing.T, template *target.Template, out []knockout.Unit) *target.Copy {
	t.Helper()
	c, err := template.Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	return c
}

// harms carries one attack out on a copy, or on one like it if it leaves ruins.
func harms(t *testing.T, template *target.Template, browser *attack.Browser, c *target.Copy, a attack.Attack) bool {
	t.Helper()
	if a.Destroys {
		c = copyOf(t, template, c.Out)
		defer c.Stop()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	chance := fnv.New64a()
	chance.Write([]byte(a.Name))
	harm, err := a.Run(ctx, &attack.Scene{Copy: c, Rand: rand.New(rand.NewPCG(1, chance.Sum64())), Tab: browser.Tab})
	if err != nil {
		t.Errorf("%s: %v", a.Name, err)
	}
	return harm && err == nil
}
