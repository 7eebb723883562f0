package knockout_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/target"
)

const program = "github.com/redoubt-dev/redoubt/cmd/redoubt"

var template *target.Template

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the copy once, with all cuts in it: that they compile is the first thing that is tested.
func run(m *testing.M) int {
	work, err := target.Work()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	ctx := context.Background()
	built, err := knockout.Build(ctx, knockout.BuildConfig{Program: program, Work: work, Units: knockout.Units()})
	if err == nil {
		template, err = target.NewTemplate(ctx, built, work)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts a copy without these units.
func start(t *testing.T, out ...knockout.Unit) *target.Copy {
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

// proof carries a unit's proof out, which must come to an end.
func proof(t *testing.T, u knockout.Unit, c *target.Copy) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return u.Bites(ctx, c)
}

func TestEveryUnitIsFeltWhereItIsMissingAndStandsWhereItIsNot(t *testing.T) { // SYSTEM G5
	whole := start(t)
	for _, u := range knockout.Units() {
		t.Run(u.Name, func(t *testing.T) {
			if err := proof(t, u, start(t, u)); err != nil {
				t.Errorf("it is out, and its proof says: %v", err)
			}
			if err := proof(t, u, whole); err == nil {
				t.Error("it is in place, and its proof says that it is out")
			} else {
				t.Logf("in place: %v", err)
			}
		})
	}
	if missed := whole.Missed(); len(missed) != 0 {
		t.Errorf("a whole copy misses %v", missed)
	}
}

func TestEveryUnitSaysWhatItIs(t *testing.T) {
	seen := map[string]bool{}
	for _, u := range knockout.Units() {
		name, _, _ := strings.Cut(u.Name, "/")
		belongs := u.Common() == (name == "cause") && (u.Common() || strings.HasPrefix(string(u.Layer), name))
		if seen[u.Name] || !belongs || u.What == "" || u.Gone == "" || u.Bites == nil || !u.NoPolicy && len(u.Cuts)+len(u.SQL) == 0 {
			t.Errorf("%q is incomplete, or there are two", u.Name)
		}
		seen[u.Name] = true
	}
	if len(seen) < 40 {
		t.Errorf("there are %d units", len(seen))
	}
}

// TestLegitimateUseSurvivesTheLossOfEverything is what keeps a knock-out from stopping attacks by stopping everybody.
func TestLegitimateUseSurvivesTheLossOfEverything(t *testing.T) { // SYSTEM G5
	layers := slices.DeleteFunc(knockout.Units(), knockout.Unit.Common)
	for name, out := range map[string][]knockout.Unit{"layers": layers, "layers and causes": knockout.Units()} {
		t.Run(name, func(t *testing.T) { legitimate(t, start(t, out...)) })
	}
}

func legitimate(t *testing.T, c *target.Copy) {
	t.Helper()
	ask := func(who, method, path string, form map[string]string, want int) string {
		t.Helper()
		status, _, body, err := c.Ask(t.Context(), who, method, path, form)
		if err != nil || status != want {
			t.Errorf("%s: %s %s answers %d (%v), want %d: %.300s", who, method, path, status, err, want, body)
		}
		return body
	}
	var product string
	if err := c.Admin().QueryRow(t.Context(), `select p.id::text from commons.product p join identity.organization o on o.id = p.organization_id where o.name = 'Acme' and p.active limit 1`).Scan(&product); err != nil {
		t.Fatal(err)
	}
	ask("bob", http.MethodGet, "/orders", nil, http.StatusOK)
	ask("bob", http.MethodPost, "/orders", map[string]string{"product_id": product, "quantity": "1", "notes": "legitimate"}, http.StatusSeeOther)
	if body := ask("bob", http.MethodGet, "/orders", nil, http.StatusOK); !strings.Contains(body, "/orders/") {
		t.Error("the order is not listed")
	}
	if body := ask("alice", http.MethodGet, "/admin/members", nil, http.StatusOK); !strings.Contains(body, "Bob") {
		t.Error("the members are not listed")
	}
	ask("bob's key", http.MethodGet, "/api/v1/orders", nil, http.StatusOK)
}
