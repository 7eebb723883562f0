// Package invitations is the model of the page of invitations, GET /organization/invitations.
package invitations

import "time"

// A View lists invitations that nobody has accepted, and offers to invite. Its forms are POST /organization/invitations with "email",
// "role" and "own_role_id", and POST /organization/invitations/{id}/renew and …/revoke.
type View struct {
	Invitations []Invitation
	OwnRoles    []OwnRole // that the viewer may give
	Admins      bool      // the viewer may invite admins
}

// An Invitation is one that waits.
type Invitation struct {
	ID      string
	Email   string
	Role    string
	OwnRole string // the organization's own; empty for none
	Inviter string
	Sent    time.Time
	Expires time.Time
}

// Expired reports whether its link opens nothing any more, until it is sent again.
func (i Invitation) Expired() bool { return i.Expires.Before(time.Now()) }

// An OwnRole is one of the organization's own.
type OwnRole struct{ ID, Name string }
