package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// MaxNear is how many rules an Explanation names that nearly let somebody in.
const MaxNear = 5

// An Explanation says how a Decision comes about.
type Explanation struct {
	Request  string   `json:"request"` // in one line
	Decision Decision `json:"decision"`
	Path     string   `json:"path,omitempty"`     // as policies name it
	Careless string   `json:"careless,omitempty"` // as a careless application may read it, if otherwise
	Applied  []Stated `json:"applied"`            // rules that apply, the one that decides first
	Near     []Stated `json:"near"`               // of a denial: rules that would let in but for little
	SignOn   *bool    `json:"sign_on,omitempty"`  // of nobody's denial: whether signing on could help
}

// A Stated rule is one with its text, and what of it holds.
type Stated struct {
	Rule     string `json:"rule"` // "file:line id"
	Effect   string `json:"effect"`
	Text     string `json:"text"`
	Decides  bool   `json:"decides,omitempty"`
	Careless bool   `json:"careless,omitempty"` // it applies to the careless reading alone
	Erred    bool   `json:"erred,omitempty"`    // it could not be evaluated
	Missed   []Part `json:"missed,omitempty"`   // what does not hold
}

// A Part is one clause of a rule.
type Part struct {
	Name string `json:"name"` // "principal", "action", "resource", "when" or "unless"
	Text string `json:"text"` // as it is written
}

// Explain decides r and says why.
func (s *Set) Explain(r Request) Explanation {
	e := Explanation{Request: describe(r), Decision: s.Decide(r), Applied: []Stated{}, Near: []Stated{}}
	q, why := s.ask(r)
	if why != "" {
		return e
	}
	q.world.attributes = true
	careless := q.readCarelessly()
	if e.Path = q.spelled.id; careless.id != e.Path {
		e.Careless = careless.id
	}
	for _, rule := range s.rules {
		if host := rule.host(); host != "" && host != e.Path[:q.spelled.host] {
			continue
		}
		spelled, loose := q.parts(rule, rule.ast, q.spelled), q.parts(rule, rule.loose, careless)
		e.state(rule, spelled, loose)
	}
	e.order()
	if identify(r.Who) == nobody && !e.Decision.Allow {
		hope := s.Hopeful(r)
		e.SignOn = &hope
	}
	return e
}

// A report is what of a rule does not hold for one reading.
type report struct {
	missed []Part
	erred  bool
}

func (r report) applies() bool { return len(r.missed) == 0 && !r.erred }

// parts asks Cedar about each clause of a rule by itself.
func (q question) parts(r *rule, p *ast.Policy, at place) (found report) {
	q.world.stand(at)
	empty := ast.Policy{Effect: ast.EffectPermit, Principal: ast.ScopeTypeAll{}, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{}}
	written := clauses(r.statement.text)
	ask := func(name string, i int, set func(*ast.Policy)) {
		one, reached := empty, len(found.missed) == 0 // what follows a clause that does not hold is not evaluated
		set(&one)
		if holds, erred := q.holds(&one, at); erred || !holds {
			found.missed = append(found.missed, Part{name, written[min(i, len(written)-1)]})
			found.erred = found.erred || erred && reached
		}
	}
	ask("principal", 0, func(one *ast.Policy) { one.Principal = p.Principal })
	ask("action", 1, func(one *ast.Policy) { one.Action = p.Action })
	ask("resource", 2, func(one *ast.Policy) { one.Resource = p.Resource })
	for i, c := range p.Conditions {
		name := "when"
		if c.Condition == ast.ConditionUnless {
			name = "unless"
		}
		ask(name, 3+i, func(one *ast.Policy) { one.Conditions = []ast.ConditionType{c} })
	}
	return found
}

