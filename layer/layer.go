// Package layer names the layers of Redoubt, from the outside in, and the few facts that they share: who asks (Principal),
// who refused and why (Refusal), and distinct types for distinct strings. It holds nouns, never decisions: two layers that
// decide by the same code are one layer that runs twice.
package layer

// A Layer is the name of one layer, as written in ARCHITECTURE.md, in the audit trail and in the drill's report.
type Layer string

// The layers, in the order in which a request meets them.
const (
	Perimeter  Layer = "perimeter"   // no open port: only the edge's link reaches the application
	Transport  Layer = "transport"   // headers, content security policy, CSRF, bounds
	Identity   Layer = "identity"    // single sign-on, sessions, API keys; the only maker of Principals
	GateRoute  Layer = "gate/route"  // first gate: may this caller ask for this route at all?
	Input      Layer = "input"       // schemas: nothing malformed reaches business logic
	GatePage   Layer = "gate/page"   // second gate: is the session still good at the moment of rendering?
	GateAction Layer = "gate/action" // third gate: does the database agree that this caller may do this?
	RLS        Layer = "rls"         // the database verifies the caller itself, for every row
	Audit      Layer = "audit"       // append-only; the actor comes from the database's own view
)

// All lists every layer, outermost first. It is the order of ARCHITECTURE.md's headings; a test holds them equal.
var All = []Layer{Perimeter, Transport, Identity, GateRoute, Input, GatePage, GateAction, RLS, Audit}

// Distinct types for distinct strings, so that the compiler refuses to mix them up. Each holds a canonical lower-case UUID.
type (
	OrgID     string // OrgID identifies an organization, the unit of tenancy (SYSTEM I4).
	ProfileID string // ProfileID identifies a person's membership of one organization; authors and owners are ProfileIDs.
	PersonID  string // PersonID identifies a person across organizations, keyed by issuer and subject (SYSTEM I2).
)
