// Package policy says who may pass the edge, in the language Cedar: which person, service or passer-by may send which method to
// which path of which host. It is asked before one byte of a request reaches an application (SYSTEM P4), and answers no unless a
// rule says yes.
//
// A rule names a principal, an action and a resource:
//
//	Person::"bob@acme.test"       signed in with this verified address; in Group::"okta/admins" by the word of the provider okta;
//	                              with the attributes by ("provider" or "mail"), provider, subject, email and domain
//	Service::"backup"             a program with a token
//	Nobody::"nobody"              everybody else
//	Action::"GET"                 in Action::"read" (GET, HEAD, OPTIONS) or Action::"write" (the others); Action::"other" is every
//	                              method that HTTP's own list does not have, and counts as write
//	Path::"app.example/admin/x"   in Path::"app.example/admin", in Path::"app.example/", in Host::"app.example"
//
// and may ask context.network, the client's address. Nothing else of a request is ever an input: no query, no header, no body.
//
// # What is a path
//
// A path is its segments, decoded. "==" is that path alone and "in" is it with everything beneath, by segment: "/administrator" is
// not in "/admin", "/%61dmin" is "/admin", and "/admin/" is in "/admin" but not equal to it. What cannot be read in one way is
// denied, whoever asks, although the edge refuses it before.
//
// Applications are less careful. Many take "/ADMIN", "/admin/", "/admin;x=1", "/admin.json" or "/admin." for "/admin", so that a rule
// that shuts "/admin" out would be walked around. Each request is therefore judged twice: as it is spelled, and as a careless
// application may read it. A rule that shuts out need hold in one of the two; a rule that lets in must hold in both.
//
// # Two traps of the language, closed
//
// A forbid whose condition fails with an error is skipped by Cedar, which then allows: here any error denies. And Cedar takes
// names that do not exist: here each rule is checked against a schema when it is read, together with what a schema cannot know
// (hosts that this edge does not serve, addresses that no comparison can meet, a rule for everybody that does not say so), and a
// file with any fault is refused whole.
//
// # What it does not stop
//
// An address is believed of the provider that says it. With several, a rule that goes by addresses must therefore ask for
// principal.provider or principal.by, or say @anyprovider; a group only its own provider can give. Addresses are compared in ASCII lower case and whole: one with other letters is
// nobody's. A path says what is asked for, not what an application makes of it: what must not be reached by some should not be
// let in for them, rather than be let in with exceptions. The same is true of methods: frameworks that take one from a form's field
// do what no rule has seen.
//
// # Example
//
//	@id("staff")
//	permit(principal in Group::"okta/staff", action, resource in Host::"app.example");
//	@public("the way in")
//	permit(principal, action == Action::"GET", resource == Path::"app.example/");
//	forbid(principal, action, resource in Path::"app.example/admin")
//	unless { context.network.isInRange(ip("10.0.0.0/8")) };
package policy

import (
	"net/netip"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// Names are those that policies may use. Hosts is required; nil Providers or Services are not checked.
type Names struct {
	Hosts     []string // as in an origin: lower case, with a port unless it is 443
	Providers []string // names of the providers that give groups
	Services  []string // names of the services that have tokens
}

// A File is one text of policies.
type File struct {
	Name string // for messages; unique
	Text string
}

// A Request is all that a policy ever sees of one.
type Request struct {
	Host   string
	Path   string // as it was sent, escaped, without a query
	Method string
	Client netip.Addr
	Who    assertion.SignOn // the zero value is nobody
}

// A Decision is the answer to a Request. The zero value denies.
type Decision struct {
	Allow  bool   `json:"allow"`
	Public bool   `json:"public"`         // allowed by a rule for everybody
	Rule   string `json:"rule,omitempty"` // that decided, as "file:line id"; empty if none did
	Why    string `json:"why"`            // for the log, in a few constant words
}

// The words of Decision.Why.
const (
	LetIn       = "a rule lets in"
	ShutOut     = "a rule shuts out"
	NoRule      = "no rule lets in"
	Erred       = "a rule could not be evaluated"
	OtherHost   = "the host is not served"
	OddPath     = "the path can be read in two ways"
	NoAddress   = "the client has no address"
	ManyGroups  = "the person is in too many groups"
	CarelessNot = "no rule lets in what a careless application may read"
)

// A Set is the policies of one edge or application. It does not change and may be used concurrently.
type Set struct {
	names    Names
	hosts    map[string]bool
	rules    []*rule
	files    []File
	strict   index
	careless index
	groups   groups
	uneven   bool // some rule names a path that a careless application reads otherwise
}

// Decide answers r (SYSTEM P4).
func (s *Set) Decide(r Request) Decision {
	q, why := s.ask(r)
	if why != "" {
		return Decision{Why: why}
	}
	strict := q.judge(&s.strict, q.spelled)
	if strict.final() || !s.uneven && !q.careful() {
		return strict.decision()
	}
	careless := q.judge(&s.careless, q.readCarelessly())
	return join(strict, careless).decision()
}
