package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

// Each is refused when it is read, at the place of what is wrong. The text in ‹ › is where the problem must be found.
func TestRulesThatAreRefused(t *testing.T) { // SYSTEM P4
	for _, c := range []struct{ sentence, text, what string }{
		{"a host that this edge does not serve", `permit(principal in Group::"okta/a", action, resource in ‹Host::"other.example"›);`, "does not serve the host"},
		{"a host in capitals", `permit(principal in Group::"okta/a", action, resource in ‹Host::"App.example"›);`, "write app.example"},
		{"a host with the port that https implies", `permit(principal in Group::"okta/a", action, resource in ‹Host::"app.example:443"›);`, "write app.example"},
		{"a host that ends with a dot", `permit(principal in Group::"okta/a", action, resource in ‹Host::"app.example."›);`, "write app.example"},
		{"a path of a host that is not served", `forbid(principal, action, resource in ‹Path::"other.example/x"›);`, "does not serve the host of the path"},
		{"a path of a host in capitals", `forbid(principal, action, resource in ‹Path::"APP.example/x"›);`, "write app.example"},
		{"a path without a host", `forbid(principal, action, resource in ‹Path::"/admin"›);`, "does not serve"},
		{"a path without a slash", `forbid(principal, action, resource in ‹Path::"app.example"›);`, "no slash"},
		{"a path that ends with a slash", `forbid(principal, action, resource in ‹Path::"app.example/admin/"›);`, "ends with a slash"},
		{"a path with an empty segment", `forbid(principal, action, resource in ‹Path::"app.example//admin"›);`, "empty segment"},
		{"a path with dots", `forbid(principal, action, resource in ‹Path::"app.example/x/../admin"›);`, "dot segment"},
		{"a path that is escaped", `forbid(principal, action, resource in ‹Path::"app.example/%61dmin"›);`, "escaped"},
		{"a path with an escaped slash", `forbid(principal, action, resource in ‹Path::"app.example/a%2Fb"›);`, "escaped"},
		{"a path with a query", `forbid(principal, action, resource in ‹Path::"app.example/x?admin=1"›);`, "query"},
		{"a path with a star", `forbid(principal, action, resource in ‹Path::"app.example/admin/*"›);`, "star"},
		{"a path with parameters", `forbid(principal, action, resource in ‹Path::"app.example/admin;x=1"›);`, "parameters"},
		{"a path with a backslash", `forbid(principal, action, resource in ‹Path::"app.example/a\\b"›);`, "no request's has"},
		{"a path that ends with a blank", `forbid(principal, action, resource in ‹Path::"app.example/admin "›);`, "dot or a blank"},
		{"a path in decomposed letters", "forbid(principal, action, resource in ‹Path::\"app.example/e\u0301\"›);", "composed form"},
		{"a path of too many segments", `forbid(principal, action, resource in ‹Path::"app.example` + strings.Repeat("/x", 70) + `"›);`, "longer than any"},
		{"a host where a path is asked for", `‹f›orbid(principal, action, resource == Host::"app.example");`, "applicable action"},
		{"a path within a condition", `forbid(principal, action, resource) when { resource in ‹Path::"app.example/admin/"› };`, "ends with a slash"},
		{"a path within a set", `forbid(principal, action, resource) when { [Path::"app.example/x", ‹Path::"app.example/y/"›].contains(resource) };`, "ends with a slash"},

		{"a group without its provider", `permit(principal in ‹Group::"admins"›, action, resource);`, "begins with its provider's"},
		{"a group of no provider", `permit(principal in ‹Group::"/admins"›, action, resource);`, "begins with its provider's"},
		{"a group of an unknown provider", `permit(principal in ‹Group::"octa/admins"›, action, resource);`, "no such provider (there are: okta, partner)"},
		{"a person in capitals", `permit(principal == ‹Person::"Bob@acme.test"›, action, resource);`, "nobody has this address"},
		{"a person without an address", `permit(principal == ‹Person::""›, action, resource);`, "nobody has this address"},
		{"a person in Cyrillic", `permit(principal == ‹Person::"аlice@acme.test"›, action, resource);`, "nobody has this address"},
		{"a person in a person", `permit(principal in ‹Person::"bob@acme.test"›, action, resource);`, "in a Group and in nothing else"},
		{"an unknown service", `permit(principal == ‹Service::"bakup"›, action, resource);`, "no such service (there are: backup, ci)"},
		{"another nobody", `@public("x") permit(principal == ‹Nobody::"noone"›, action, resource);`, `write Nobody::"nobody"`},
		{"an unknown type", `permit(principal in ‹Team::"x"›, action, resource);`, "unrecognized entity type"},
		{"an unknown method", `permit(principal in Group::"okta/a", action == ‹Action::"FETCH"›, resource);`, "unrecognized action"},
		{"a method in small letters", `permit(principal in Group::"okta/a", action in [Action::"GET", ‹Action::"post"›], resource);`, "unrecognized action"},
		{"a group of methods where one is asked for", `‹p›ermit(principal in Group::"okta/a", action == Action::"read", resource);`, "applicable action"},

		{"an attribute that persons do not have", `permit(principal is Person, action, resource) when { principal.‹emial› == "a@b.test" };`, "attribute"},
		{"an attribute of persons, of anybody", `@public("x") permit(principal, action, resource) when { principal.‹email› == "a@b.test" };`, "ask `principal is Person &&` first"},
		{"a context that is not there", `forbid(principal, action, resource) when { context.‹banned› };`, "the context has network"},
		{"a comparison with an address in capitals", `permit(principal is Person, action, resource) when { principal.email == ‹"Bob@acme.test"› };`, "no address is spelled"},
		{"the same the other way round", `permit(principal is Person, action, resource) when { ‹"Bob@acme.test"› == principal.email };`, "no address is spelled"},
		{"one in a set", `permit(principal is Person, action, resource) when { ["a@b.test", ‹"B@b.test"›].contains(principal.email) };`, "no address is spelled"},
		{"an empty address", `permit(principal is Person, action, resource) when { principal.email == ‹""› };`, "no address is spelled"},
		{"a domain with its sign", `permit(principal is Person, action, resource) when { principal.domain == ‹"@acme.test"› };`, "no domain is spelled"},
		{"a domain in capitals", `permit(principal is Person, action, resource) when { principal.domain != ‹"Acme.test"› };`, "no domain is spelled"},
		{"an unknown provider", `permit(principal is Person, action, resource) when { principal.provider == ‹"octa"› };`, "no such provider"},
		{"an unknown way in", `permit(principal is Person, action, resource) when { principal.by == ‹"password"› };`, "by provider or by mail"},
		{"an empty subject", `permit(principal is Person, action, resource) when { principal.subject == ‹""› };`, "empty subject"},
		{"a pattern that notacme.test meets", `permit(principal is Person, action, resource) when { principal.email like ‹"*acme.test"› };`, "strangers' addresses"},
		{"a pattern that a-acme.test meets", `permit(principal is Person, action, resource) when { principal.email like ‹"*@*acme.test"› };`, "strangers' addresses"},
		{"a pattern that any admin meets", `permit(principal is Person, action, resource) when { principal.email like ‹"admin@*"› };`, "met at everybody's domain"},
		{"a pattern that a whole country meets", `permit(principal is Person, action, resource) when { principal.email like ‹"*@*.test"› };`, "strangers' addresses"},
		{"a pattern for domains that notacme.test meets", `permit(principal is Person, action, resource) when { principal.domain like ‹"*acme.test"› };`, "strangers' domains"},
		{"a pattern for domains that ends with a star", `permit(principal is Person, action, resource) when { principal.domain like ‹"acme.*"› };`, "everybody's domain"},
		{"a pattern in capitals", `permit(principal is Person, action, resource) when { principal.email like ‹"*@Acme.test"› };`, "no address meets"},
		{"a pattern for names", `permit(principal is Person, action, resource) when { principal.subject ‹like› "1*" };`, "only principal.email and principal.domain"},
		{"a network that is none", `forbid(principal, action, resource) when { context.network.isInRange(ip(‹"10.0.0/8"›)) };`, "parse as IP address"},
		{"a network with bits beyond its length", `forbid(principal, action, resource) when { context.network.isInRange(ip(‹"10.0.0.1/8"›)) };`, "write 10.0.0.0/8"},
		{"an address that is compared with a network", `forbid(principal, action, resource) when { context.network == ip(‹"10.0.0.0/8"›) };`, "never equal"},
		{"IPv4 in IPv6's notation", `forbid(principal, action, resource) when { context.network == ip(‹"›::ffff:a00:1") };`, "write it as IPv4"},
		{"another function", `forbid(principal, action, resource) when { ‹datetime›("2026-01-01") == datetime("2026-01-02") };`, "no such function"},
		{"arithmetic", `‹f›orbid(principal, action, resource) when { 1 + 1 == 2 };`, "computes with something"},
		{"numbers that are compared", `‹f›orbid(principal, action, resource) when { 1 < 2 };`, "computes with something"},
		{"a record", `‹f›orbid(principal, action, resource) when { {a: 1}.a == 1 };`, "what stands before"},
		{"an attribute of a person who is not asking", `‹f›orbid(principal, action, resource) when { Person::"bob@acme.test".domain == "acme.test" };`, "what stands before"},
		{"a group that is asked of somebody else", `‹f›orbid(principal, action, resource) when { Person::"bob@acme.test" in Group::"okta/a" };`, "what stands before"},
		{"a path that is asked of another", `‹f›orbid(principal, action, resource) when { Path::"app.example/x" in resource };`, "what stands before"},
		{"a condition that is no yes or no", `‹f›orbid(principal, action, resource) when { "yes" };`, "expected Bool"},
		{"a set without members", `‹f›orbid(principal, action, resource) when { [].contains(resource) };`, "empty set"},

		{"a rule for everybody that does not say so", `permit(‹principal›, action, resource in Host::"app.example");`, `@public("why")`},
		{"a rule for nobody that does not say so", `permit(‹principal› == Nobody::"nobody", action, resource);`, "lets everybody in"},
		{"a rule for all of a network that does not say so", `permit(‹principal›, action, resource) when { context.network.isInRange(ip("10.0.0.0/8")) };`, "lets everybody in"},
		{"a condition for persons alone under everybody", `permit(‹principal›, action, resource) when { principal is Person && principal.domain == "acme.test" };`, "name a principal"},
		{"a public rule without a reason", `‹@public› permit(principal, action, resource);`, "gives no reason"},
		{"a public rule with an empty reason", `‹@public›(" ") permit(principal, action, resource);`, "gives no reason"},
		{"a rule for some that is said to be public", `‹@public›("x") permit(principal in Group::"okta/a", action, resource);`, "does not let everybody in"},
		{"a forbid that is said to be public", `‹@›public("x") forbid(principal, action, resource);`, "a forbid lets nobody in"},
		{"a rule for whoever can sign on that does not say so", `permit(‹principal› is Person, action, resource);`, `@anyone("why")`},
		{"the same with a condition that is not about them", `permit(‹principal› is Person, action, resource) when { context.network.isInRange(ip("10.0.0.0/8")) };`, `@anyone("why")`},
		{"a rule that is said to be for anyone", `‹@anyone›("x") permit(principal is Person, action, resource) when { principal.domain == "acme.test" };`, "take @anyone away"},
		{"a person by address, of any provider", `permit(‹principal› == Person::"bob@acme.test", action, resource);`, "any of the providers could say"},
		{"a domain, of any provider", `permit(‹principal› is Person, action, resource) when { principal.domain == "acme.test" };`, "any of the providers could say"},
		{"addresses on a list, of any provider", `permit(‹principal› is Person, action, resource) when { ["a@b.test"].contains(principal.email) };`, `principal.provider == "okta"`},
		{"a person in a condition, of any provider", `permit(‹principal› is Person, action, resource) when { principal == Person::"bob@acme.test" };`, "any of the providers could say"},
		{"a group, of its provider, that is said to be any's", `‹@anyprovider›("x") permit(principal in Group::"okta/a", action, resource);`, "take @anyprovider away"},
		{"an annotation that is mistyped", `‹@publik›("x") permit(principal in Group::"okta/a", action, resource);`, "no such annotation"},
		{"an id with blanks", `‹@id›("a b") permit(principal in Group::"okta/a", action, resource);`, "not a word"},
		{"an id that is taken", "@id(\"a\") forbid(principal, action, resource);\n‹@id›(\"a\") forbid(principal, action, resource);", "taken by app.cedar:1"},

		{"what is not Cedar", `permit(principal, action ‹resource›);`, "not Cedar"},
		{"a rule without its semicolon", `forbid(principal, action, resource)`, "semicolon"},
		{"a string without its end", `forbid(principal, action, resource in Path::‹"›app.example/x);`, "not Cedar"},
		{"a template", `permit(principal == ‹?principal›, action, resource);`, "not Cedar"},
		{"brackets without end", `forbid(principal, action, resource) when { ` + strings.Repeat("(", 70) + "true" + strings.Repeat(")", 70) + ` };`, "within each other"},
		{"a rule without end", `forbid(principal, action, resource) when { ` + strings.Repeat("true && ", 3000) + `true };`, "longer than"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			marked := strings.Index(c.text, "‹") // in front of which nothing is marked
			text := strings.NewReplacer("‹", "", "›", "").Replace(c.text)
			_, err := policy.Parse(names, []policy.File{{Name: "app.cedar", Text: text}})
			var problems policy.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), c.what) {
				t.Errorf("got %q, want %q", err, c.what)
			}
			if marked < 0 {
				return
			}
			line, column := place(text, marked)
			if !slices.ContainsFunc(problems, func(p policy.Problem) bool {
				return near(p, line, column) && strings.Contains(p.Error(), c.what)
			}) {
				t.Errorf("got\n%v\nwant it at %d:%d", err, line, column)
			}
		})
	}
}

