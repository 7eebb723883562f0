package cloudflare_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/cloudflare"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// An access is what the Terraform text says, read back: the oracle judges what would be applied, not what was meant.
type access struct {
	policies map[string]*accessPolicy
	domains  map[string][]string // the policies of an application, by its domain
}

type accessPolicy struct {
	decision string
	rules    map[string][]selector // under include, require and exclude
}

type selector struct {
	kind   string
	values map[string]string
}

var (
	resourceLine = regexp.MustCompile(`^resource "cloudflare_zero_trust_access_(policy|application)" "([^"]+)" \{$`)
	selectorLine = regexp.MustCompile(`^    \{ ([a-z_]+) = \{(.*)\} \},$`)
	pair         = regexp.MustCompile(`([a-z_]+) = ("(?:[^"\\]|\\.)*"|var\.[A-Za-z0-9_]+)`)
	policyLine   = regexp.MustCompile(`^    \{ id = cloudflare_zero_trust_access_policy\.([a-z_0-9]+)\.id, precedence = ([0-9]+) \},$`)
)

func readBack(t *testing.T, text string) access {
	t.Helper()
	a := access{map[string]*accessPolicy{}, map[string][]string{}}
	var p *accessPolicy
	var domain, under string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := resourceLine.FindStringSubmatch(line); m != nil && m[1] == "policy" {
			p = &accessPolicy{rules: map[string][]selector{}}
			a.policies[m[2]] = p
		}
		if v, ok := strings.CutPrefix(line, "  decision   = "); ok {
			p.decision, _ = strconv.Unquote(v)
		}
		if v, ok := strings.CutSuffix(line, " = ["); ok {
			under = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "  domain           = "); ok {
			domain, _ = strconv.Unquote(v)
			a.domains[domain] = nil
		}
		if m := policyLine.FindStringSubmatch(line); m != nil {
			if a.domains[domain] = append(a.domains[domain], m[1]); strconv.Itoa(len(a.domains[domain])) != m[2] {
				t.Fatalf("%s: precedence %s comes at %d", domain, m[2], len(a.domains[domain]))
			}
		} else if m := selectorLine.FindStringSubmatch(line); m != nil {
			s := selector{m[1], map[string]string{}}
			for _, kv := range pair.FindAllStringSubmatch(m[2], -1) {
				value := kv[2]
				if unquoted, err := strconv.Unquote(value); err == nil {
					value = unquoted
				}
				s.values[kv[1]] = value
			}
			p.rules[under] = append(p.rules[under], s)
		}
	}
	return a
}

// covers reports how many bytes of a path an application's domain names, or -1.
func covers(domain, host, path string) int {
	h, p, ok := strings.Cut(domain, "/")
	if h != host {
		return -1
	}
	if !ok {
		return 0
	}
	p, star := strings.CutSuffix("/"+p, "/*")
	switch {
	case strings.HasPrefix(path, p+"/"):
		return 2*len(p) + len(strings.Repeat("x", map[bool]int{true: 1, false: 0}[star]))
	case path == p && !star:
		return 2 * len(p)
	}
	return -1
}

// lets is Access's decision, by the sentences of its documentation.
func (a access) lets(r policy.Request) bool {
	best, application := -1, ""
	for domain := range a.domains {
		if n := covers(domain, r.Host, r.Path); n > best {
			best, application = n, domain
		}
	}
	if best < 0 {
		return false // the tunnel knows no such host
	}
	for _, first := range []bool{true, false} {
		for _, name := range a.domains[application] {
			p := a.policies[name]
			if (p.decision == "bypass" || p.decision == "non_identity") != first || !p.matches(r) {
				continue
			}
			switch p.decision {
			case "bypass", "non_identity":
				return true
			case "allow", "deny":
				return p.decision == "allow" && person(r.Who)
			}
		}
	}
	return false
}

func person(who assertion.SignOn) bool {
	return who.By == assertion.ByProvider || who.By == assertion.ByMail
}

