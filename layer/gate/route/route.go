// Package route is the first gate, before any handler (SYSTEM A1). It holds what each route has declared about who may ask for
// it, and decides from the claims that package identity verified. A route that has declared nothing stops the program from
// starting.
//
// # What it assumes has failed
//
// The edge let everybody through. Nothing inside is assumed to work either: the two gates after this one ask other sources.
//
// # What it stops
//
// A caller who is not signed in, who does not administer, or whose key was not given the scope, from reaching a handler; and, for
// a route that asks for it, one whose proof of who they are is too old or too weak, though their session lives (SYSTEM I6).
//
// # What it does not stop
//
// A caller whose claims have become untrue since they were read; a caller asking for another member's thing.
//
// # How it is knocked out in a drill
//
// Every route is declared Public in the disposable copy.
//
// # Example
//
//	gate := route.Gate{}
//	if err := gate.Declare("POST /orders", route.Scope("orders:write")); err != nil { … }
//	if err := gate.Check("POST /orders", who); err != nil { … } // a *layer.Refusal by gate/route
package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
)

type kind int

const (
	undeclared kind = iota
	public
	members
	administrators
	membersWith
	scope
)

// An Access says who may ask for a route. The zero Access is no declaration.
type Access struct {
	kind  kind
	scope string
}

// The declarations.
var (
	Public         = Access{kind: public}         // anybody, signed in or not
	Members        = Access{kind: members}        // a person with a session in an organization; not an API key
	Administrators = Access{kind: administrators} // a person whom the provider calls an administrator of the organization
)

// Scope admits every caller whose credential allows the scope: a person whose role has it, or an API key that was given it.
func Scope(name string) Access { return Access{scope, name} }

// MembersWith admits a person with a session whose role, or own role, has the scope; not an API key. It is for pages and their forms.
func MembersWith(scope string) Access { return Access{membersWith, scope} }

// String is for golden files and messages: "public", "members", "administrators", "scope orders:write".
func (a Access) String() string {
	switch a.kind {
	case public:
		return "public"
	case members:
		return "members"
	case administrators:
		return "administrators"
	case scope:
		return "scope " + a.scope
	case membersWith:
		return "members with " + a.scope
	}
	return "undeclared"
}

// A Gate holds the declarations of a program. Declare is for its start; Check may then be used concurrently.
type Gate struct {
	declared map[string]Access
	needs    map[string]layer.Assurance // for a few
}

// Declare records who may ask for pattern. It refuses a route without a declaration, with an empty scope, or declared twice.
func (g *Gate) Declare(pattern string, access Access) error {
	if access.kind == undeclared || (access.kind == scope || access.kind == membersWith) && access.scope == "" {
		return fmt.Errorf("route %q declares no access: say Public, Members, Administrators, MembersWith or Scope", pattern)
	}
	if _, twice := g.declared[pattern]; twice {
		return fmt.Errorf("route %q is declared twice", pattern)
	}
	if g.declared == nil {
		g.declared = map[string]Access{}
	}
	g.declared[pattern] = access
	return nil
}

// Declared lists the patterns in order, each with its access.
func (g *Gate) Declared() []struct {
	Pattern string
	Access  Access
} {
	var all []struct {
		Pattern string
		Access  Access
	}
	for _, p := range slices.Sorted(maps.Keys(g.declared)) {
		all = append(all, struct {
			Pattern string
			Access  Access
		}{p, g.declared[p]})
	}
	return all
}

var (
	errUndeclared = errors.New("the route has no declared access")
	errStranger   = errors.New("nobody is signed in")
	errKey        = errors.New("an API key asks for a page of a person's")
	errNoAdmin    = errors.New("the caller is no administrator")
	errNoScope    = errors.New("the credential lacks the scope")
)

// Check refuses who if the declaration of pattern does not admit them. An unknown pattern admits nobody. Whom it does admit it then
// asks for the proof that the route needs: who may not know of a route is not told what it needs.
func (g *Gate) Check(pattern string, who layer.Principal) error {
	access := g.declared[pattern]
	switch {
	case access.kind == undeclared:
		return refuse(layer.Forbidden, "You may not go there.", errUndeclared)
	case access.kind == public:
		return nil
	case who.Nobody():
		return refuse(layer.Unauthenticated, "Please sign in.", errStranger)
	case access.kind == scope:
		if !who.Has(access.scope) {
			return refuse(layer.Forbidden, "You may not do this.", errNoScope)
		}
	case !who.Interactive():
		return refuse(layer.Forbidden, "This needs a person at a browser.", errKey)
	case access.kind == membersWith && !who.Has(access.scope):
		return refuse(layer.NotFound, "There is nothing here.", errNoScope) // nor which their role does not open to them
	case access.kind == administrators && !who.Administrator():
		// Members need not know which pages administrators have.
		return refuse(layer.NotFound, "There is nothing here.", errNoAdmin)
	}
	return g.proved(pattern, who)
}

func refuse(reason layer.Reason, publicText string, cause error) error {
	return &layer.Refusal{By: layer.GateRoute, Reason: reason, Public: publicText, Cause: cause}
}
