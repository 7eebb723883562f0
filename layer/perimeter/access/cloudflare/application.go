package cloudflare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

// An application is one of Access: what it decides about a region.
type application struct {
	region   region
	policies []accessPolicy
}

// An accessPolicy is one of Access: it matches who meets one of include, all of require and none of exclude.
type accessPolicy struct {
	decision                  string // "bypass", "non_identity", "deny" or "allow"
	include, require, exclude []selector
	rules                     []string // that it comes from
}

// An exporter gathers applications and limits.
type exporter struct {
	config   Config
	rules    []policy.Rule
	services []string // those that the edge has, and those that rules name
	limits   []Limit
}

func newExporter(c Config) *exporter {
	x := &exporter{config: c, rules: c.Policies.Rules(), services: slices.Clone(c.Policies.Names().Services)}
	for _, rule := range x.rules {
		for _, e := range entities(rule.AST) {
			if e.Type == "Service" {
				x.services = append(x.services, string(e.ID))
			}
		}
	}
	slices.Sort(x.services)
	x.services = slices.Compact(x.services)
	return x
}

func (x *exporter) limit(l Limit) {
	for _, other := range x.limits {
		if other == l {
			return
		}
	}
	x.limits = append(x.limits, l)
}

// applications are those of all hosts. A path whose policies are those of what it lies in has none of its own.
func (x *exporter) applications() (all []application) {
	for _, a := range x.config.Applications {
		if !nameable(a.Host) {
			x.limit(Limit{Denied, "", a.Host, "Access knows hosts by their names alone, without a port: nothing is written for it"})
			continue
		}
		all = append(all, x.ofHost(a.Host)...)
	}
	return all
}

func (x *exporter) ofHost(host string) (all []application) {
	whole := application{region{host, "", true}, nil}
	whole.policies = x.policies(whole.region)
	all = append(all, whole)
	beneath := map[string][]accessPolicy{"": whole.policies}
	for _, path := range x.paths(host) {
		exact, under := region{host, path, false}, region{host, path, true}
		itself, below, inherited := x.policies(exact), x.policies(under), nearest(beneath, path)
		beneath[path] = below
		switch {
		case same(itself, below) && same(itself, inherited):
		case same(itself, below):
			all = append(all, application{exact, itself}) // it covers what lies beneath
		case same(itself, inherited):
			all = append(all, application{under, below})
		default:
			all = append(all, application{exact, itself}, application{under, below})
		}
	}
	return all
}

// nearest is what holds beneath the closest path that path lies in.
func nearest(beneath map[string][]accessPolicy, path string) []accessPolicy {
	for path != "" {
		path = path[:strings.LastIndexByte(path, '/')]
		if p, ok := beneath[path]; ok {
			return p
		}
	}
	return beneath[""]
}

func same(a, b []accessPolicy) bool {
	return slices.EqualFunc(a, b, func(a, b accessPolicy) bool { return a.decides() == b.decides() })
}

// decides is a policy as text, without where it comes from.
func (p accessPolicy) decides() string {
	p.rules = nil
	return fmt.Sprintf("%+v", p)
}

// policies are those of a region, in the order in which Access takes them. A region that lets nobody in says so.
func (x *exporter) policies(r region) []accessPolicy {
	p := x.forNobody(r)
	if len(p) > 0 && p[0].open() {
		return p[:1]
	}
	p = append(p, x.forServices(r)...)
	allow := x.forPersons(r)
	p = append(p, allow...)
	if len(p) == 0 {
		return []accessPolicy{{decision: "deny", include: []selector{{kind: "everyone"}}}}
	}
	return p
}

func (p accessPolicy) open() bool {
	return p.include[0].kind == "everyone" && len(p.require)+len(p.exclude) == 0
}

// translate turns a rule into a formula, and keeps what is lost on the way.
func (x *exporter) translate(rule policy.Rule, c class, r region) formula {
	t := &translator{class: c, region: r, loosely: !rule.Permit, exporter: x}
	f := t.rule(rule.AST)
	for _, what := range t.lost {
		where := ""
		if what == paths {
			where = r.String()
		}
		effect := "the rule is left out: "
		if !rule.Permit {
			effect = "the rule shuts out more than it says: "
		}
		x.limit(Limit{Denied, rule.Name, where, effect + what})
	}
	return f
}

// unless is f where no rule shuts a class of callers out.
func (x *exporter) unless(f formula, c class, r region) formula {
	strictly := &translator{class: c, region: r, exporter: x}
	for _, rule := range x.rules {
		if !rule.Permit && len(f) > 0 {
			f = strictly.and(f, strictly.negate(x.translate(rule, c, r)))
		}
	}
	return f
}

