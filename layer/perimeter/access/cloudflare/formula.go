package cloudflare

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// A selector is one comparison that Access can make.
type selector struct {
	kind  string // "everyone", "email", "email_domain", "group", "login", "ip" or "service"
	value string
	by    string // of a group: its provider
}

// A literal is a selector that must be met, or must not.
type literal struct {
	selector
	not bool
}

// A formula is a choice of conjunctions. Empty is never; one empty conjunction is always.
type formula [][]literal

var (
	never  = formula{}
	always = formula{{}}
)

// maxTerms bounds a formula; what would be longer is not written.
const maxTerms = 64

func (f formula) isAlways() bool { return len(f) == 1 && len(f[0]) == 0 }

// A class is who asks, as far as Access tells kinds of caller apart.
type class struct {
	kind    string // "Person", "Service" or "Nobody"
	service string
}

// A translator turns one rule into a formula for a class of callers and a region. Where Access cannot know, a rule that lets in does
// not hold, and one that shuts out does: loosely says which.
type translator struct {
	class    class
	region   region
	loosely  bool
	exporter *exporter
	lost     []string // what could not be said
}

func (t *translator) unknown(what string) formula {
	t.lost = append(t.lost, what)
	if t.loosely {
		return always
	}
	return never
}

func constant(b bool) formula {
	if b {
		return always
	}
	return never
}

func (t *translator) truth(v truth, not bool, what string) formula {
	if v == depends {
		return t.unknown(what)
	}
	return constant((v == yes) != not)
}

func (t *translator) atom(s selector, not bool) formula { return formula{{{s, not}}} }

// rule translates a whole rule.
func (t *translator) rule(p *ast.Policy) formula {
	f := t.resource(p.Resource)
	for _, next := range []func() formula{func() formula { return t.principal(p.Principal) }, func() formula { return t.action(p.Action) }} {
		f = t.then(f, next)
	}
	for _, c := range p.Conditions {
		f = t.then(f, func() formula { return t.node(c.Body, c.Condition == ast.ConditionUnless) })
	}
	return f
}

// then asks what comes next only where something is left, as Cedar does: what it could not say there is no loss.
func (t *translator) then(f formula, next func() formula) formula {
	if len(f) == 0 {
		return f
	}
	return t.and(f, next())
}

func (t *translator) principal(scope ast.IsPrincipalScopeNode) formula {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return always
	case ast.ScopeTypeEq:
		return t.who(s.Entity, false)
	case ast.ScopeTypeIn:
		return t.member(s.Entity, false)
	case ast.ScopeTypeIs:
		return constant(string(s.Type) == t.class.kind)
	case ast.ScopeTypeIsIn:
		return t.and(constant(string(s.Type) == t.class.kind), t.member(s.Entity, false))
	}
	return t.unknown("who asks")
}

func (t *translator) action(scope ast.IsActionScopeNode) formula {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return always
	case ast.ScopeTypeInSet:
		if slices.Contains(s.Entities, cedar.NewEntityUID("Action", "read")) && slices.Contains(s.Entities, cedar.NewEntityUID("Action", "write")) {
			return always
		}
	}
	return t.unknown(methods)
}

const (
	methods = "Access does not see the method"
	paths   = "Access cannot name the path by itself"
)

func (t *translator) resource(scope ast.IsResourceScopeNode) formula {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return always
	case ast.ScopeTypeEq:
		return t.truth(t.region.is(s.Entity), false, paths)
	case ast.ScopeTypeIn:
		return t.truth(t.region.in(s.Entity), false, paths)
	case ast.ScopeTypeIs:
		return constant(s.Type == "Path")
	case ast.ScopeTypeIsIn:
		return t.truth(t.region.in(s.Entity), false, paths)
	}
	return t.unknown(paths)
}

// who compares the principal with somebody by name.
func (t *translator) who(e cedar.EntityUID, not bool) formula {
	switch {
	case string(e.Type) != t.class.kind:
		return constant(not)
	case e.Type == "Person":
		return t.atom(selector{kind: "email", value: string(e.ID)}, not)
	case e.Type == "Service":
		return constant((string(e.ID) == t.class.service) != not)
	}
	return constant(!not)
}

