package drill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/drill"
	"github.com/redoubt-dev/redoubt/drill/attack"
	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/drill/target"
	"github.com/redoubt-dev/redoubt/layer"
)

var errNever = errors.New("this cannot be done")

// whole is a template of the program with nothing cut.
var whole = sync.OnceValues(func() (*target.Template, error) {
	work, err := target.Work()
	if err != nil {
		return nil, err
	}
	cleanUp = append(cleanUp, work)
	program, err := knockout.Build(context.Background(), knockout.BuildConfig{Program: "github.com/redoubt-dev/redoubt/cmd/redoubt", Work: work})
	if err != nil {
		return nil, err
	}
	return target.NewTemplate(context.Background(), program, work)
})

var cleanUp []string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range cleanUp {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func template(t *testing.T) *target.Template {
	t.Helper()
	made, err := whole()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// units are three that stand for mechanisms of three layers, and a cause that takes the first two out. None of them is in the program.
func units(t *testing.T) []knockout.Unit {
	bites := func(context.Context, knockout.Place) error { return nil }
	return []knockout.Unit{
		{Name: "gate/first", Layer: layer.GateRoute, Bites: bites},
		{Name: "input/second", Layer: layer.Input, Bites: bites},
		{Name: "rls/third", Layer: layer.RLS, SQL: []string{`create table public.third_is_out ()`}, Bites: func(ctx context.Context, at knockout.Place) error {
			_, err := at.Admin().Exec(ctx, `select from public.third_is_out`)
			return err
		}},
		{Name: "cause/shared", Bites: bites},
	}
}

// needs is an attack that does harm where one of these sets is out.
func needs(name string, sets ...string) attack.Attack {
	return attack.Attack{Name: name, Title: name, Group: "tenants", Run: func(_ context.Context, s *attack.Scene) (bool, error) {
		return slices.ContainsFunc(sets, func(set string) bool {
			return !slices.ContainsFunc(strings.Fields(set), func(unit string) bool {
				return !slices.ContainsFunc(s.Out, func(u knockout.Unit) bool { return u.Name == unit })
			})
		}), nil
	}}
}

// kill ends the copy's database, and with it the copy.
func kill(s *attack.Scene) error {
	text, err := os.ReadFile(filepath.Join(s.Data(), "pg", "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		return fmt.Errorf("the copy's database has no process: %q", first)
	}
	return syscall.Kill(pid, syscall.SIGQUIT)
}

func quiet(context.Context, *target.Copy) error { return nil }

func find(t *testing.T, r *report.Report, name string) report.Attack {
	t.Helper()
	for _, a := range r.Attacks {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("there is no %s in the report", name)
	return report.Attack{}
}

func has(faults []string, parts ...string) bool {
	return slices.ContainsFunc(faults, func(f string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(f, part) })
	})
}

// nothingLeft looks for processes and folders of copies.
func nothingLeft(t *testing.T) {
	t.Helper()
	for _, work := range cleanUp {
		left, err := filepath.Glob(filepath.Join(work, "copy-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}

// SYSTEM G5: what is measured is what the units do, whatever goes wrong with other attacks beside.
func TestADrillMeasuresWhatItsUnitsDo(t *testing.T) {
	lost := make(chan struct{})
	t.Cleanup(func() { close(lost) })
	hangs := needs("hangs")
	hangs.Run = func(_ context.Context, s *attack.Scene) (bool, error) {
		if len(s.Out) != 3 {
			<-lost
		}
		return true, nil
	}
	slow := needs("is-slow")
	slow.Run = func(ctx context.Context, _ *attack.Scene) (bool, error) { <-ctx.Done(); return false, ctx.Err() }
	kills := needs("kills")
	kills.Run = func(ctx context.Context, s *attack.Scene) (bool, error) {
		if len(s.Out) == 3 {
			return true, nil
		}
		err := kill(s)
		for err == nil && s.Alive() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return false, err
	}
	fails := needs("fails")
	fails.Run = func(context.Context, *attack.Scene) (bool, error) { return false, errNever }
	panics := needs("panics")
	panics.Run = func(context.Context, *attack.Scene) (bool, error) { panic("at the disco") }
	chance := needs("guesses")
	var mu sync.Mutex
	guesses := map[uint64]bool{}
	chance.Run = func(_ context.Context, s *attack.Scene) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		guesses[s.Rand.Uint64()] = true
		return len(s.Out) == 3, nil
	}
	ruins := needs("ruins", "gate/first rls/third")
	ruins.Destroys = true
	serial := needs("serial", "gate/first rls/third", "cause/shared")
	serial.Expect = []string{"gate/first", "rls/third"}
	either := needs("either", "gate/first input/second", "gate/first rls/third")
	other := needs("other", "gate/first")
	other.Expect = []string{"rls/third", "no/such"}
	refused := needs("is-refused", "rls/third")
	inner := refused.Run
	refused.Run = func(ctx context.Context, s *attack.Scene) (bool, error) {
		s.Note("dave", "GET /x", "404 gate/page")
		return inner(ctx, s)
	}
	var events []report.Event
	r, err := drill.Measure(t.Context(), drill.Config{Template: template(t), Units: units(t), Seed: 7, Patience: 300 * time.Millisecond, Control: quiet, Pairs: true,
		Attacks:  []attack.Attack{hangs, serial, slow, needs("never"), kills, fails, panics, either, other, chance, ruins, needs("breach", ""), refused},
		Progress: func(e report.Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t)
	for name, want := range map[string]string{
		"serial":     "valid true breach false depth 2 effective 1 solo [gate/first rls/third] company [] cuts [[gate/first rls/third]] causes [[cause/shared]]",
		"either":     "valid true breach false depth 2 effective 2 solo [gate/first] company [input/second rls/third] cuts [[gate/first input/second] [gate/first rls/third]] causes []",
		"ruins":      "valid true breach false depth 2 effective 2 solo [gate/first rls/third] company [] cuts [[gate/first rls/third]] causes []",
		"never":      "valid false breach false depth -1 effective -1 solo [] company [] cuts [] causes []",
		"fails":      "valid false breach false depth -1 effective -1 solo [] company [] cuts [] causes []",
		"breach":     "valid true breach true depth 0 effective 0 solo [] company [] cuts [[]] causes []",
		"is-refused": "valid true breach false depth 1 effective 1 solo [rls/third] company [] cuts [[rls/third]] causes []",
	} {
		a := find(t, r, name)
		if got := fmt.Sprintf("valid %t breach %t depth %d effective %d solo %v company %v cuts %v causes %v", a.Valid, a.Breach, a.Depth, a.Effective, a.Solo, a.Company, a.Cuts, a.Causes); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for _, want := range [][]string{{"hangs did not come to an end"}, {"is-slow did not come to an end"}, {"kills broke the copy", "the copy ended"}, {"fails could not be carried out", "this cannot be done"},
		{"panics could not be carried out", "at the disco"}, {"of 13 attacks are not valid"}} {
		if !has(r.Faults, want...) {
			t.Errorf("no fault says %q: %q", want, r.Faults)
		}
	}
	for _, want := range [][]string{{"never", "without any layer"}, {"is-refused was refused by gate/page"}} {
		if !has(r.Anomalies, want...) {
			t.Errorf("no anomaly says %q: %q", want, r.Anomalies)
		}
	}
	if has(r.Anomalies, "serial:") || !has(r.Anomalies, "other: ", "gate/first stops it alone", "no/such was expected") {
		t.Errorf("expectations are compared otherwise: %q", r.Anomalies)
	}
	if a := find(t, r, "is-refused"); a.By != "gate/page" || a.Agrees {
		t.Errorf("got by %q, agrees %t", a.By, a.Agrees)
	}
	if len(guesses) != 1 {
		t.Errorf("one seed gave %d different guesses", len(guesses))
	}
	if a := find(t, r, "hangs"); len(a.Runs) > 1+3+1 { // one did harm, three hung, and one may have been under way in another lane
		t.Errorf("an attack that hangs was tried %d times", len(a.Runs))
	}
	if len(r.Pairs) != 3 || !slices.Equal(pair(r, "gate/first", "rls/third"), []string{"either", "ruins", "serial"}) || len(pair(r, "input/second", "rls/third")) != 0 {
		t.Errorf("got pairs %+v", r.Pairs)
	}
	if last := events[len(events)-1]; last.Done != last.Total || last.Done != len(events) || last.Done != r.Configurations || last.Runs != r.Runs || r.Controls != r.Configurations {
		t.Errorf("the last event is %+v; the report has %d configurations, %d controls, %d runs", last, r.Configurations, r.Controls, r.Runs)
	}
	for _, u := range r.Units {
		if u.Bites != "" {
			t.Errorf("%s: %s", u.Name, u.Bites)
		}
	}
	if r.Complete || !strings.Contains(r.Machine, "PostgreSQL ") {
		t.Errorf("complete %t, machine %q", r.Complete, r.Machine)
	}
	t.Logf("%d configurations, %d runs in %.1f s", r.Configurations, r.Runs, r.Seconds)
}

func pair(r *report.Report, a, b string) []string {
	for _, p := range r.Pairs {
		if p.A == a && p.B == b {
			slices.Sort(p.Attacks)
			return p.Attacks
		}
	}
	return []string{"no such pair"}
}

func TestWhatSpoilsAConfigurationIsNamed(t *testing.T) {
	us := units(t)
	us[1].Bites = func(context.Context, knockout.Place) error { return errors.New("it is still there") }
	us[2].SQL = []string{`this is no SQL`}
	us[3].Bites = func(context.Context, knockout.Place) error { panic("in a probe") }
	screen := needs("on-screen", "gate/first")
	screen.Browser = true
	r, err := drill.Measure(t.Context(), drill.Config{Template: template(t), Units: us, Patience: 5 * time.Second,
		Attacks: []attack.Attack{needs("one", "gate/first"), screen},
		Control: func(_ context.Context, c *target.Copy) error {
			if len(c.Out) == 1 && c.Out[0].Name == "gate/first" {
				return errors.New("nobody can sign in")
			}
			return nil
		},
		Browser: func() (*attack.Browser, error) { return nil, attack.ErrNoBrowser }})
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t)
	for _, want := range [][]string{{"legitimate use fails without gate/first", "nobody can sign in"}, {"taking input/second out is not seen to matter", "still there"},
		{"rls/third", "does not start"}, {"cause/shared", "in a probe"}, {"attacks that need a browser were not carried out", "apt-get install"}} {
		if !has(r.Faults, want...) {
			t.Errorf("no fault says %q: %q", want, r.Faults)
		}
	}
	if r.Complete {
		t.Error("a drill without a browser says that it is complete")
	}
	for i, want := range []string{"it was not tried", "it is still there", "it was not tried", "it panicked: in a probe"} {
		if got := r.Units[i].Bites; got != want {
			t.Errorf("%s: got %q, want %q", r.Units[i].Name, got, want)
		}
	}
}

func TestAnInterruptedDrillEndsInOrder(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stuck := needs("stuck")
	stuck.Run = func(ctx context.Context, _ *attack.Scene) (bool, error) {
		interrupt()
		<-ctx.Done()
		return false, ctx.Err()
	}
	began := time.Now()
	r, err := drill.Measure(ctx, drill.Config{Template: template(t), Units: units(t), Attacks: []attack.Attack{needs("one", "gate/first"), stuck}, Control: quiet})
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t)
	if took := time.Since(began); r.Complete || took > 15*time.Second || len(r.Attacks) != 2 || len(r.Faults) > 0 {
		t.Errorf("after %v: complete %t, faults %q", took, r.Complete, r.Faults)
	}
}

func TestADrillSaysAllThatIsWrongWithIt(t *testing.T) {
	us := units(t)
	for name, c := range map[string]struct {
		config drill.Config
		want   []string
	}{
		"nothing":      {drill.Config{}, []string{"no template", "no attack", "no unit of a layer"}},
		"wrong limits": {drill.Config{Template: &target.Template{}, Units: us, Attacks: []attack.Attack{needs("a")}, Lanes: 5, Patience: time.Hour}, []string{"Lanes is 5", "Patience is 1h"}},
		"wrong order":  {drill.Config{Template: &target.Template{}, Units: []knockout.Unit{us[0], us[3], us[1]}, Attacks: []attack.Attack{needs("a")}}, []string{"units of layers come first"}},
		"twice":        {drill.Config{Template: &target.Template{}, Units: []knockout.Unit{us[0], us[0]}, Attacks: []attack.Attack{needs("a"), needs("a"), {Name: "b"}}}, []string{`"gate/first" is there twice`, `"a" is there twice`, `"b" has no Run`}},
	} {
		_, err := drill.Measure(t.Context(), c.config)
		if err == nil || !has([]string{err.Error()}, c.want...) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// SYSTEM G5: the negative control is a day that goes well where everything stands.
func TestALegitimateDayGoesWell(t *testing.T) {
	c, err := template(t).Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for range 2 { // and a second one like it, on the same copy
		began := time.Now()
		if err := drill.Day(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		t.Log(time.Since(began))
	}
}
