package vet_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/vet"
)

func TestParseList(t *testing.T) {
	list, err := vet.ParseList("# why\r\n\n  unscoped \t command/people.go  InsecureSignIn  fills a   development database  \n")
	want := vet.Exception{Analyzer: "unscoped", Path: "command/people.go", Thing: "InsecureSignIn", Reason: "fills a development database", Line: 3}
	if err != nil || len(list) != 1 || list[0] != want {
		t.Errorf("got %+v and %v, want %+v", list, err, want)
	}
	cases := []struct{ name, list, want string }{
		{"a line without a thing", "unscoped command", "line 1: write ANALYZER PATH THING REASON"},
		{"an analyzer that there is not", "spelling command x because of this test", `line 1: there is no analyzer "spelling"`},
		{"a path from the root of the machine", "unscoped /etc x because of this test", `line 1: "/etc" is no path from the module's root`},
		{"a path that leads out", "unscoped ../x x because of this test", `line 1: "../x" is no path from the module's root`},
		{"no reason", "unscoped command x", "line 1: say in a few words why"},
		{"a reason that is none", "unscoped command x ok then", "line 1: say in a few words why"},
		{"the same twice", "unscoped a x because of this test\nunscoped a x because of that test", "line 2: it is there already"},
		{"every fault at once", "unscoped\n\nspelling a x because of this test", `line 3: there is no analyzer "spelling"`},
		{"beyond its bound", strings.Repeat("#", 64<<10+1), "longer than 65536 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := vet.ParseList(c.list); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("unscoped command InsecureSignIn fills a development database\n")
	f.Add("# nothing\n\nconstsql a\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := vet.ParseList(text)
		if err != nil {
			return
		}
		for _, e := range list {
			if e.Reason == "" || e.Path == "" || e.Thing == "" || e.Line < 1 || strings.HasPrefix(e.Path, "/") || strings.Contains("/"+e.Path+"/", "/../") {
				t.Errorf("admitted %+v", e)
			}
		}
	})
}
