// Package keys is the model of the API keys page, GET and POST /keys (SYSTEM I9).
package keys

import "time"

// A View lists the viewer's keys and offers to make one. Its forms are POST /keys with "name", "scopes" (one value for each
// box that is ticked) and "expires_in_days", and POST /keys/{id}/revoke.
//
// After a refusal, Frame.Typed["scopes"] holds all ticked values separated by spaces or commas.
type View struct {
	Keys      []Key
	Scopes    []Scope // that the viewer may give to a key
	Days      []int   // lifetimes on offer; empty for 30, 90 and 365
	MaxName   int     // characters; zero shows no counter
	Next      string  // cursor of the next, older page; empty on the last
	Continued bool    // this is not the first page
}

// A Scope is one thing that a key may be allowed.
type Scope struct {
	Name  string // "orders:read"
	Means string // "See orders"
}

// A Key is one key as its owner sees it: never the secret.
type Key struct {
	ID      string
	Name    string
	Prefix  string // the part that may be shown
	Scopes  []string
	Created time.Time
	Expires time.Time
	Used    time.Time // last use; zero for never
	From    string    // the network of its last use; empty if nobody knows
	Places  []Place   // all that are known, the latest first
	Revoked bool
	Expired bool
}

// A Place is a network that a key was used from.
type Place struct {
	Network string
	First   time.Time
	Last    time.Time
	New     bool // it was not the first that the key was used from
}

// New is how many networks the key has turned up in since its first.
func (k Key) New() (n int) {
	for _, p := range k.Places {
		if p.New {
			n++
		}
	}
	return n
}

// Lifetimes is what the form offers.
func (v View) Lifetimes() []int {
	if len(v.Days) == 0 {
		return []int{30, 90, 365}
	}
	return v.Days
}