// member asks whether the principal is in a group.
func (t *translator) member(e cedar.EntityUID, not bool) formula {
	provider, name, _ := strings.Cut(string(e.ID), "/")
	switch {
	case t.class.kind != "Person" || e.Type != "Group":
		return constant(not)
	case !t.exporter.provides(provider):
		return t.unknown("the export knows no provider " + provider)
	}
	return t.atom(selector{"group", name, provider}, not)
}

// and joins two formulas, and gives up on what grows too long.
func (t *translator) and(a, b formula) formula {
	if len(a)*len(b) > maxTerms {
		return t.unknown("the conditions are too many to be written as Access has them")
	}
	out := formula{}
	for _, x := range a {
		for _, y := range b {
			if term, ok := conjunction(x, y); ok {
				out = append(out, term)
			}
		}
	}
	return out.simpler()
}

func (t *translator) or(a, b formula) formula {
	f := append(slices.Clone(a), b...).simpler()
	if len(f) > maxTerms {
		return t.unknown("the conditions are too many to be written as Access has them")
	}
	return f
}

// conjunction joins two terms; one that contradicts itself is none.
func conjunction(a, b []literal) (out []literal, ok bool) {
	out = slices.Clone(a)
	for _, l := range b {
		if slices.Contains(out, literal{l.selector, !l.not}) {
			return nil, false
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out, true
}

// simpler leaves out terms that another term covers.
func (f formula) simpler() formula {
	out := formula{}
	for i, term := range f {
		covered := false
		for j, other := range f {
			if i != j && subset(other, term) && (len(other) < len(term) || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, term)
		}
	}
	return out
}

func subset(small, large []literal) bool {
	for _, l := range small {
		if !slices.Contains(large, l) {
			return false
		}
	}
	return true
}

// negate is what holds where f does not.
func (t *translator) negate(f formula) formula {
	out := always
	for _, term := range f {
		choice := formula{}
		for _, l := range term {
			choice = append(choice, []literal{{l.selector, !l.not}})
		}
		out = t.and(out, choice)
	}
	return out
}

// node translates a condition, or what holds where it does not.
func (t *translator) node(n ast.IsNode, not bool) formula {
	switch v := n.(type) {
	case ast.NodeValue:
		if b, ok := v.Value.(types.Boolean); ok {
			return constant(bool(b) != not)
		}
	case ast.NodeTypeNot:
		return t.node(v.Arg, !not)
	case ast.NodeTypeAnd:
		if left := t.node(v.Left, not); not {
			if left.isAlways() {
				return left
			}
			return t.or(left, t.node(v.Right, true))
		}
		return t.then(t.node(v.Left, false), func() formula { return t.node(v.Right, false) })
	case ast.NodeTypeOr:
		if not {
			return t.then(t.node(v.Left, true), func() formula { return t.node(v.Right, true) })
		}
		return t.or(t.node(v.Left, false), t.node(v.Right, false))
	case ast.NodeTypeIfThenElse:
		then := t.then(t.node(v.If, false), func() formula { return t.node(v.Then, not) })
		return t.or(then, t.then(t.node(v.If, true), func() formula { return t.node(v.Else, not) }))
	case ast.NodeTypeIs:
		return t.kind(variable(v.Left), v.EntityType, not)
	case ast.NodeTypeIsIn:
		if not {
			return t.or(t.kind(variable(v.Left), v.EntityType, true), t.within(variable(v.Left), v.Entity, true))
		}
		return t.and(t.kind(variable(v.Left), v.EntityType, false), t.within(variable(v.Left), v.Entity, false))
	case ast.NodeTypeIn:
		return t.within(variable(v.Left), v.Right, not)
	case ast.NodeTypeEquals:
		return t.equal(v.Left, v.Right, not)
	case ast.NodeTypeNotEquals:
		return t.equal(v.Left, v.Right, !not)
	case ast.NodeTypeContains:
		return t.oneOf(v, not)
	case ast.NodeTypeLike:
		return t.like(v, not)
	case ast.NodeTypeHas:
		if variable(v.Arg) == "principal" {
			return constant((t.class.kind == "Person") != not)
		}
	case ast.NodeTypeExtensionCall:
		return t.network(v, not)
	}
	return t.unknown("Access has no such condition")
}

func variable(n ast.IsNode) string {
	if v, ok := n.(ast.NodeTypeVariable); ok {
		return string(v.Name)
	}
	return ""
}