var (
	anybody = class{kind: "Nobody"}
	person  = class{kind: "Person"}
)

// forNobody lets everybody in where a rule does. Access asks nothing else then, so that those whom another rule shuts out by name
// are let in too: as nobody, which they are if they do not sign on.
func (x *exporter) forNobody(r region) (all []accessPolicy) {
	for _, rule := range x.rules {
		if !rule.Permit {
			continue
		}
		for _, term := range x.unless(x.translate(rule, anybody, r), anybody, r) {
			all = merge(all, policyOf("bypass", selector{}, term, rule.Name))
		}
	}
	if len(all) == 0 {
		return nil
	}
	for _, rule := range x.rules {
		if !rule.Permit && len(x.translate(rule, person, r)) > 0 && len(x.translate(rule, anybody, r)) == 0 {
			x.limit(Limit{Differs, rule.Name, r.host + r.path, "everybody is let in here without signing on, those whom the rule shuts out too"})
		}
	}
	slices.SortStableFunc(all, func(a, b accessPolicy) int { return boolInt(b.open()) - boolInt(a.open()) })
	return all
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forServices lets programs in, each by its own token: "any token" would be any of the account's.
func (x *exporter) forServices(r region) (all []accessPolicy) {
	for _, rule := range x.rules {
		if !rule.Permit {
			continue
		}
		for _, name := range x.services {
			c := class{"Service", name}
			for _, term := range x.unless(x.translate(rule, c, r), c, r) {
				all = merge(all, policyOf("non_identity", selector{kind: "service", value: name}, term, rule.Name))
			}
		}
	}
	return all
}

// forPersons shuts out first, and lets in then.
func (x *exporter) forPersons(r region) []accessPolicy {
	var deny, allow []accessPolicy
	for _, rule := range x.rules {
		f := x.translate(rule, person, r)
		for _, term := range f {
			if rule.Permit {
				allow = merge(allow, policyOf("allow", selector{}, term, rule.Name))
			} else {
				deny = merge(deny, policyOf("deny", selector{}, term, rule.Name))
			}
		}
	}
	if len(allow) == 0 {
		return nil
	}
	return append(deny, allow...)
}

// policyOf is one term of a formula. What comes under include is the first comparison that says who.
func policyOf(decision string, first selector, term []literal, rule string) accessPolicy {
	p := accessPolicy{decision: decision, rules: []string{rule}}
	if first != (selector{}) {
		p.include = []selector{first}
	}
	for _, l := range term {
		switch {
		case l.not:
			p.exclude = append(p.exclude, l.selector)
		case len(p.include) == 0 && (l.kind != "ip" || decision != "allow"):
			p.include = []selector{l.selector}
		default:
			p.require = append(p.require, l.selector)
		}
	}
	if len(p.include) == 0 {
		p.include = []selector{{kind: "everyone"}}
	}
	return p
}

// merge adds a policy, to one that differs in include alone if there is one.
func merge(all []accessPolicy, p accessPolicy) []accessPolicy {
	for i, other := range all {
		if !slices.Equal(other.require, p.require) || !slices.Equal(other.exclude, p.exclude) {
			continue
		}
		for _, s := range p.include {
			if !slices.Contains(all[i].include, s) {
				all[i].include = append(all[i].include, s)
			}
		}
		if !slices.Contains(other.rules, p.rules[0]) {
			all[i].rules = append(all[i].rules, p.rules...)
		}
		return all
	}
	return append(all, p)
}

// general adds what holds for every export.
func (x *exporter) general(all []application) {
	for _, l := range []string{
		"persons and their groups are judged when they sign on; our edge judges at each request, and every minute of a long one",
		"the application is told who was let in by the header Cf-Access-Jwt-Assertion, not by Redoubt-Assertion",
		"Cloudflare refuses bodies beyond a plan's limit (100 MB on the smaller ones); our edge has the limit that you give it",
	} {
		x.limit(Limit{Kind: Differs, What: l})
	}
	if x.config.Mail {
		x.limit(Limit{Kind: Differs, What: "who signs on by mail types a code in; our edge sends a link that is bound to the browser"})
	}
	if len(all) > len(x.config.Applications) {
		x.limit(Limit{Kind: Differs, What: "paths are compared as they are spelled: where a rule shuts out \"/admin\", our edge also shuts out " +
			"\"/ADMIN\", \"/admin;x\" and \"/admin.json\", which many applications take for it"})
		x.limit(Limit{Kind: Differs, What: "Cloudflare's documentation has whole segments for a path without a star, and the longer path for the more specific; " +
			"before relying on it, try a longer name beside each path, and each path with a slash at its end"})
	}
}
