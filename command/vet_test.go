package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/command"
	"github.com/redoubt-dev/redoubt/commons"
)

// vetted runs `redoubt vet` in a module of one package that calls sql with what it was given.
func vetted(t *testing.T, list string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.test/shop\n\ngo 1.26\n",
		"shop/shop.go":  "package shop\n\nfunc ask(sql string) {}\n\nfunc Find(name string) { ask(\"select \" + name) }\n",
		"vet/allow.txt": list,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = command.Run(t.Context(), commons.App, append([]string{"vet"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestVetSaysWhatItFound(t *testing.T) { // SYSTEM G2, N4
	const place = "shop/shop.go:5:30: shop.ask: SQL that is not constant: write it as a constant and what varies as a parameter, $1 (SYSTEM N4) (constsql)\n"
	cases := []struct {
		name   string
		list   string
		args   []string
		code   int
		stdout string
		stderr string // a part of it
	}{
		{"a finding", "", nil, 1, place, "redoubt: hint: mend them, or write into vet/allow.txt why they must stay"},
		{"a pattern", "", []string{"./shop"}, 1, place, "redoubt: error: vet found one place\n"},
		{"an exception", "constsql shop shop.ask is here to be found\n", []string{"./..."}, 0, "", ""},
		{"an exception that nothing needs", "constsql shop shop.ask is here to be found\nrawhtml shop template.HTML was here once before\n", nil, 1,
			"vet/allow.txt:2:1: template.HTML: nothing in shop needs this exception: take it off the list (rawhtml)\n", "one place"},
		{"an exception without a reason", "constsql shop shop.ask\n", nil, 1, "", "line 1: say in a few words why it must stay as it is"},
		{"packages that are not there", "", []string{"./nowhere"}, 1, "", "nowhere"},
		{"a flag that there is not", "", []string{"--loud"}, 2, "", "redoubt: hint:"},
		{"a list that there is not", "", []string{"--allow", "nowhere.txt"}, 1, "", "reading the list of exceptions"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := vetted(t, c.list, c.args...)
			if code != c.code || filepath.ToSlash(stdout) != c.stdout || !strings.Contains(stderr, c.stderr) {
				t.Errorf("got %d\n%s%s\nwant %d\n%s…%s…", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
		})
	}
}
