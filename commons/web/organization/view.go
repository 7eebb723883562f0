// Package organization is the model of the organization's page, GET /organization.
package organization

import "time"

// A View is the organization as one of its members sees it. Its forms are POST /organization/settings with "name" and "just_in_time",
// and POST /organization/transfer with "member_id".
type View struct {
	Name          string
	Role          string // the viewer's: "owner", "admin", "member" or "guest"
	OwnRole       string // and theirs of the organization's own; empty for none
	Administrator bool   // the provider calls the viewer one
	Members       int    // active ones
	Since         time.Time
	Sole          bool // the viewer is the only owner

	Settings   bool // the viewer may change them
	JustInTime bool
	Groups     []Group // that are mapped here
	Heirs      []Heir  // to whom the viewer may hand the organization on
	MaxName    int
}

// A Group is one of the provider's that makes members.
type Group struct{ Name, Role string }

// An Heir is a member who could own the organization.
type Heir struct{ ID, Name, Email string }

// Decides reports whether the viewer may say who comes in by a group.
func (v View) Decides() bool { return v.Administrator || v.Role == "owner" }
