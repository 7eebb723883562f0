package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// A rule is one policy, as it is written, and as it is about a careless application's paths.
type rule struct {
	number    int
	key       cedar.PolicyID // number, as Cedar would have it
	name      string         // "file:line id"
	file      File
	statement statement
	id        string // of @id
	public    string // of @public: why everybody may
	ast       *ast.Policy
	loose     *ast.Policy   // about a careless application's paths
	strict    *cedar.Policy // its conditions; nil if it has none
	careless  *cedar.Policy // the same, about a careless application's paths
	actions   uint16        // those of its scope, a bit for each of methods
	attribute bool          // asks for an attribute of the principal
	network   bool          // asks for the context
}

func (r *rule) permits() bool { return bool(r.ast.Effect) }

// named gives r its names.
func (r *rule) named() {
	line, _ := position(r.file.Text, r.statement.offset)
	r.key, r.name = cedar.PolicyID(strconv.Itoa(r.number)), fmt.Sprintf("%s:%d", r.file.Name, line)
	if r.id != "" {
		r.name += " " + r.id
	}
}

// host is the one host that r is about by its scope; empty if it is about all.
func (r *rule) host() string {
	var e cedar.EntityUID
	switch s := r.ast.Resource.(type) {
	case ast.ScopeTypeEq:
		e = s.Entity
	case ast.ScopeTypeIn:
		e = s.Entity
	case ast.ScopeTypeIsIn:
		e = s.Entity
	}
	host, _, _ := strings.Cut(string(e.ID), "/")
	return host
}

// methods are the actions that HTTP's own methods are; the last is every other method.
var methods = []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "other"}

const readers = 3 // the first of methods that are in Action::"read"

// actionOf is the number of a method in methods.
func actionOf(method string) int {
	if i := slices.Index(methods, method); i >= 0 {
		return i
	}
	return len(methods) - 1
}

func bitsOf(action cedar.EntityUID) uint16 {
	switch action.ID {
	case "read":
		return 1<<readers - 1
	case "write":
		return 1<<len(methods) - 1<<readers
	}
	if i := slices.Index(methods, string(action.ID)); i >= 0 {
		return 1 << i
	}
	return 0
}

// actionBits is which methods an action scope is about.
func actionBits(scope ast.IsActionScopeNode) (bits uint16) {
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		return bitsOf(s.Entity)
	case ast.ScopeTypeIn:
		return bitsOf(s.Entity)
	case ast.ScopeTypeInSet:
		for _, e := range s.Entities {
			bits |= bitsOf(e)
		}
		return bits
	}
	return 1<<len(methods) - 1
}

// add takes a rule that has no fault into the set.
func (s *Set) add(r *rule) error {
	r.named()
	r.actions = actionBits(r.ast.Action)
	copied, uneven, err := carelessCopy(r.ast)
	if err != nil {
		return err
	}
	r.loose = copied
	r.strict = conditions(r.ast)
	r.careless = r.strict
	if uneven {
		r.careless, s.uneven = conditions(copied), true
	}
	s.asked(r)
	s.rules = append(s.rules, r)
	s.strict.add(r, r.ast.Resource)
	s.careless.add(r, copied.Resource)
	return nil
}

// conditions compiles what is left to ask of a rule when its scopes are answered.
func conditions(p *ast.Policy) *cedar.Policy {
	if len(p.Conditions) == 0 {
		return nil
	}
	rest := *p
	rest.Principal, rest.Action, rest.Resource = ast.ScopeTypeAll{}, ast.ScopeTypeAll{}, ast.ScopeTypeAll{}
	return cedar.NewPolicyFromAST((*cedarast.Policy)(&rest))
}

// asked notes what a rule will want to know, so that nothing else need be made for each request.
func (s *Set) asked(r *rule) {
	switch scope := r.ast.Principal.(type) {
	case ast.ScopeTypeIn:
		s.groups.add(scope.Entity)
	case ast.ScopeTypeIsIn:
		s.groups.add(scope.Entity)
	}
	for _, c := range r.ast.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			switch v := n.(type) {
			case ast.NodeTypeAccess, ast.NodeTypeHas:
				r.attribute = true
			case ast.NodeTypeVariable:
				r.network = r.network || v.Name == "context"
			case ast.NodeValue:
				if e, ok := v.Value.(cedar.EntityUID); ok {
					s.groups.add(e)
				}
			}
			return true
		})
	}
}

// groups are those that rules name, by provider. No rule can tell a person from one who is in others besides.
type groups map[string]map[string]cedar.EntityUID

func (g groups) add(e cedar.EntityUID) {
	provider, name, ok := strings.Cut(string(e.ID), "/")
	if e.Type != typeGroup || !ok {
		return
	}
	if g[provider] == nil {
		g[provider] = map[string]cedar.EntityUID{}
	}
	g[provider][name] = e
}

// An index answers the scopes of action and resource: it finds the rules that are about a method and a path, exactly those that
// Cedar would, which TestTheIndexIsCedars holds it to. Scopes are answered here and conditions by Cedar, because most rules have
// none, and most decisions then take less than a microsecond.
type index struct {
	careless bool
	always   []*rule
	exact    map[string][]*rule
	under    map[string][]*rule
}

func newIndex(careless bool) index {
	return index{careless: careless, exact: map[string][]*rule{}, under: map[string][]*rule{}}
}

func (x *index) add(r *rule, scope ast.IsResourceScopeNode) {
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		x.exact[string(s.Entity.ID)] = append(x.exact[string(s.Entity.ID)], r)
	case ast.ScopeTypeIn:
		x.under[string(s.Entity.ID)] = append(x.under[string(s.Entity.ID)], r)
	case ast.ScopeTypeIsIn:
		x.under[string(s.Entity.ID)] = append(x.under[string(s.Entity.ID)], r)
	default:
		x.always = append(x.always, r)
	}
}

// candidates appends the rules that are about a method at p, in the order of the files.
func (x *index) candidates(all []*rule, p place, action int) []*rule {
	take := func(rules []*rule) {
		for _, r := range rules {
			if r.actions>>action&1 == 1 {
				all = append(all, r)
			}
		}
	}
	take(x.always)
	take(x.exact[p.id])
	take(x.under[p.id])
	p.around(func(id string) { take(x.under[id]) })
	take(x.under[p.id[:p.host]])
	slices.SortFunc(all, func(a, b *rule) int { return a.number - b.number })
	return all
}

// A Rule is what a translator into another language needs to know of one.
type Rule struct {
	Name   string // "file:line id"
	Text   string
	Permit bool
	Public string      // why everybody is let in; empty if they are not
	AST    *ast.Policy // not to be changed
}

// Rules lists all rules, in the order of the files.
func (s *Set) Rules() (all []Rule) {
	for _, r := range s.rules {
		all = append(all, Rule{r.name, r.statement.text, r.permits(), r.public, r.ast})
	}
	return all
}

// Names are those that the policies were read with.
func (s *Set) Names() Names { return s.names }
