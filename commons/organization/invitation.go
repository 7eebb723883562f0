package organization

import (
	"context"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// An Invitation is one that nobody has accepted.
type Invitation struct {
	ID        InvitationID `json:"id"`
	Email     string       `json:"email"`
	Role      string       `json:"role"`
	OwnRole   string       `json:"own_role"`
	Inviter   string       `json:"invited_by"`
	SentAt    time.Time    `json:"sent_at"`
	ExpiresAt time.Time    `json:"expires_at"`
}

// An InvitationList is all of them.
type InvitationList struct {
	Invitations []Invitation `json:"invitations"`
}

// Invite says whom to invite, and as what.
type Invite struct {
	Email   string  `json:"email" format:"email"`
	Role    string  `json:"role" enum:"admin,member,guest"`
	OwnRole OwnRole `json:"own_role_id,omitempty" doc:"one of the organization's own; absent for none"`
}

// An Invited is the only answer that ever holds an invitation's link.
type Invited struct {
	ID        InvitationID `json:"id"`
	Email     string       `json:"email"`
	Link      string       `json:"link" doc:"shown once; only who has the address can accept it"`
	Mailed    bool         `json:"mailed" doc:"false if no mail could be sent; hand over the link then"`
	ExpiresAt time.Time    `json:"expires_at"`
}

// Location is where invitations are listed.
func (Invited) Location() string { return "/invitations" }

type oneInvitation struct {
	ID InvitationID `path:"id"`
}

// life is how long a link is good, as pages and mail say it; identity decides.
const life = 7 * 24 * time.Hour

func (o *Organization) listInvitations(ctx context.Context, who layer.Principal, _ empty) (InvitationList, error) {
	all, err := identity.Invitations(o.db.As(ctx, who))
	if err != nil {
		return InvitationList{}, err
	}
	list := InvitationList{Invitations: []Invitation{}}
	for _, i := range all {
		list.Invitations = append(list.Invitations, Invitation{InvitationID(i.ID), string(i.Address), string(i.Role), i.CustomName, i.Inviter, i.SentAt, i.ExpiresAt})
	}
	return list, nil
}

// Invite writes the invitation down and, once that is so for good, sends the mail. A mail that cannot be sent takes nothing back: the
// link is in the answer. The answer is the same for every address, whoever it belongs to.
func (o *Organization) Invite(ctx context.Context, who layer.Principal, in Invite) (Invited, error) {
	var to identity.Address
	var token string
	id, err := action.Do(ctx, o.db, who, "members:invite", func(tx *action.Tx) (id string, err error) {
		var ok bool
		if to, ok = identity.ParseAddress(in.Email); !ok {
			return "", &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "Some fields need attention.",
				Fields: []layer.Field{{Name: "email", Detail: "must be an e-mail address in plain letters, such as ann@example.com"}}}
		}
		id, token, err = identity.Invite(tx.Tx, identity.Invitee{Address: to, Role: identity.Role(in.Role), OwnRole: string(in.OwnRole)})
		return id, err
	})
	if err != nil {
		return Invited{}, err
	}
	return o.send(ctx, id, to, token), nil
}

func (o *Organization) renew(ctx context.Context, who layer.Principal, in oneInvitation) (Invited, error) {
	var token string
	to, err := action.Do(ctx, o.db, who, "members:invite", func(tx *action.Tx) (to identity.Address, err error) {
		to, token, err = identity.RenewInvitation(tx.Tx, string(in.ID))
		return to, err
	})
	if err != nil {
		return Invited{}, err
	}
	return o.send(ctx, string(in.ID), to, token), nil
}

func (o *Organization) send(ctx context.Context, id string, to identity.Address, token string) Invited {
	link := o.post.link(token)
	mailed := false
	if offer, err := o.identity.Offer(ctx, token); err == nil { // whose invitation it is, as its page will say it
		mailed = o.post.invite(ctx, to, link, offer)
	}
	return Invited{InvitationID(id), string(to), link, mailed, time.Now().Add(life)}
}

func (o *Organization) revoke(ctx context.Context, who layer.Principal, in oneInvitation) (nothing, error) {
	return action.Do(ctx, o.db, who, "members:invite", func(tx *action.Tx) (nothing, error) {
		return nothing{}, identity.RevokeInvitation(tx.Tx, string(in.ID))
	})
}
