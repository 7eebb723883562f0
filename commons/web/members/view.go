// Package members is the model of the administrator's page of members, GET /admin/members.
package members

import "time"

// A View is a page of members. Its forms are POST /admin/members/{id}/deactivate, …/reactivate and …/delete.
type View struct {
	Members   []Member
	Next      string // cursor of the next page; empty on the last
	Continued bool   // this is not the first page
}

// A Member is one person's membership of the organization.
type Member struct {
	ID            string
	Name          string // display name; empty for a person who has been deleted
	Email         string
	Administrator bool
	Active        bool // false: stopped at once, everywhere (SYSTEM I7)
	Self          bool // the viewer, who cannot stop themself
	Joined        time.Time
	Seen          time.Time // last seen; zero for never
}
