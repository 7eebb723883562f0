package richtext_test

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

var update = flag.Bool("update", false, "write the golden files")

// The allow-list, as people read it. A change of it is a change of this file, for a reviewer to see.
func TestTheAllowListIsForPeopleToRead(t *testing.T) { // SYSTEM N3
	const file = "testdata/allowlist.golden"
	got := table()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the allow-list is\n%s\nand not as in %s; run with -update if that is meant", got, file)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("What rich text may hold. Everything else goes, and its text stays.\n\n")
	fmt.Fprintf(&b, "%-12s%-8s%-16s%s\n", "element", "is", "may hold", "attributes")
	for _, e := range allowlist.Elements() {
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%-12s%-8s%-16s%s", e.Name, e.Kind, holding(e), attributes(e)), " "))
	}
	fmt.Fprintf(&b, "\nA text itself may hold %s.\n", kinds(allowlist.Root().Holds))
	b.WriteString("An inline element is never within another of its own name.\n")
	fmt.Fprintf(&b, "\nhref        %s; absolute, without a name before the host; at most %d bytes\n", strings.Join(allowlist.Schemes(), ", "), allowlist.MaxURL)
	fmt.Fprintf(&b, "src         %s and a name of a-z 0-9 _ - with at most one extension; at most %d bytes\n", allowlist.FileRoute, allowlist.MaxName)
	fmt.Fprintf(&b, "alt         any text of at most %d bytes\nstart       a number of at most 9 digits\n", allowlist.MaxAlt)
	fmt.Fprintf(&b, "\nThese go with their text: %s.\n", strings.Join(allowlist.Mute(), " "))
	fmt.Fprintf(&b, "\nAt most %d characters or %d bytes of source; %d bytes of HTML; %d elements, %d deep; %d links; %d images.\n",
		allowlist.MaxRunes, allowlist.MaxSource, allowlist.MaxHTML, allowlist.MaxElements, allowlist.MaxDepth, allowlist.MaxLinks, allowlist.MaxImages)
	return b.String()
}

func holding(e allowlist.Element) string {
	switch {
	case e.Void:
		return "nothing"
	case len(e.Holds) == 0:
		return "text"
	}
	return kinds(e.Holds)
}

func kinds(all []allowlist.Kind) string {
	var words []string
	for _, k := range all {
		words = append(words, string(k))
	}
	return strings.Join(words, ", ")
}

func attributes(e allowlist.Element) string {
	words := slices.Clone(e.Attributes)
	if e.Required != "" {
		words[0] += " (required)"
	}
	for _, a := range e.Forced {
		words = append(words, fmt.Sprintf("%s=%q", a.Name, a.Value))
	}
	return strings.Join(words, ", ")
}

// The same check by the same code is one check that runs twice: the engines share the allow-list, which is data, and the nouns of layer.
func TestTheEnginesShareNoCode(t *testing.T) { // SYSTEM N3
	one, two := imports(t, "clean"), imports(t, "render")
	var both []string
	for path := range one {
		if two[path] && strings.Contains(path, ".") {
			both = append(both, path)
		}
	}
	slices.Sort(both)
	const home = "github.com/redoubt-dev/redoubt/layer"
	if want := []string{home, home + "/input/richtext/internal/allowlist"}; !slices.Equal(both, want) {
		t.Errorf("both engines import %q, want %q", both, want)
	}
	if !one["github.com/microcosm-cc/bluemonday"] || !two["golang.org/x/net/html"] {
		t.Error("an engine is not the one that it is said to be")
	}
	if data := imports(t, "internal/allowlist"); len(data) != 0 {
		t.Errorf("the allow-list is data, and imports %q", slices.Sorted(maps.Keys(data)))
	}
}

// imports are what the program in a folder imports.
func imports(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	all := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			all[path] = true
		}
	}
	return all
}
