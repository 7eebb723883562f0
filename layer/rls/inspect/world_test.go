package inspect_test

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/inspect"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata, in which what differs from run to run has been replaced.
func golden(t *testing.T, name, got string) {
	t.Helper()
	at := "testdata/" + name
	if *update {
		if err := os.WriteFile(at, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference. Got:\n%s", at, got)
	}
}

var fingerprint = regexp.MustCompile(`("finding/v1": ")[0-9a-f]{32}"`)

// steady replaces what differs from run to run.
func (w *world) steady(text string) string {
	text = strings.NewReplacer(w.mark, "", w.Name, "example").Replace(text)
	return fingerprint.ReplaceAllString(text, `${1}…"`)
}

// found is a report in one line for each finding, without the server's own.
func (w *world) found(r *inspect.Report) string {
	var lines []string
	for _, f := range r.Findings {
		if !strings.HasPrefix(f.Rule, "RD7") {
			lines = append(lines, w.steady(string(f.Severity)+" "+f.Rule+" "+f.Object))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// SYSTEM D6: a database of the conventional kind, which holds tenants apart as long as nobody can set a variable.
func TestAConventionalDatabase(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	golden(t, "conventional.golden", w.found(w.check(t, inspect.Config{})))
}

// SYSTEM D6: a database as a hosting platform makes it, with the mistakes that people make there.
func TestAPlatformsDatabase(t *testing.T) {
	w := newWorld(t)
	platform, err := os.ReadFile("testdata/platform.sql")
	if err != nil {
		t.Fatal(err)
	}
	w.run(t, string(platform))
	r := w.check(t, inspect.Config{})
	// GRANT ALL, which such platforms like, holds MAINTAIN from PostgreSQL 17 on.
	var maintained int
	r.Findings = slices.DeleteFunc(r.Findings, func(f inspect.Finding) bool {
		if f.Rule == "RD619" {
			maintained++
		}
		return f.Rule == "RD619"
	})
	if want := map[bool]int{true: 4}[major(t) >= 17]; maintained != want {
		t.Errorf("MAINTAIN was found on %d tables, want %d", maintained, want)
	}
	golden(t, "platform.golden", w.found(r))
	if r.TenantColumn != "org_id" || !r.Guessed || r.Tables != 3 {
		t.Errorf("tenants by %q in %d tables", r.TenantColumn, r.Tables)
	}
}

// SYSTEM D1, D3, D6: Redoubt's own database, with the reference application in it, has no error.
func TestOurOwnDatabaseHasNoError(t *testing.T) {
	w := layertest.World(t, commons.App)
	r, err := inspect.Check(t.Context(), inspect.Config{ConnString: w.Admin(t).Config().ConnString()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		switch {
		case f.Severity == inspect.Error:
			t.Errorf("%+v", f)
		case !strings.HasPrefix(f.Rule, "RD5"):
			t.Log(f.Severity, f.Rule, f.Object, f.Problem)
		}
	}
	if r.TenantColumn != "organization_id" || len(r.Undecided)+len(r.Cut) > 0 {
		t.Errorf("tenants by %q, undecided %v, cut %v", r.TenantColumn, r.Undecided, r.Cut)
	}
}
