// Package invitation is the model of the page behind an invitation's link, GET /invitations/{token}: for anybody who holds it, before
// they have said who they are.
package invitation

import "time"

// A View is the invitation, without whom it is for. Its form is POST /invitations/{token}, with "provider" where there are several.
type View struct {
	Token        string
	Organization string
	Inviter      string
	Role         string
	OwnRole      string
	Expires      time.Time
	Providers    []Provider // where to sign in; one of them has no title
}

// A Provider is a place to sign in at.
type Provider struct{ ID, Title string }
