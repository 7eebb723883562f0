package policy_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s", name, got)
	}
}

// What redoubt edge explain prints, for people to read (SYSTEM P4).
func TestExplanations(t *testing.T) {
	s := parse(t, corpus)
	for name, r := range map[string]policy.Request{
		"let-in":       {Host: "app.example", Path: "/admin", Method: "GET", Client: office, Who: people["bob the admin"]},
		"shut-out":     {Host: "app.example", Path: "/admin/users", Method: "POST", Client: away, Who: people["bob the admin"]},
		"carelessly":   {Host: "app.example", Path: "/Admin.json", Method: "GET", Client: away, Who: people["alice of staff"]},
		"nobody":       {Host: "app.example", Path: "/board", Method: "GET", Client: away},
		"nearly":       {Host: "app.example", Path: "/shared/x", Method: "POST", Client: away, Who: people["dora by mail"]},
		"suspended":    {Host: "app.example", Path: "/", Method: "GET", Client: away, Who: people["carol, suspended"]},
		"odd-path":     {Host: "app.example", Path: "/a//b", Method: "GET", Client: away},
		"service":      {Host: "app.example", Path: "/jobs/backup", Method: "POST", Client: away, Who: people["service backup"]},
		"no-more-hope": {Host: "wiki.example", Path: "/\x1b[31m", Method: "GET", Client: away, Who: people["alice of staff"]},
	} {
		golden(t, name+".txt", s.Explain(r).String())
	}
	text, err := json.MarshalIndent(s.Explain(policy.Request{Host: "app.example", Path: "/Admin", Method: "GET", Client: away, Who: people["alice of staff"]}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "carelessly.json", string(text)+"\n")
}

// An explanation agrees with the decision that it explains, and names the rule that decides first.
func TestExplanationsAgreeWithDecisions(t *testing.T) {
	r := newRandom(8)
	for range rounds {
		rules := text(randomRules(r))
		s := parseAny(t, rules)
		q := randomRequest(r)
		e, d := s.Explain(q), s.Decide(q)
		if e.Decision != d {
			t.Fatalf("explained as %+v, decided as %+v", e.Decision, d)
		}
		if d.Rule != "" && (len(e.Applied) == 0 || !e.Applied[0].Decides || e.Applied[0].Rule != d.Rule) {
			t.Fatalf("%+v: the rule that decides is not the first of %+v in\n%s", d, e.Applied, rules)
		}
		if d.Rule == "" && slices.ContainsFunc(e.Applied, func(s policy.Stated) bool { return s.Decides }) {
			t.Fatalf("%+v: %+v", d, e.Applied)
		}
		for _, a := range e.Applied {
			if d.Why == policy.NoRule && a.Effect == "permit" && !a.Careless {
				t.Fatalf("%+v: but %+v applies, in\n%s", d, a, rules)
			}
		}
		for _, n := range e.Near {
			if len(n.Missed) == 0 || n.Effect != "permit" {
				t.Fatalf("%+v is said to be near", n)
			}
		}
	}
}

func TestAnExplanationCannotSteerATerminal(t *testing.T) {
	s := parse(t, corpus)
	r := policy.Request{Host: "app.example", Path: "/%C2%9B31m\x1b[2J%E2%80%AE", Method: "GET\x1b[2J", Client: away,
		Who: assertion.SignOn{By: assertion.ByProvider, Provider: "okta\x1b", Email: "a@b.test", Groups: []string{"\x07"}}}
	for _, path := range []string{r.Path, "/%C2%9B31m%E2%80%AE"} {
		r.Path = path
		if got := s.Explain(r).String(); strings.ContainsFunc(got, func(c rune) bool { return c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e }) {
			t.Errorf("got %q", got)
		}
	}
}

func TestClausesAreFoundInText(t *testing.T) {
	for text, want := range map[string]string{
		`permit(principal, action, resource);`:                                                              "principal|action|resource",
		`@id("permit") permit ( principal , action in [Action::"GET", Action::"HEAD"], resource, ) ;`:       `principal|action in [Action::"GET", Action::"HEAD"]|resource`,
		"forbid(principal, // a, b\n action, resource) when { f(a, b) } unless { [c, \"}\"].contains(d) };": `principal|// a, b` + "\n action|resource|f(a, b)|[c, \"}\"].contains(d)",
	} {
		if got := strings.Join(policy.Clauses(text), "|"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAddressesAreComparedInOneSpelling(t *testing.T) {
	for address, want := range map[string]string{
		"bob@acme.test": "bob@acme.test", "Bob+X@Acme.TEST": "bob+x@acme.test", "o'neil@acme.test": "o'neil@acme.test",
		"": "", "bob": "", "@acme.test": "", "bob@": "", "bob@acme@test": "", `"bob"@acme.test`: "", "bob @acme.test": "", "bob@acme.test.": "", "bob@.acme": "",
		"bob@acme..test": "", "böb@acme.test": "", "bob@acme.tesſ": "", "bob@\u212acme.test": "", "bob@[127.0.0.1]": "", "bob@acme.test\n": "", strings.Repeat("a", 250) + "@b.test": "",
	} {
		if got := policy.CanonicalEmail(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
