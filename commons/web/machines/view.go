// Package machines is the model of the page of trusted machines, GET and POST /admin/machines (SYSTEM I9).
package machines

import "time"

// A View lists whom the organization trusts, and offers to trust more. Its forms are POST /admin/machines with "name", "issuer",
// "subject_pattern", "scopes" (one value for each box that is ticked), "uses" and "expires_in_days", and POST
// /admin/machines/{id}/revoke.
//
// After a refusal, Frame.Typed["scopes"] holds all ticked values separated by spaces or commas.
type View struct {
	Trusts    []Trust
	Issuers   []string // that the deployment lets an organization trust; empty offers nothing
	Audience  string   // what a machine's token must be for
	Exchange  string   // the address at which it is exchanged
	Scopes    []Scope  // that the viewer may give
	MaxName   int      // characters; zero shows no counter
	MaxUses   int
	Lifetimes []Lifetime
}

// A Scope is one thing that a machine may be allowed.
type Scope struct {
	Name  string // "orders:read"
	Means string // "See orders"
}

// A Lifetime is one choice of when a trust ends.
type Lifetime struct {
	Days  int // zero for never
	Words string
}

// A Trust is for the machines that an issuer calls by some subject.
type Trust struct {
	ID      string
	Name    string
	Issuer  string
	Subject string // a pattern
	Scopes  []string
	Uses    int // of one token
	Created time.Time
	Expires time.Time // zero for never
	Used    time.Time // last use; zero for never
	Revoked bool
	Expired bool
}

// Off reports whether the trust gives nothing any more.
func (t Trust) Off() bool { return t.Revoked || t.Expired }
