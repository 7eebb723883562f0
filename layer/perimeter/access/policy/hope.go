package policy

import (
	"net/netip"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// Hopeful reports whether signing on could help who asks: whether some person or service could be let in to the same path from the
// same address. It is for choosing a page, sign-on or refusal, and decides nothing. It may say yes where nobody is ever let in
// (conditions that no one person meets together), never no where somebody is.
func (s *Set) Hopeful(r Request) bool {
	q, why := s.ask(r)
	if why != "" {
		return false
	}
	var space [16]*rule
	q.world.stand(q.spelled)
	q.world.attributes = true
	env := eval.Env{
		Entities: q.world, Principal: eval.Variable("principal"), Action: actions[q.method].UID,
		Resource: cedar.NewEntityUID(typePath, cedar.String(q.spelled.id)), Context: contextOf(q.client),
	}
	hope := false
	for _, rule := range s.strict.candidates(space[:0], q.spelled, q.method) {
		rest, keep := eval.PartialPolicy(env, rule.ast)
		switch {
		case !keep:
		case rule.permits():
			hope = hope || !onlyNobody(rule.ast.Principal)
		case everyPrincipal(rest):
			return false
		}
	}
	return hope
}

// everyPrincipal reports that nothing is left to ask of a principal.
func everyPrincipal(rest *ast.Policy) bool {
	_, all := rest.Principal.(ast.ScopeTypeAll)
	return all && len(rest.Conditions) == 0
}

func onlyNobody(scope ast.IsPrincipalScopeNode) bool {
	_, all := scope.(ast.ScopeTypeAll)
	return !all && letsEverybody(scope)
}

// Welcome reports whether some rule could let who in, somewhere at this edge, from an address; a rule for everybody does not count.
// A link for signing on is sent to nobody else. Like Hopeful it may say yes too often, never no too often.
func (s *Set) Welcome(who assertion.SignOn, client netip.Addr) bool {
	uid := identify(who)
	if uid == nobody || !client.IsValid() || len(who.Groups) > MaxGroups {
		return false
	}
	env := eval.Env{
		Entities: &world{who: who, uid: uid, groups: s.groups, attributes: true}, Principal: uid, Action: eval.Variable("action"), Resource: eval.Variable("resource"),
		Context: contextOf(client),
	}
	for _, rule := range s.rules {
		if !rule.permits() || rule.public != "" {
			continue
		}
		if _, keep := eval.PartialPolicy(env, rule.ast); keep {
			return true
		}
	}
	return false
}
