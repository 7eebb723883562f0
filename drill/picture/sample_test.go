package picture_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/drill/report"
)

const hostile = "<script>alert(1)</script>\"'&|`**[x](javascript:alert(1))\x1b[2J\x1b]0;owned\x07\r\n# Gone\u202e" + "\u200b</title></svg>"

// small is a report in which everything happens once; the golden files are made of it.
func small() *report.Report {
	return &report.Report{
		Format: 1, Began: time.Date(2026, 11, 22, 20, 47, 0, 0, time.UTC), Seconds: 214.3, Seed: 7, Machine: "linux/amd64, 2 processors, PostgreSQL 15.18", Complete: true,
		Units: []report.Unit{
			{Name: "transport/csp", Layer: "transport", What: "content security policy", Gone: "no policy", Solo: 1},
			{Name: "gate/action", Layer: "gate/action", What: "the claims asked for the scope of a change", Gone: "every claim will do", Solo: 1},
			{Name: "input/render", Layer: "input", What: "rich text cleaned on render", Gone: "printed as it is", Solo: 1},
			{Name: "input/file", Layer: "input", What: "uploads examined and drawn anew", Gone: "kept as they came", Solo: 1, Last: 1},
			{Name: "rls/floor", Layer: "rls", What: "the tenant floor", Gone: "row security off", Solo: 1},
			{Name: "rls/grants", Layer: "rls", What: "what the application's role may do", Gone: "everything granted", Bites: "no attack of the list needs it"},
			{Name: "cause/owner", What: "the application connects as the owner", Gone: "BYPASSRLS"},
		},
		Attacks: []report.Attack{
			{Name: "another-organizations-order", Threat: "T01", Group: "tenants", Title: "Dave of Globex reads an order of Acme by its id", Expect: []string{"rls/floor"},
				Valid: true, Depth: 2, Effective: 2, Solo: []string{"gate/action", "rls/floor"}, Company: []string{}, Cuts: [][]string{{"gate/action", "rls/floor"}}, Causes: [][]string{{"cause/owner", "gate/action"}},
				By: "rls", Agrees: true, Runs: []report.Run{
					{Out: []string{}, Outcome: report.Stopped, By: "rls", Millis: 12, Steps: []report.Step{{Who: "dave", Did: "GET /api/v1/orders/…", Answer: "404 not-found rls"}}},
					{Out: []string{"gate/action", "rls/floor"}, Outcome: report.Harm, Millis: 9, Steps: []report.Step{{Who: "dave", Did: "GET /api/v1/orders/…", Answer: "200"}}},
				}},
			{Name: "a-place-in-a-picture", Threat: "T37", Group: "files", Title: "Bob's picture tells where it was taken", Expect: []string{"input/file"},
				Honest: "Only drawing it anew removes it.", Valid: true, Depth: 1, Effective: 1, Solo: []string{"input/file"}, Cuts: [][]string{{"input/file"}}, Agrees: true,
				Runs: []report.Run{{Out: []string{"input/file"}, Outcome: report.Harm, Millis: 30}}},
			{Name: "a-script-in-a-post", Threat: "T30", Group: "browser", Title: "A script in a post runs in the browser of who reads it", Valid: true, Depth: 3, Effective: 2,
				Solo: []string{"transport/csp"}, Company: []string{"input/render"}, Cuts: [][]string{{"transport/csp", "input/render", "rls/grants"}}, Causes: [][]string{{"cause/owner", "transport/csp"}}},
			{Name: "everything", Threat: "T99", Group: "tenants", Title: "Carol takes it all", Valid: true, Breach: true, Cuts: [][]string{{}}, Causes: [][]string{},
				Runs: []report.Run{{Out: nil, Outcome: report.Harm, Millis: 1}}},
			{Name: "nothing", Group: "browser", Title: "An attack that harms nobody, ever", Runs: []report.Run{{Out: []string{"rls/floor"}, Outcome: report.Failed, Note: "carol has no order", Millis: 3}}},
			{Name: "too-deep", Group: "browser", Title: "Nobody has found the bottom", Valid: true, Depth: -1, Effective: -1, Solo: []string{"transport/csp"}},
		},
		Pairs: []report.Pair{
			{A: "gate/action", B: "rls/floor", Attacks: []string{"another-organizations-order"}},
			{A: "transport/csp", B: "rls/floor", Attacks: []string{}},
		},
		Configurations: 9, Runs: 54, Controls: 9,
		Faults:    []string{"everything does harm with everything in place"},
		Anomalies: []string{"a-script-in-a-post is stopped by transport/csp, of which its author knew nothing"},
	}
}