func (p *accessPolicy) matches(r policy.Request) bool {
	meets := func(s selector) bool { return s.meets(r) }
	return slices.ContainsFunc(p.rules["include"], meets) && !slices.ContainsFunc(p.rules["exclude"], meets) &&
		!slices.ContainsFunc(p.rules["require"], func(s selector) bool { return !s.meets(r) })
}

func (s selector) meets(r policy.Request) bool {
	switch s.kind {
	case "everyone":
		return true
	case "ip":
		return netip.MustParsePrefix(s.values["ip"]).Contains(r.Client)
	case "service_token":
		return r.Who.By == assertion.ByService && s.values["token_id"] == "var.service_"+r.Who.Subject
	}
	if !person(r.Who) {
		return false
	}
	login := "var.login_mail"
	if r.Who.By == assertion.ByProvider {
		login = "var.login_" + r.Who.Provider
	}
	switch s.kind {
	case "email":
		return s.values["email"] == r.Who.Email
	case "email_domain":
		_, domain, _ := strings.Cut(r.Who.Email, "@")
		return s.values["domain"] == domain
	case "login_method":
		return s.values["id"] == login
	case "okta":
		return s.values["identity_provider_id"] == login && slices.Contains(r.Who.Groups, s.values["name"])
	case "oidc":
		return s.values["identity_provider_id"] == login && s.values["claim_name"] == "roles" && slices.Contains(r.Who.Groups, s.values["claim_value"])
	}
	panic("a selector that the oracle does not know: " + s.kind)
}

// grid are the requests on which both are compared.
func grid() (all []policy.Request) {
	for _, who := range []assertion.SignOn{
		{},
		{By: assertion.ByService, Subject: "backup"},
		{By: assertion.ByService, Subject: "ci"},
		{By: assertion.ByMail, Email: "dora@guest.test"},
		{By: assertion.ByMail, Email: "bob@acme.test"},
		{By: assertion.ByProvider, Provider: "okta", Email: "alice@acme.test", Groups: []string{"staff"}},
		{By: assertion.ByProvider, Provider: "okta", Email: "root@acme.test", Groups: []string{"staff", "admins"}},
		{By: assertion.ByProvider, Provider: "okta", Email: "carol@acme.test", Groups: []string{"staff", "admins", "suspended"}},
		{By: assertion.ByProvider, Provider: "corp", Email: "dan@guest.test", Groups: []string{"readers", "admins"}},
		{By: assertion.ByProvider, Provider: "corp", Email: "ed@acme.org", Groups: []string{"editors", "staff"}},
	} {
		for _, host := range []string{"app.example", "wiki.example", "localhost:8443"} {
			for _, path := range []string{"/", "/assets", "/assets/x", "/assets2", "/healthz", "/healthz/x", "/acme", "/acme/x", "/shared/x", "/jobs/backup", "/jobs/backup/y",
				"/admin", "/admin/x", "/admin/x/y", "/a", "/a/b", "/a/b/c", "/a/bc", "/other"} {
				for _, client := range []string{"10.1.2.3", "192.0.2.9", "198.51.100.7"} {
					all = append(all, policy.Request{Host: host, Path: path, Client: netip.MustParseAddr(client), Who: who})
				}
			}
		}
	}
	return all
}

// compare counts what both let in and what only we do, and fails on what only Cloudflare does. Whom we turn away though we let
// nobody in by name is no difference: he need only not sign on.
func compare(t *testing.T, c cloudflare.Config, rules string, requests []policy.Request) (both, ours int) {
	t.Helper()
	a := readBack(t, export(t, c).Terraform)
	for _, r := range requests {
		let := true
		for _, r.Method = range []string{"GET", "POST", "MKCOL"} {
			stranger := r
			stranger.Who = assertion.SignOn{}
			let = let && (c.Policies.Decide(r).Allow || c.Policies.Decide(stranger).Allow)
		}
		switch theirs := a.lets(r); {
		case theirs && !let:
			t.Fatalf("Cloudflare lets %+v in, we do not:\n%s\n%s", r, rules, export(t, c).Terraform)
		case theirs:
			both++
		case let:
			ours++
		}
	}
	return both, ours
}