func (q question) holds(p *ast.Policy, at place) (holds, erred bool) {
	one := cedar.NewPolicyFromAST((*cedarast.Policy)(p))
	_, diagnostic := cedar.Authorize(cedar.PolicyMap{"": one}, q.world, cedar.Request{
		Principal: q.world.uid, Action: actions[q.method].UID, Resource: cedar.NewEntityUID(typePath, cedar.String(at.id)),
		Context: contextOf(q.client),
	})
	return len(diagnostic.Reasons) > 0, len(diagnostic.Errors) > 0
}

// state takes a rule in if it applies, or nearly does.
func (e *Explanation) state(r *rule, spelled, loose report) {
	s := Stated{Rule: r.name, Effect: "forbid", Text: r.statement.text, Erred: spelled.erred || loose.erred}
	if r.permits() {
		s.Effect = "permit"
	}
	s.Decides = r.name == e.Decision.Rule
	switch {
	case s.Erred, spelled.applies() && (loose.applies() || !r.permits()):
		e.Applied = append(e.Applied, s)
	case !r.permits() && loose.applies():
		s.Careless = true
		e.Applied = append(e.Applied, s)
	case r.permits() && !e.Decision.Allow:
		if s.Missed = spelled.missed; len(s.Missed) == 0 {
			s.Careless, s.Missed = true, loose.missed
		}
		if s.distance() <= 2 {
			e.Near = append(e.Near, s)
		}
	}
}

// distance is how far a rule is from applying: one about another path is farther.
func (s Stated) distance() (n int) {
	for _, m := range s.Missed {
		n++
		if m.Name == "resource" {
			n++
		}
	}
	return n
}

func (e *Explanation) order() {
	slices.SortStableFunc(e.Applied, func(a, b Stated) int {
		switch {
		case a.Decides == b.Decides:
			return 0
		case a.Decides:
			return -1
		}
		return 1
	})
	if slices.ContainsFunc(e.Applied, func(s Stated) bool { return s.Effect == "permit" && !s.Erred }) {
		e.Near = e.Near[:0] // something lets in: what shuts out is what counts
	}
	slices.SortStableFunc(e.Near, func(a, b Stated) int { return a.distance() - b.distance() })
	e.Near = e.Near[:min(len(e.Near), MaxNear)]
}

// clauses are the texts of a rule's principal, action, resource and conditions, in this order.
func clauses(text string) (all []string) {
	depth, start := 0, 0
	take := func(end int) {
		if clause := strings.TrimSpace(text[start:end]); clause != "" {
			all = append(all, clause)
		}
		start = end + 1
	}
	for i := head(text); i < len(text); i += tokenLength(text[i:]) {
		switch text[i] {
		case '(', '[', '{':
			if depth++; depth == 1 {
				start = i + 1
			}
		case ')', ']', '}':
			if depth--; depth == 0 {
				take(i)
			}
		case ',':
			if depth == 1 {
				take(i)
			}
		}
	}
	return all
}

// head is where a rule begins behind its annotations.
func head(text string) int {
	for i := 0; i < len(text); i += tokenLength(text[i:]) {
		if strings.HasPrefix(text[i:], "permit") || strings.HasPrefix(text[i:], "forbid") {
			return i
		}
	}
	return len(text)
}

// describe is a request in one line.
func describe(r Request) string {
	from := "an unknown address"
	if r.Client.IsValid() {
		from = r.Client.String()
	}
	return fmt.Sprintf("%s https://%s%s as %s from %s", r.Method, r.Host, r.Path, nameOf(r.Who), from)
}

func nameOf(who assertion.SignOn) string {
	uid := identify(who)
	switch uid.Type {
	case typeService:
		return "the service " + who.Subject
	case typePerson:
		name := string(uid.ID)
		if name == "" {
			name = "somebody without a usable address"
		}
		if who.By == assertion.ByMail {
			return name + " by mail"
		}
		if len(who.Groups) == 0 {
			return name + " of " + who.Provider
		}
		return fmt.Sprintf("%s of %s (%s)", name, who.Provider, strings.Join(who.Groups, ", "))
	}
	return "nobody"
}
