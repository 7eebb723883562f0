// Package invitationcreated is the model of the page that answers to an invitation, and that alone shows its link.
package invitationcreated

import "time"

// A View is an invitation that was just made or sent again.
type View struct {
	Email   string
	Link    string
	Mailed  bool // a mail server has taken it
	Expires time.Time
}