func TestNothingIsLetInThatWeDeny(t *testing.T) { // SYSTEM P7
	var named []policy.Request
	for _, r := range grid() {
		if r.Host != "localhost:8443" {
			named = append(named, r)
		}
	}
	both, ours := compare(t, config(t, corpus), corpus, named)
	if both < 200 || ours > 20 {
		t.Errorf("both let in %d, we alone %d", both, ours)
	}
	r := rand.New(rand.NewPCG(1, 1))
	both, ours = 0, 0
	requests := grid()
	for range 400 {
		rules := randomRules(r)
		var some []policy.Request
		for range 60 {
			some = append(some, requests[r.IntN(len(requests))])
		}
		c := config(t, rules)
		c.Mail = r.IntN(2) == 0
		if r.IntN(3) == 0 {
			c.Providers = c.Providers[:1]
		}
		if !c.Mail {
			some = slices.DeleteFunc(some, func(r policy.Request) bool { return r.Who.By == assertion.ByMail })
		}
		b, o := compare(t, c, rules, some)
		both, ours = both+b, ours+o
	}
	t.Logf("of random policies both let in %d, we alone %d", both, ours)
	if both < 1000 || ours > both {
		t.Errorf("both let in %d, we alone %d: this shows little", both, ours)
	}
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func randomRules(r *rand.Rand) string {
	var b strings.Builder
	for i := range 2 + r.IntN(7) {
		effect := "permit"
		if i > 0 && r.IntN(3) == 0 {
			effect = "forbid"
		}
		principal := pick(r, `principal`, `principal is Person`, `principal is Service`, `principal == Service::"ci"`, `principal == Person::"dora@guest.test"`,
			`principal in Group::"okta/staff"`, `principal in Group::"corp/editors"`, `principal is Person in Group::"okta/admins"`)
		action := pick(r, "action", "action", "action", "action", `action in Action::"write"`, `action == Action::"GET"`)
		path := `Path::"` + pick(r, "app.example/", "app.example/a", "app.example/a/b", "app.example/admin", "app.example/assets", "app.example/é", "wiki.example/a") + `"`
		resource := pick(r, "resource", `resource in Host::"app.example"`, "resource in "+path, "resource in "+path, "resource == "+path)
		var conditions string
		asks := false
		for range r.IntN(3) {
			c := pick(r, `context.network.isInRange(ip("10.0.0.0/8"))`, `context.network == ip("192.0.2.9") || context.network.isInRange(ip("198.51.100.0/24"))`,
				`principal is Person && principal.domain == "acme.test"`, `principal is Person && ["dora@guest.test", "dan@guest.test"].contains(principal.email)`,
				`principal is Person && (principal.by == "mail" || principal.provider == "corp")`, `principal in Group::"okta/suspended"`,
				`principal is Person && principal.email like "*@acme.org" && !context.network.isInRange(ip("10.0.0.0/8"))`, `resource in Path::"app.example/a/b"`,
				`resource == Path::"app.example/"`, `resource in [Path::"app.example/admin", Path::"app.example/é"]`, `action == Action::"POST"`,
				`if principal is Service then context.network.isIpv4() else principal in [Group::"okta/admins", Group::"corp/readers"]`,
				`principal is Person && principal.subject == "7"`, `principal is Person && principal.email like "*@*.acme.test"`, `principal has email`, `false`, `true`)
			asks = asks || strings.Contains(c, "principal")
			conditions += pick(r, " when", " unless") + " { " + c + " }"
		}
		var annotation string
		if effect == "permit" {
			switch {
			case principal == "principal":
				annotation = `@public("x") `
			case principal == "principal is Person" && !asks:
				annotation = `@anyone("x") `
			}
		}
		fmt.Fprintf(&b, "%s%s(%s, %s, %s)%s;\n", annotation, effect, principal, action, resource, conditions)
	}
	return b.String()
}
