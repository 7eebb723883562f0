// Package audit is the model of the audit trail's page, GET /admin/audit (SYSTEM U1).
package audit

import "time"

// A View is a page of the trail, newest first. Its filter is GET /admin/audit with "action", a prefix.
type View struct {
	Entries   []Entry
	Prefix    string   // the filter in force; empty for all
	Prefixes  []string // suggestions for the filter: "order", "post", "session"
	Next      string   // cursor of the next, older page; empty on the last
	Continued bool     // this is not the first page
}

// An Entry is one event, or one change of a row.
type Entry struct {
	Time     time.Time
	Actor    string // display name; empty for the system itself
	Action   string // "order.placed"
	Entity   string // "order"; may be empty
	EntityID string
	Address  string // from which it was done; may be empty
	Changes  []Change
}

// A Change is one column before and after. A value that the trail masks arrives masked.
type Change struct {
	Field  string
	Before string // empty for nothing
	After  string
}