// nasty is small with hostile words wherever words are.
func nasty() *report.Report {
	r := small()
	long := hostile + strings.Repeat("very long ", 300)
	r.Machine, r.Faults, r.Anomalies = hostile, []string{long}, []string{hostile}
	for i := range r.Units {
		r.Units[i].What, r.Units[i].Gone, r.Units[i].Bites = hostile, hostile, hostile
	}
	r.Units[0].Name, r.Units[1].Layer = hostile, hostile
	for i := range r.Attacks {
		a := &r.Attacks[i]
		a.Title, a.Honest, a.Group, a.By = long, long, hostile, hostile
		a.Name, a.Threat = fmt.Sprintf("%d%s", i, hostile), hostile
		a.Solo, a.Cuts = append(a.Solo, hostile), append(a.Cuts, []string{hostile, long})
		a.Runs = append(a.Runs, report.Run{Out: []string{hostile}, Outcome: hostile, By: hostile, Note: long, Steps: []report.Step{{Who: hostile, Did: long, Answer: hostile}}})
	}
	r.Pairs[0] = report.Pair{A: hostile, B: long, Attacks: []string{hostile}}
	return r
}

var sampleUnits = [][]string{
	{"perimeter", "policy", "headers", "port", "assertion"},
	{"transport", "csp", "headers", "origin", "samesite", "token", "bounds", "redirect"},
	{"identity", "signon", "admission", "token", "session", "claims"},
	{"gate/route", "gate/route"},
	{"input", "schema", "clean", "render", "escape", "file", "serve", "egress"},
	{"gate/page", "gate/page"},
	{"gate/action", "gate/action", "gate/own"},
	{"rls", "floor", "own", "credential", "require", "tags", "constraints", "grants"},
	{"audit", "append-only", "record"},
	{"", "cause/principal", "cause/context", "cause/owner", "cause/registry", "cause/configuration"},
}

// Group, name, title; units that stop alone; units in company.
const sampleAttacks = `
tenants|T01|Dave of Globex reads an order of Acme by its id|gate/own rls/floor|rls/tags
tenants|T02|Carol lists orders with Acme's organization_id as a filter|input/schema rls/floor|
tenants|T03|Dave changes the text of a post of Acme|gate/own rls/floor|rls/tags
tenants|T04|Carol places an order with organization_id of Acme in its body|input/schema rls/floor rls/constraints|
tenants|T05|An order of Globex names a product of Acme|rls/floor rls/constraints|rls/tags
tenants|T08|A pooled connection still remembers who asked before|rls/credential rls/floor|
tenants|T09|A view of its owner's shows the rows of every organization|rls/floor rls/grants|rls/own
tenants|T10|SQL in sort= reads rows of Acme|input/schema rls/floor|rls/grants
tenants|T11|A stored preference becomes SQL when it is read again|input/schema rls/floor rls/constraints|
people|T12|A stranger opens a page for members|gate/route gate/page rls/credential|perimeter/policy perimeter/assertion
people|T13|A token that says alg=none is believed|identity/token|identity/session rls/credential
people|T14|A token that was made for another application signs in|identity/token identity/admission|
people|T15|Mallory's provider claims the address of Alice|identity/admission rls/constraints|
people|T16|Mallory signs Bob in as herself, state left out|identity/signon transport/samesite|
people|T18|A session goes on after its member was stopped|identity/session gate/page rls/credential|
people|T20|Bob is still an administrator after he was demoted|gate/action rls/require|identity/claims gate/page
people|T22|A key that may read writes|gate/route gate/action rls/require|
people|T25|Bob invites people, as only administrators may|gate/route gate/action rls/require|rls/own
people|T26|Double slashes, %2e and other spellings lead past the gate|perimeter/headers gate/route|gate/action rls/require
people|T23|A key's hash from a stolen table is used as a key|rls/credential|
perimeter|T21|A stranger says X-User-Id: alice|perimeter/headers perimeter/assertion|identity/session
perimeter|T46|The application is asked directly, past the edge|perimeter/port perimeter/assertion|
perimeter|T47|A stranger from outside of the office reaches a page|perimeter/policy gate/route|rls/credential
perimeter|T48|A request with two lengths smuggles another one|perimeter/headers transport/bounds|
perimeter|T41|Duplicate members mean one thing outside and another inside|perimeter/headers input/schema|
browser|T30|A script in the rich text of a post runs for everybody who reads it|input/clean input/render transport/csp|
browser|T31|A script that was put into the database runs for who reads it|input/render transport/csp|
browser|T32|What was searched for is printed as markup|input/escape transport/csp|input/schema
browser|T33|A drawing with a script in it is opened from where it was uploaded|input/file input/serve|transport/headers
browser|T43|Another site's form places an order as Bob|transport/origin transport/samesite transport/token|
browser|T44|A picture's address on another site changes something by GET|transport/samesite gate/action|transport/origin
browser|T45|Commons is framed, and Bob clicks what he does not see|transport/csp transport/headers|transport/samesite
browser|T29|Signing in leads to another site|transport/redirect|
input|T28|Bob makes himself an administrator with one more member of JSON|input/schema rls/constraints rls/grants|
input|T38|A course's picture is fetched from the inside network|input/egress|input/schema
input|T40|A line break in a header forges a line of the log|perimeter/headers transport/bounds|
input|T42|JSON a thousand levels deep keeps the processor busy|input/schema transport/bounds|
files|T34|A picture that is also a page is opened as a page|input/file input/serve transport/headers|
files|T36|A name that climbs out of its folder is written|input/file input/serve|
files|T37|Bob's picture still tells where it was taken|input/file|
money|T53|Bob says the price himself, and how many less than none|input/schema rls/constraints|gate/action
money|T54|Two people take the last seat at once|rls/constraints|
money|T55|A course is opened without being paid for|gate/own rls/own|rls/floor
database|T57|The application's role drops a policy|rls/grants|
database|T59|The application's role turns a trigger off|rls/grants audit/record|
trail|T58|Bob's entry in the trail is removed|audit/append-only rls/grants|
trail|T60|A change leaves no entry behind|audit/record|
`

