// Package directory is the model of the page on which administrators connect their organization's identity provider, GET and POST
// /admin/directory (SYSTEM I7).
package directory

import "time"

// A View lists the connections and offers to make one. Its forms are POST /admin/directory with "name" and, where there are several
// providers, "issuer"; and POST /admin/directory/{id}/revoke.
type View struct {
	Connections []Connection
	Address     string   // what the provider is told
	Issuers     []string // the organization's own providers; empty if nobody has named one
	MaxName     int      // characters
}

// A Connection is one program of a provider's.
type Connection struct {
	ID      string
	Name    string
	Made    time.Time
	Revoked bool
}
