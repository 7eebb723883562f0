package drill_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
	found, usual := 0, map[string]map[string]bool{} // by unit: what each attack does with it alone in place
	for _, h := range holes() {
		t.Run(h.Name, func(t *testing.T) {
			alone := slices.DeleteFunc(knockout.Units(), func(u knockout.Unit) bool { return u.Name == h.Of || u.Common() })
			if usual[h.Of] == nil {
				usual[h.Of] = harms(t, template, browser, alone, h.Of)
			}
			before := usual[h.Of]
			after := harms(t, template, browser, append(alone, h.Unit), h.Of)
			var new []string
			for name, harm := range after {
				if harm && !before[name] {
					new = append(new, name)
				}
			}
			slices.Sort(new)
			if len(new) == 0 {
				t.Errorf("%s: no attack of those that %s is to stop has noticed (%d tried)", h.What, h.Of, len(after))
				return
			}
			found++
			t.Logf("%s: found by %s", h.What, strings.Join(new, ", "))
		})
	}
	fmt.Printf("the drill found %d of %d planted holes\n", found, len(holes()))
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

// harms tries, on one copy, every attack that a unit is expected to stop.
func harms(t *testing.T, template *target.Template, browser *attack.Browser, out []knockout.Unit, unit string) map[string]bool {
	t.Helper()
	c, err := template.Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	done := map[string]bool{}
	for _, a := range attack.All() {
		if !slices.Contains(a.Expect, unit) {
			continue
		}
		at := c
		if a.Destroys {
			if at, err = template.Start(t.Context(), out); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		s := &attack.Scene{Copy: at, Rand: rand.New(rand.NewPCG(1, uint64(len(done)))), Tab: browser.Tab}
		harm, err := a.Run(ctx, s)
		cancel()
		if at != c {
			at.Stop()
		}
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		done[a.Name] = harm
	}
	return done
}
