package organization

import (
	"context"
	"slices"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/web/invitation"
	invitationcreated "github.com/redoubt-dev/redoubt/commons/web/invitation-created"
	"github.com/redoubt-dev/redoubt/commons/web/invitations"
	"github.com/redoubt-dev/redoubt/commons/web/organization"
	organizationnew "github.com/redoubt-dev/redoubt/commons/web/organization-new"
	"github.com/redoubt-dev/redoubt/commons/web/roles"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

func (o *Organization) page(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	asker := o.db.As(ctx, who)
	org, err := identity.OrganizationOf(asker)
	if err != nil {
		return redoubt.View{}, err
	}
	view := organization.View{Name: org.Name, Role: string(org.Role), OwnRole: org.CustomRole, Members: org.Members, Since: org.CreatedAt,
		JustInTime: org.JustInTime, Sole: org.Role == identity.RoleOwner && org.Owners == 1, Administrator: who.Administrator(), MaxName: 100}
	if view.Settings = who.Has("organization:write"); view.Settings {
		groups, err := identity.MappedGroups(asker)
		if err != nil {
			return redoubt.View{}, err
		}
		for _, g := range groups {
			view.Groups = append(view.Groups, organization.Group{Name: g.GroupName, Role: string(g.Role)})
		}
	}
	if org.Role == identity.RoleOwner && who.Has("roles:write") && who.Has("members:read") {
		members, err := identity.Members(asker, nil, nil, 200)
		if err != nil {
			return redoubt.View{}, err
		}
		for _, m := range members {
			if m.Active && m.ID != who.Profile() {
				view.Heirs = append(view.Heirs, organization.Heir{ID: string(m.ID), Name: m.Name, Email: m.Email})
			}
		}
	}
	return redoubt.View{Page: "organization", Title: "Organization", Data: view}, nil
}

func (o *Organization) newPage(context.Context, layer.Principal, empty) (redoubt.View, error) {
	return redoubt.View{Page: "organization-new", Title: "New organization", Data: organizationnew.View{MaxName: 100}}, nil
}

func (o *Organization) invitationsPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	asker := o.db.As(ctx, who)
	list, err := identity.Invitations(asker)
	if err != nil {
		return redoubt.View{}, err
	}
	org, err := identity.OrganizationOf(asker)
	if err != nil {
		return redoubt.View{}, err
	}
	own, err := identity.OwnRoles(asker)
	if err != nil {
		return redoubt.View{}, err
	}
	view := invitations.View{Admins: who.Administrator() || org.Role == identity.RoleOwner}
	for _, i := range list {
		view.Invitations = append(view.Invitations, invitations.Invitation{ID: i.ID, Email: string(i.Address), Role: string(i.Role), OwnRole: i.CustomName, Inviter: i.Inviter, Sent: i.SentAt, Expires: i.ExpiresAt})
	}
	for _, r := range own {
		if may(who, r.Scopes) {
			view.OwnRoles = append(view.OwnRoles, invitations.OwnRole{ID: r.ID, Name: r.Name})
		}
	}
	return redoubt.View{Page: "invitations", Title: "Invitations", Data: view}, nil
}

// may reports whether who has all of scopes themselves, and so may give them.
func may(who layer.Principal, scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !who.Has(s) })
}

// createdPage invites and answers with the one page that shows the link.
func (o *Organization) createdPage(ctx context.Context, who layer.Principal, in Invite) (redoubt.View, error) {
	return created(o.Invite(ctx, who, in))
}

func (o *Organization) renewedPage(ctx context.Context, who layer.Principal, in oneInvitation) (redoubt.View, error) {
	return created(o.renew(ctx, who, in))
}

func created(i Invited, err error) (redoubt.View, error) {
	return redoubt.View{Page: "invitation-created", Title: "Invitation", Data: invitationcreated.View{Email: i.Email, Link: i.Link, Mailed: i.Mailed, Expires: i.ExpiresAt}}, err
}

func (o *Organization) rolesPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	list, err := identity.OwnRoles(o.db.As(ctx, who))
	if err != nil {
		return redoubt.View{}, err
	}
	var view roles.View
	for _, s := range o.identity.Grantable(who) {
		view.Scopes = append(view.Scopes, roles.Scope{Name: s, Means: account.Means(s)})
	}
	for _, r := range list {
		shown := roles.Role{ID: r.ID, Name: r.Name, Bearers: r.Bearers, Mine: may(who, r.Scopes)}
		for _, s := range r.Scopes {
			shown.Scopes = append(shown.Scopes, roles.Scope{Name: s, Means: account.Means(s)})
		}
		view.Roles = append(view.Roles, shown)
	}
	return redoubt.View{Page: "roles", Title: "Roles", Data: view}, nil
}

type offered struct {
	Token string `path:"token" maxLength:"64"`
}

func (o *Organization) offerPage(ctx context.Context, _ layer.Principal, in offered) (redoubt.View, error) {
	offer, err := o.identity.Offer(ctx, in.Token)
	if err != nil {
		return redoubt.View{}, err
	}
	view := invitation.View{Token: in.Token, Organization: offer.Organization, Inviter: offer.Inviter, Role: string(offer.Role), OwnRole: offer.CustomRole, Expires: offer.ExpiresAt}
	for _, p := range o.identity.Providers() {
		view.Providers = append(view.Providers, invitation.Provider{ID: p.ID, Title: p.Title})
	}
	return redoubt.View{Page: "invitation", Title: "Invitation", Data: view}, nil
}
