package attack_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/knockout"
)

// TestEveryAttackSaysWhatItIs holds the list together: one file each, named by what is stolen, and the units that are expected to stop it.
func TestEveryAttackSaysWhatItIs(t *testing.T) { // SYSTEM G5
	units := map[string]bool{}
	for _, u := range knockout.Units() {
		units[u.Name] = true
	}
	plain := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	groups := []string{"tenants", "people", "perimeter", "browser", "input", "files", "money", "database", "trail"}
	named := map[string]bool{}
	all := attack.All()
	if len(all) < 40 {
		t.Errorf("there are %d attacks, and there were to be 40", len(all))
	}
	for _, a := range all {
		if named[a.Name] || !plain.MatchString(a.Name) {
			t.Errorf("%q is no name, or that of two", a.Name)
		}
		named[a.Name] = true
		if _, err := os.Stat(strings.ReplaceAll(a.Name, "-", "_") + ".go"); err != nil {
			t.Errorf("%s is not in a file of its name", a.Name)
		}
		if a.Title == "" || strings.HasSuffix(a.Title, ".") || !slices.Contains(groups, a.Group) || a.Run == nil {
			t.Errorf("%s: title %q, group %q", a.Name, a.Title, a.Group)
		}
		if len(a.Expect) == 0 {
			t.Errorf("%s names no unit that is expected to stop it", a.Name)
		}
		for _, unit := range a.Expect {
			if !units[unit] {
				t.Errorf("%s expects %s, which is no unit", a.Name, unit)
			}
		}
		if len(a.Expect) < 2 && a.Honest == "" {
			t.Errorf("%s expects one unit alone, and gives no reason", a.Name)
		}
	}
}
