// Package mint is the one door to unforgeable values. The Go compiler keeps applications out of it, because it is internal
// to layer, and a test in internal/tidy keeps every layer out that has no written reason to come in.
package mint

import "time"

// Facts is what package identity has verified about a caller. It is the content of a layer.Principal.
type Facts struct {
	Person        string
	Profile       string
	Organization  string
	Kind          string // "session", "api-key", "machine", "job" or "endpoint"
	ID            string // the credential's public identifier, for lists and audit; not a secret
	Administrator bool
	Role          string   // of the membership: "owner", "admin", "member" or "guest"; empty for what is no session
	Scopes        []string // what the credential allows, from claims that the database cannot forge
	Credential    string   // the caller's own secret, presented to the database; never logged
	AuthTime      time.Time
	Assurance     []string // what the provider said about how the person proved it: its acr, its amr, and the names that identity gives to them
}

// The doors. Package layer installs them when it is linked in; they are variables only because mint cannot import layer.
// A value of type layer.Principal goes in and comes out as any, so that a caller has to name the type.
var (
	// Principal makes a layer.Principal. Only package identity may call it.
	Principal func(Facts) any
	// Credential returns the secret that a layer.Principal carries. Package rls presents it to the database, and package identity
	// finds its session again by it; nobody else may call it.
	Credential func(any) string
)

// A Gate is a pass to open a writable transaction. Only package action holds one: rls.Begin asks for it by type, and no
// package outside layer can name the type or make a value of it.
type Gate struct{ _ int }
