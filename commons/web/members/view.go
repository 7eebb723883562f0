// Package members is the model of the administrator's page of members, GET /admin/members.
package members

import "time"

// A View is a page of members. Its forms are POST /admin/members/{id}/deactivate, …/reactivate and …/delete.
type View struct {
	Members   []Member
	Next      string    // cursor of the next page; empty on the last
	Continued bool      // this is not the first page
	OwnRoles  []OwnRole // that the viewer may give
	Appoints  bool      // the viewer may change roles
	Owns      bool      // and decides about owners and admins, too
	Stops     bool      // the viewer may stop and readmit
	Erases    bool      // the viewer may delete
}

// An OwnRole is one of the organization's own.
type OwnRole struct{ ID, Name string }

// Decides reports whether the viewer has a say about m.
func (v View) Decides(m Member) bool { return v.Owns || m.Role != "owner" && m.Role != "admin" }

// A Member is one person's membership of the organization.
type Member struct {
	ID            string
	Name          string // display name; empty for a person who has been deleted
	Email         string
	Administrator bool
	Role          string // "owner", "admin", "member" or "guest"
	OwnRole       string // the id of the organization's own role; empty for none
	OwnRoleName   string
	Group         string // the provider's group by which they came in; empty for none
	Active        bool   // false: stopped at once, everywhere (SYSTEM I7)
	Self          bool   // the viewer, who cannot stop themself
	Joined        time.Time
	Seen          time.Time // last seen; zero for never
}
