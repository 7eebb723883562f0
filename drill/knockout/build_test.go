package knockout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/layer"
)

// open admits everybody to every route; loud says that it was asked, and leaves the decision to the gate.
var (
	open = knockout.Unit{Name: "test/open", Layer: layer.GateRoute, Cuts: []knockout.Cut{{Package: "layer/gate/route", Func: "Gate.Check", Body: `return nil`}}}
	loud = knockout.Unit{Name: "test/loud", Layer: layer.GateRoute, Cuts: []knockout.Cut{
		{Package: "layer/gate/route", Func: "Gate.Check", Body: `os.Stdout.WriteString("asked, ")`, Imports: []string{"os"}}}}
)

// shop is a program of another module, which needs Redoubt and a module of its own folder.
var shop = map[string]string{
	"main.go": `package main

import (
	"fmt"

	"example.test/words"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
)

func main() {
	var gate route.Gate
	if err := gate.Declare("GET /", route.Members); err != nil {
		panic(err)
	}
	if gate.Check("GET /", layer.Principal{}) != nil {
		fmt.Println(words.Refused)
		return
	}
	fmt.Println(words.Admitted)
}
`,
	"words/go.mod":       "module example.test/words\n",
	"words/words.go":     "package words\n\nconst Refused, Admitted = \"refused\", \"admitted\"\n",
	"vendor/modules.txt": "# what somebody has left here must not be taken for the source\n",
	"go.work":            "go 1.26\n\nuse /nowhere\n",
}

// write makes files in a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// downloaded is Redoubt's source as the module cache has it: read-only.
func downloaded(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "redoubt@v1.0.0")
	for _, name := range []string{"go.mod", "go.sum", "layer"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.Contains(path, "testdata") {
				return err
			}
			at, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, at)), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, at), text, 0o400)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// needs is the go.mod of a module that needs Redoubt, found in that folder, and everything that Redoubt needs.
func needs(t *testing.T, redoubt string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(redoubt, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "module github.com/redoubt-dev/redoubt", "module example.test/shop", 1) + `
require (
	example.test/words v1.0.0
	github.com/redoubt-dev/redoubt v1.0.0
)

replace (
	example.test/words => ./words
	github.com/redoubt-dev/redoubt => ` + redoubt + `
)
`
}

// digest is of all names and contents in a folder.
func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		h.Write([]byte(path + "\x00"))
		h.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestAProgramOfAnotherModuleIsBuiltWithoutTouchingItsSources(t *testing.T) { // SYSTEM G5
	redoubt := downloaded(t)
	dir := write(t, shop)
	sums, err := os.ReadFile(filepath.Join(redoubt, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": needs(t, redoubt), "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := digest(t, dir) + digest(t, redoubt)
	work := t.TempDir()
	program, err := knockout.Build(t.Context(), knockout.BuildConfig{Program: "example.test/shop", Dir: dir, Work: work, Units: []knockout.Unit{loud, open}})
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, dir)+digest(t, redoubt) != before {
		t.Error("what was built from is not as it was")
	}
	for _, c := range []struct{ out, says, used string }{
		{"", "refused\n", ""},
		{"another/unit\n", "refused\n", ""},
		{"test/open\n", "admitted\n", "test/open\n"},
		{"test/loud\n", "asked, refused\n", "test/loud\n"},
		{"test/open\ntest/loud\n", "asked, admitted\n", "test/loud\ntest/open\n"},
	} {
		if got, used := says(t, program, c.out); got != c.says || used != c.used {
			t.Errorf("without %q it says %q and misses %q, want %q and %q", c.out, got, used, c.says, c.used)
		}
	}
}

// says runs a copy of the program from which these units are missing.
func says(t *testing.T, program, out string) (said, used string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "shop")
	if err := os.Link(program, at); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at+".out", []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), at).Output()
	if err != nil {
		t.Fatal(err)
	}
	missed, _ := os.ReadFile(at + ".used") // there is none where nothing was missed
	return string(text), string(missed)
}

func TestACutThatCannotBeMadeIsAnError(t *testing.T) {
	cut := func(pkg, fn, body string) []knockout.Unit {
		return []knockout.Unit{{Name: "test/cut", Cuts: []knockout.Cut{{Package: pkg, Func: fn, Body: body}}}}
	}
	for _, c := range []struct {
		name  string
		units []knockout.Unit
		want  string
	}{
		{"a function that is not there", cut("layer/gate/route", "Gate.Chekc", "return nil"), "no function Gate.Chekc in layer/gate/route"},
		{"a method named like a function", cut("layer/gate/route", "Check", "return nil"), "no function Check in"},
		{"a folder that is not there", cut("layer/gates", "Check", ""), "no function Check in layer/gates"},
		{"two of them", append(cut("layer", "A", ""), cut("layer", "B", "")...), "A in layer to be cut\nthere is no function B"},
		{"a function of the tests", cut("layer/gate/route", "TestARouteWithoutADeclarationIsNone", ""), "no function"},
		{"a body that is no Go", cut("layer", "Principal.Nobody", "return maybe"), "undefined: maybe"},
	} {
		_, err := knockout.Build(t.Context(), knockout.BuildConfig{Program: program, Work: t.TempDir(), Units: c.units})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestABuildThatCannotBeIsAnError(t *testing.T) {
	for _, c := range []struct {
		name   string
		config knockout.BuildConfig
		want   string
	}{
		{"nothing said", knockout.BuildConfig{}, "are required"},
		{"a folder of no module", knockout.BuildConfig{Program: program, Dir: t.TempDir(), Work: t.TempDir()}, "looking for Redoubt's source"},
		{"a module that does not need Redoubt", knockout.BuildConfig{Program: "example.test/words", Work: t.TempDir(),
			Dir: write(t, map[string]string{"go.mod": "module example.test/words\n"})}, "looking for Redoubt's source"},
		{"a program that is not there", knockout.BuildConfig{Program: program + "/nowhere", Work: t.TempDir()}, "building the copy"},
	} {
		if _, err := knockout.Build(t.Context(), c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
