package vet_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/vet"
)

// TestMain lets the test binary be the tool that go vet calls.
func TestMain(m *testing.M) {
	if vet.IsTool(os.Args[1:]) {
		vet.Tool()
	}
	os.Exit(m.Run())
}

// world is a module that is called Redoubt, so that the analyzers know its names, and imports nothing, so that it is built at once.
var world = map[string]string{
	"go.mod":                     "module github.com/redoubt-dev/redoubt\n\ngo 1.26\n",
	"layer/identity/identity.go": "package identity\n\nfunc InsecureSignIn() {}\n\nfunc SessionCookie() {}\n",
	"shop/shop.go": "package shop\n\nimport \"github.com/redoubt-dev/redoubt/layer/identity\"\n\n" +
		"func Open() {\n\tidentity.InsecureSignIn()\n\tidentity.SessionCookie()\n}\n",
	"shop/shop_test.go": "package shop\n\nimport \"github.com/redoubt-dev/redoubt/layer/identity\"\n\nfunc open() { identity.InsecureSignIn() }\n",
	"till/till.go":      "package till\n\nimport \"github.com/redoubt-dev/redoubt/layer/identity\"\n\nfunc Open() { identity.InsecureSignIn() }\n",
}

const (
	hatch  = ": InsecureSignIn: it goes around a layer; do without it, or write down why not (unscoped)"
	cookie = ": SessionCookie: it is for tests: identity sets its cookies itself (unscoped)"
)

// module writes the world down, with a list of exceptions.
func module(t *testing.T, list string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range world {
		write(t, filepath.Join(dir, name), text)
	}
	if list != "" {
		write(t, filepath.Join(dir, vet.List), list)
	}
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) { // SYSTEM G2
	cases := []struct {
		name     string
		list     string
		patterns []string
		want     []string
	}{
		{"everything, by file and line, without tests", "", nil, []string{"shop/shop.go:6:11" + hatch, "shop/shop.go:7:11" + cookie, "till/till.go:5:24" + hatch}},
		{"one package", "", []string{"./till"}, []string{"till/till.go:5:24" + hatch}},
		{"an exception for a file", "unscoped shop/shop.go InsecureSignIn because of this test\n", nil, []string{"shop/shop.go:7:11" + cookie, "till/till.go:5:24" + hatch}},
		{"an exception for a folder", "# why\n\nunscoped shop SessionCookie because of this test\n", nil, []string{"shop/shop.go:6:11" + hatch, "till/till.go:5:24" + hatch}},
		{"an exception for the folder above covers nothing", "unscoped . InsecureSignIn because of this test\n", []string{"./till"}, []string{"till/till.go:5:24" + hatch}},
		{"exceptions for packages that are not asked for are left alone", "unscoped shop mint.Gate because of this test\n", []string{"./till"}, []string{"till/till.go:5:24" + hatch}},
		{"exceptions that nothing needs", "unscoped till mint.Gate because of this test\nunscoped gone mint.Gate because of this test\nunscoped till InsecureSignIn because of this test\n", []string{"./till"},
			[]string{"vet/allow.txt:1:1: mint.Gate: nothing in till needs this exception: take it off the list (unscoped)",
				"vet/allow.txt:2:1: mint.Gate: nothing in gone needs this exception: take it off the list (unscoped)"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found, err := vet.Run(t.Context(), vet.Config{Dir: module(t, c.list), Patterns: c.patterns})
			if err != nil {
				t.Fatal(err)
			}
			got := filepath.ToSlash(strings.TrimSuffix(fmt.Sprintln(lines(found)), "\n"))
			if want := fmt.Sprint(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func lines(found []vet.Finding) (all []string) {
	for _, f := range found {
		all = append(all, f.String())
	}
	return all
}

func TestRunRefusesWhatItCannotRead(t *testing.T) {
	broken := module(t, "")
	write(t, filepath.Join(broken, "shop/broken.go"), "package shop\n\nfunc broken() { return 1 }\n")
	cases := []struct {
		name string
		cfg  vet.Config
		want string
	}{
		{"a program that does not compile", vet.Config{Dir: broken}, "loading packages"},
		{"a package that is not there", vet.Config{Dir: module(t, ""), Patterns: []string{"./nowhere"}}, "loading packages"},
		{"a list that was named and is not there", vet.Config{Dir: module(t, ""), Allow: "nowhere.txt"}, "reading the list of exceptions"},
		{"a list with faults", vet.Config{Dir: module(t, "unscoped\n")}, "line 1: write ANALYZER PATH THING REASON"},
		{"no module", vet.Config{Dir: "/"}, "there is no go.mod in /"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if found, err := vet.Run(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v and %v, want an error with %q", found, err, c.want)
			}
		})
	}
}

// asTool runs go vet with this very test binary as its tool.
func asTool(t *testing.T, dir string) (output string, ok bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "vet", "-vettool="+self, "./...")
	run.Dir = dir
	text, err := run.CombinedOutput()
	return string(text), err == nil
}

func TestTheGoCommandCanRunIt(t *testing.T) { // SYSTEM G2
	dir := module(t, "")
	got, ok := asTool(t, dir)
	for _, want := range []string{"shop/shop.go:6:11" + hatch, "shop/shop.go:7:11" + cookie, "till/till.go:5:24" + hatch} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not find %q:\n%s", want, got)
		}
	}
	if ok || strings.Contains(got, "shop_test.go") || strings.Count(got, ".go:") != 3 {
		t.Errorf("ok is %v, want three findings, none in a test:\n%s", ok, got)
	}
	all := "unscoped shop InsecureSignIn because of this test\nunscoped shop SessionCookie because of this test\nunscoped till InsecureSignIn because of this test\n"
	write(t, filepath.Join(dir, vet.List), all)
	if got, ok := asTool(t, dir); !ok || got != "" {
		t.Errorf("with all exceptions: ok is %v\n%s", ok, got)
	}
	write(t, filepath.Join(dir, vet.List), strings.TrimPrefix(all, "unscoped shop InsecureSignIn because of this test\n"))
	if got, ok := asTool(t, dir); ok || !strings.Contains(got, "shop.go:6:11") {
		t.Errorf("an exception was taken away, and what the go command remembers still holds: ok is %v\n%s", ok, got)
	}
	write(t, filepath.Join(dir, vet.List), "unscoped shop\n")
	if got, ok := asTool(t, dir); ok || !strings.Contains(got, "line 1: write ANALYZER PATH THING REASON") {
		t.Errorf("a list with faults: ok is %v\n%s", ok, got)
	}
}

func TestIsTool(t *testing.T) {
	for args, want := range map[string]bool{"-V=full": true, "-flags": true, "/tmp/b001/vet.cfg": true, "-constsql /tmp/vet.cfg": true,
		"": false, "vet ./...": false, "up": false, "-V=full up": false, "--version": false} {
		if got := vet.IsTool(strings.Fields(args)); got != want {
			t.Errorf("%q: got %v", args, got)
		}
	}
}