func place(text string, offset int) (line, column int) {
	before := text[:offset]
	return 1 + strings.Count(before, "\n"), 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

// near lets Cedar's own parser be a token late, as it is.
func near(p policy.Problem, line, column int) bool {
	late := p.Column - column
	return p.Line == line && (late == 0 || strings.Contains(p.What, "not Cedar") && -1 <= late && late <= 12)
}

// The positive control: the same constructs, as they are meant.
func TestRulesThatAreTaken(t *testing.T) {
	for _, text := range []string{
		``, `// nothing`,
		`permit(principal in Group::"okta/a/b c", action, resource in Host::"app.example");`,
		`permit(principal is Person in Group::"partner/a", action in Action::"read", resource is Path in Path::"wiki.example/");`,
		`permit(principal is Service, action == Action::"other", resource == Path::"localhost:8443/a b/é/x.y");`,
		`@public("x") permit(principal, action, resource == Path::"app.example/100%");`,
		`@public("x") permit(principal == Nobody::"nobody", action, resource is Path);`,
		`@anyone("x") @id("a-b_c.1") @note("y") permit(principal is Person, action, resource,);`,
		`@anyprovider("x") permit(principal is Person, action, resource) when { principal.email like "*@acme.test" || principal.email like "*@*.acme.test" };`,
		`permit(principal == Person::"bob@acme.test", action, resource) when { principal.by == "mail" };`,
		`@anyprovider("x") permit(principal is Person, action, resource) when { principal.domain like "*.acme.test" || principal.domain == "acme.test" };`,
		`permit(principal is Person, action, resource) when { principal.by == "mail" && principal.provider != "okta" && principal.subject == "7" };`,
		`forbid(principal, action, resource) unless { context.network.isInRange(ip("2001:db8::/32")) || context.network == ip("10.0.0.1") };`,
		`forbid(principal, action, resource) when { if principal is Person then principal.domain != "acme.test" else !(principal is Service) };`,
		`forbid(principal, action, resource) when { resource in [Path::"app.example/a", Path::"app.example/b"] } unless { principal has email };`,
		"forbid(principal, action, resource) // a ; and a \" in a comment\nwhen { resource == Path::\"app.example/a\" };",
	} {
		if _, err := policy.Parse(names, []policy.File{{Name: "app.cedar", Text: text}}); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := policy.Parse(names, []policy.File{
		{Name: "a.cedar", Text: "// é\nforbid(principal, action resource);\n\n\tforbid(principal, action, resource in Host::\"x.example\") unless { context.day == 1 };\npermit(principal, action, resource);"},
		{Name: "b.cedar", Text: `forbid(principal, action, resource) when { "; not the end" }; permit(principal in Group::"x", action, resource);`},
		{Name: "b.cedar", Text: ``},
		{Name: "c.cedar", Text: strings.Repeat(" ", policy.MaxFile+1)},
	})
	want := []string{"a.cedar:2:", "a.cedar:4:40: this edge", "a.cedar:4:76: attribute", "a.cedar:5:8: this rule", "b.cedar:1:1: unexpected type", "b.cedar:1:83: a group", "b.cedar:1:1: there are two", "c.cedar:1:1: the file is longer"}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(got), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestLimitsOfPolicies(t *testing.T) {
	one := `forbid(principal, action, resource);` + "\n"
	if _, err := policy.Parse(names, []policy.File{{Name: "a.cedar", Text: strings.Repeat(one, policy.MaxRules)}}); err != nil {
		t.Errorf("%d rules: %v", policy.MaxRules, err)
	}
	if _, err := policy.Parse(names, []policy.File{{Name: "a.cedar", Text: strings.Repeat(one, policy.MaxRules+1)}}); err == nil || !strings.Contains(err.Error(), "more than 2000 rules") {
		t.Errorf("got %v", err)
	}
	var files []policy.File
	for i := range policy.MaxFiles + 1 {
		files = append(files, policy.File{Name: fmt.Sprint(i), Text: one})
	}
	if _, err := policy.Parse(names, files); err == nil {
		t.Error("too many files are taken")
	}
}

func TestNamesAreChecked(t *testing.T) {
	_, err := policy.Parse(policy.Names{Hosts: []string{"", "App.example", "a.example:443", "a/b"}, Providers: []string{"", "a/b"}}, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`host ""`, `"App.example"`, `"a.example:443"`, `"a/b" is not spelled`, `provider's name ""`, `provider's name "a/b"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %s", err, want)
		}
	}
	if _, err := policy.Parse(policy.Names{}, nil); err == nil || !strings.Contains(err.Error(), "no host") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(corpus)
	f.Add(many(3))
	f.Add(`@id("a") permit(principal == Person::"a@b.c", action, resource) when { if true then [1].contains(1) else ip("::1").isIpv4() };`)
	f.Add(`forbid(principal, action, resource) when { principal has "a" && "\u{1}\"" like "*\*" } unless { !!!-1 == {"a": 1}.a };`)
	f.Add("permit(principal,action,resource)when{((((((((((")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := policy.Parse(names, []policy.File{{Name: "app.cedar", Text: text}})
		if err != nil {
			return
		}
		for _, who := range []string{"nobody", "alice of staff", "service ci"} {
			for _, path := range []string{"/", "/admin/x", "/Admin.json"} {
				r := policy.Request{Host: "app.example", Path: path, Method: "GET", Client: office, Who: people[who]}
				got := s.Decide(r)
				if got.Why == policy.Erred {
					t.Errorf("a rule that was taken fails: %q", text)
				}
				if !strings.Contains(text, "permit") && got.Allow {
					t.Errorf("%q lets %s in", text, who)
				}
				if e := s.Explain(r); e.Decision != got {
					t.Errorf("explained as %+v, decided as %+v", e.Decision, got)
				}
			}
		}
	})
}
