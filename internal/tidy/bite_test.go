package tidy

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRulesBite gives each rule a small house with one fault, and expects the sentence that names it.
func TestRulesBite(t *testing.T) {
	const program = "// Package x is for a test.\npackage x\n"
	imports := func(path string) string { return program + "import _ \"" + module + "/" + path + "\"\n" }
	drawing := func(rings string) string { return "```onion\n" + rings + "\n```\n" }
	row := func(number, status, code string) string {
		return "| " + number + " | what | " + status + " | " + code + " | |\n"
	}
	hatch := lists{hatches: map[use]string{{"x", "InsecureY"}: "is listed and not there"}}

	for _, c := range []struct {
		name  string
		rule  rule
		lists lists
		house map[string]string
		want  string // within a fault; "" for none
	}{
		{"no drawing", onion, lists{}, map[string]string{"ARCHITECTURE.md": "words"}, "has no block"},
		{"a folder that is not drawn", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("."), "x/x.go": program, "r.go": program}, "x is on no ring"},
		{"a folder drawn but not there", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing(".\n\nx"), "r.go": program}, "draws x, which is not there"},
		{"a package that imports its neighbour", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x y"), "x/x.go": imports("y"), "y/y.go": program}, "x imports y, of the same ring"},
		{"a package that imports outwards", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x\n\ny"), "x/x.go": program, "y/y.go": imports("x")}, "y imports x, which is drawn outside"},
		{"a package that imports inwards", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x\n\ny"), "x/x.go": imports("y"), "y/y.go": program}, ""},
		{"a folder and its own subfolder", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x"), "x/x.go": imports("x/z"), "x/z/z.go": program}, ""},
		{"a test that looks outwards", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x\n\ny"), "x/x.go": program, "y/y.go": program, "y/y_test.go": imports("x")}, ""},
		{"a subfolder slipped under a parted one", onion, lists{}, map[string]string{"ARCHITECTURE.md": drawing("x\n\nx/y"), "x/x.go": program, "x/y/y.go": program, "x/z/z.go": program}, "x/z is on no ring"},

		{"two gates on one helper", threeGates, lists{}, map[string]string{"layer/gate/page/p.go": imports("layer/sure"), "layer/gate/route/r.go": imports("layer/other"), "layer/other/o.go": imports("layer/sure"), "layer/sure/s.go": program}, "both rest on layer/sure"},
		{"gates that share nouns", threeGates, lists{}, map[string]string{"layer/gate/page/p.go": imports("layer"), "layer/gate/route/r.go": imports("layer"), "layer/l.go": program}, ""},
		{"a layer that needs the house", layersAlone, lists{}, map[string]string{"layer/rls/r.go": imports("internal/postgres")}, "rests on layers alone"},
		{"an application that looks inside", applicationOutside, lists{}, map[string]string{"commons/shop/s.go": imports("internal/postgres")}, "written against the public packages"},
		{"an application with a database of its own", applicationOutside, lists{}, map[string]string{"commons/shop/s.go": program + "import _ \"github.com/jackc/pgx/v5\"\n"}, "through package rls"},

		{"a stranger at mint's door", mintDoors, lists{}, map[string]string{"x/x.go": program + "import \"" + module + "/layer/internal/mint\"\nvar _ = mint.Principal\n"}, "x uses Principal"},
		{"a test at mint's door", mintDoors, lists{}, map[string]string{"x/x_test.go": program + "import \"" + module + "/layer/internal/mint\"\nvar _ = mint.Principal\n"}, "x uses Principal (test)"},
		{"mint under another name", mintDoors, lists{}, map[string]string{"x/x.go": program + "import m \"" + module + "/layer/internal/mint\"\nvar _ = m.Gate{}\n"}, "x uses Gate"},
		{"mint without a name", mintDoors, lists{}, map[string]string{"x/x.go": program + "import . \"" + module + "/layer/internal/mint\"\n"}, "import it by its name"},
		{"a door that nobody uses", mintDoors, lists{mint: map[use]string{{"x", "Gate"}: "listed"}}, map[string]string{"x/x.go": program}, "no longer uses Gate"},
		{"an escape hatch", escapeHatches, lists{}, map[string]string{"x/x.go": program + "var _ = y.InsecureY()\n"}, "x uses InsecureY"},
		{"an escape hatch as a field", escapeHatches, lists{}, map[string]string{"x/x.go": program + "var _ = Y{InsecureY: true}\n"}, "x uses InsecureY"},
		{"an escape hatch in a test", escapeHatches, lists{}, map[string]string{"x/x_test.go": program + "var _ = y.InsecureY()\n"}, ""},
		{"the development mailbox", escapeHatches, lists{}, map[string]string{"x/x.go": imports("internal/devmail")}, "x uses internal/devmail"},
		{"the development provider", escapeHatches, lists{}, map[string]string{"x/x.go": imports("internal/devidp")}, "x uses internal/devidp"},
		{"an escape hatch that nobody uses", escapeHatches, hatch, map[string]string{"x/x.go": program}, "no longer uses InsecureY"},
		{"the simple protocol by its mode", simpleProtocol, lists{}, map[string]string{"x/x.go": program + "var _ = pgx.QueryExecModeSimpleProtocol\n"}, "statements are prepared"},
		{"the simple protocol by hand", simpleProtocol, lists{}, map[string]string{"x/x.go": program + "var _ = c.Conn().PgConn().Exec(nil, sql)\n"}, "x uses PgConn().Exec"},

		{"a module without a reason", modules, lists{}, map[string]string{"go.mod": "require a.test/b v1\n", "x/x.go": program + "import _ \"a.test/b/c\"\n"}, "x uses a.test/b"},
		{"a module that nothing imports", modules, lists{}, map[string]string{"go.mod": "require (\n\ta.test/b v1\n)\n", "x/x.go": program}, "nothing imports"},
		{"a module called indirect", modules, lists{modules: map[use]string{{"x", "a.test/b"}: "ok"}}, map[string]string{"go.mod": "require (\n\ta.test/b v1 // indirect\n)\n", "x/x.go": program + "import _ \"a.test/b\"\n"}, "indirect, though it is imported"},
		{"a module that go.mod lacks", modules, lists{}, map[string]string{"go.mod": "", "x/x.go": program + "import _ \"a.test/b\"\n"}, "run go get"},

		{"a folder without a comment", packageComments, lists{}, map[string]string{"x/x.go": "package x\n"}, "has no package comment"},
		{"a comment that begins otherwise", packageComments, lists{}, map[string]string{"x/x.go": "// X is.\npackage x\n"}, "does not begin"},
		{"two comments", packageComments, lists{}, map[string]string{"x/x.go": program, "x/y.go": program}, "2 package comments"},
		{"a command's comment", packageComments, lists{}, map[string]string{"cmd/y/x.go": "// Command y runs.\npackage main\n"}, ""},
		{"a layer that answers nothing", fiveHeadings, lists{}, map[string]string{"layer/rls/r.go": "// Package rls is.\npackage rls\n"}, "a layer answers"},
		{"a folder that is no layer", layersAgree, lists{}, map[string]string{"layer/moat/m.go": program}, "layer/moat is a folder but no layer"},

		{"a link to nowhere", links, lists{}, map[string]string{"a.md": "[x](b.md)"}, "links to b.md, which is not there"},
		{"a link to no heading", links, lists{}, map[string]string{"a.md": "[x](#here)\n## There\n"}, "no such heading"},
		{"a link to a heading", links, lists{}, map[string]string{"a.md": "[x](#the-edge-gateroute)\n## The edge, gate/route\n"}, ""},
		{"a link in the clear", links, lists{}, map[string]string{"a.md": "[x](http://a.test)"}, "use https"},
		{"a file that is not there", namedFiles, lists{}, map[string]string{"a.md": "see `layer/gone.go`"}, "names the file layer/gone.go"},
		{"a folder that is not there", namedFiles, lists{}, map[string]string{"layer/l.go": program, "a.md": "see `layer/gone/`"}, "names the file layer/gone"},
		{"a word that is no file", namedFiles, lists{}, map[string]string{"a.md": "`text/html` and `a.b`"}, ""},
		{"a command that is not there", namedCommands, lists{}, map[string]string{"a.md": "run `redoubt fly`"}, "no such command"},
		{"a flag that is not there", namedCommands, lists{}, map[string]string{"a.md": "```sh\nredoubt up --fly\n```", "command/c.go": upSource}, "no flag --fly"},
		{"a flag that is there", namedCommands, lists{}, map[string]string{"a.md": "    redoubt up --json", "command/c.go": upSource}, ""},
		{"a comment with a command that is not there", namedCommands, lists{}, map[string]string{"x/x.go": program + "// Run `redoubt fly`.\n", "command/c.go": upSource}, "no such command"},
		{"a comment with a document that is not there", namedFiles, lists{}, map[string]string{"x/x.go": program + "// See docs/" + "gone.md.\n"}, "names docs/gone.md"},
		{"a folder to run that is not there", namedCommands, lists{}, map[string]string{"a.md": "`go vet ./gone/...`"}, "there is no gone"},
		{"a snippet that is in no file", snippets, lists{}, map[string]string{"a.md": "```go\nx := 1\n```"}, "in no file"},
		{"a snippet that is compiled", snippets, lists{}, map[string]string{"a.md": "```go\nvar x = 1\n```", "x/x.go": program + "var x = 1\n"}, ""},

		{"met and not cited", requirements, lists{}, map[string]string{requirementsFile: row("P1", "met", "")}, "no code says // SYSTEM P1"},
		{"met and not tested", requirements, lists{}, map[string]string{requirementsFile: row("P1", "met", ""), "x/x.go": program + "// SYSTEM P1\n"}, "no test says // SYSTEM P1"},
		{"met by a list", requirements, lists{}, map[string]string{requirementsFile: row("P2", "met", ""), "x/x.go": program + "// SYSTEM P1–P3, R.\n", "x/x_test.go": program + "// SYSTEM P2\n"}, "cites SYSTEM P1, which"},
		{"met in part, nowhere", requirements, lists{}, map[string]string{requirementsFile: row("P1", "partly", "")}, "name the folder"},
		{"a status of another kind", requirements, lists{}, map[string]string{requirementsFile: row("P1", "nearly", "")}, "the status \"nearly\""},
		{"a number twice", requirements, lists{}, map[string]string{requirementsFile: row("P1", "not yet", "") + row("P1", "not yet", "")}, "two rows"},

		{"a remark for later", leftovers, lists{}, map[string]string{"x/x.go": program + "// TO" + "DO: more\n"}, "leaves something for later"},
		{"a remark with its number", leftovers, lists{}, map[string]string{"x/x.go": program + "// TO" + "DO(P4): more\n"}, ""},
		{"a stopgap", leftovers, lists{}, map[string]string{"x/x.go": program + "// good for" + " now\n"}, "write what holds"},
		{"a folder of one machine", leftovers, lists{}, map[string]string{"x/x.go": program + "// see /ho" + "me/ann/x\n"}, "a folder of one machine"},
		{"a file without end", lengths, lists{}, map[string]string{"x/x.sql": strings.Repeat("\n", longest+1)}, "part it"},
		{"a long file that is short", lengths, lists{long: map[string]string{"x/x.sql": "table"}}, map[string]string{"x/x.sql": "\n"}, "no longer long"},
		{"a folder named after nothing", folderNames, lists{}, map[string]string{"util/x.go": program}, "named after nothing"},
		{"a message that says nothing", messages, lists{}, map[string]string{"x/x.go": program + "var x = \"failed" + " to open\"\n"}, "name what was being done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for at, content := range c.house {
				tree[at] = &fstest.MapFile{Data: []byte(content)}
			}
			h, err := read(tree, c.lists)
			if err != nil {
				t.Fatal(err)
			}
			faults := c.rule(h)
			if c.want == "" && len(faults) > 0 {
				t.Errorf("got %q, want no fault", faults)
			}
			if c.want != "" && !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("got %q, want one that says %q", faults, c.want)
			}
		})
	}
}

const upSource = `// Package command is for a test.
package command

func up() {
	c := &cobra.Command{Use: "up [thing]"}
	c.Flags().BoolVar(&f.json, "json", false, "say it in JSON")
}
`

func TestNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"P1.":                   "P1",
		"P3, P5)":               "P3 P5",
		"D1–D4 hold":            "D1 D2 D3 D4",
		"I1–I5, I9: sessions":   "I1 I2 I3 I4 I5 I9",
		"P1 P3 P5":              "P1 P3 P5",
		"T2, R).":               "T2 R",
		"I5, RFC 9700":          "I5",
		"A1 and A2":             "A1 A2",
		"I5, Back-channel":      "I5",
		"I1–T2 is nothing":      "I1 T2",
		"numbers are elsewhere": "",
	} {
		if got := strings.Join(numbers(in), " "); got != want {
			t.Errorf("numbers(%q) = %q, want %q", in, got, want)
		}
	}
}