// large is as real as one can be made up: as many attacks and units as there are, and pairs.
func large() *report.Report {
	r := small()
	r.Units, r.Attacks, r.Pairs, r.Faults, r.Anomalies = nil, nil, nil, []string{}, []string{}
	r.Configurations, r.Runs, r.Controls = 734, 34498, 734
	for _, l := range sampleUnits {
		for _, name := range l[1:] {
			if !strings.Contains(name, "/") {
				name = l[0] + "/" + name
			}
			r.Units = append(r.Units, report.Unit{Name: name, Layer: l[0], What: "what " + name + " does for everybody", Gone: "let through"})
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(sampleAttacks), "\n") {
		f := strings.Split(line, "|")
		r.Attacks = append(r.Attacks, sampleAttack(f))
	}
	for i := range r.Units {
		for _, a := range r.Attacks {
			if slices.Contains(a.Solo, r.Units[i].Name) {
				r.Units[i].Solo++
				if len(a.Solo) == 1 {
					r.Units[i].Last++
				}
			}
		}
	}
	for i, a := range r.Units {
		for _, b := range r.Units[i+1:] {
			r.Pairs = append(r.Pairs, pairOf(r, a.Name, b.Name))
		}
	}
	return r
}

func sampleAttack(f []string) report.Attack {
	solo, company := strings.Fields(f[3]), strings.Fields(f[4])
	words := strings.FieldsFunc(strings.ToLower(f[2]), func(c rune) bool { return c < 'a' || c > 'z' })
	a := report.Attack{
		Name: strings.Join(words[:min(5, len(words))], "-"), Group: f[0], Threat: f[1], Title: f[2], Expect: solo, Valid: true, Solo: solo, Company: company,
		Depth: len(solo), Effective: len(solo), Cuts: [][]string{solo}, Agrees: true, By: strings.Split(solo[0], "/")[0],
	}
	if len(company) > 0 {
		a.Cuts, a.Depth, a.Effective = nil, len(solo)+1, len(solo)+1
		for _, c := range company {
			a.Cuts = append(a.Cuts, append(slices.Clone(solo), c))
		}
	}
	chance := rand.New(rand.NewPCG(uint64(len(f[2])), 7))
	if slices.Contains(solo, "rls/floor") && len(solo) > 1 && a.Depth > 2 {
		a.Causes = append(a.Causes, []string{"cause/owner", solo[0]})
		a.Effective = 2
	}
	if slices.Contains(solo, "gate/action") {
		a.Causes = append(a.Causes, []string{"cause/principal", "rls/require"})
		a.Effective = 2
	}
	if f[1] == "T12" {
		a.Causes = append(a.Causes, []string{"cause/registry"}, []string{"cause/configuration", "cause/context"})
		a.Effective = 1
	}
	if a.Effective == 1 {
		a.Honest = "Nothing but this one unit looks at it: there is one place where it can be done, and a second would be the same code again. What remains is that it is seen."
	}
	configurations := [][]string{{}, solo}
	for _, u := range solo {
		configurations = append(configurations, []string{u})
	}
	for i, out := range configurations {
		run := report.Run{Out: out, Outcome: report.Stopped, By: a.By, Millis: int64(5 + chance.IntN(90))}
		if i == 1 || len(out) == a.Depth {
			run.Outcome, run.By = report.Harm, ""
		}
		for range 2 + chance.IntN(4) {
			run.Steps = append(run.Steps, report.Step{Who: "dave", Did: "GET /api/v1/orders/0192f3c8-7a10-7c31-9d2c-5f3b1e2a4d60?sort=placed", Answer: "404 not-found rls"})
		}
		a.Runs = append(a.Runs, run)
	}
	return a
}

func pairOf(r *report.Report, x, y string) report.Pair {
	p := report.Pair{A: x, B: y, Attacks: []string{}}
	for _, a := range r.Attacks {
		for _, set := range slices.Concat(a.Cuts, a.Causes) {
			if len(set) == 2 && slices.Contains(set, x) && slices.Contains(set, y) {
				p.Attacks = append(p.Attacks, a.Name)
			}
		}
	}
	return p
}
