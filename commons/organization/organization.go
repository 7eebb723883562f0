// Package organization is what an organization decides about itself: its name, who is invited, who is what, and roles of its own. Who
// its administrators are it does not decide: the identity provider says so (SYSTEM I3, I4).
package organization

import (
	"context"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// An Organization answers for itself.
type Organization struct {
	db       *rls.DB
	identity *identity.Service
	post     *post
}

// New makes an Organization.
func New(p redoubt.Parts) (*Organization, error) {
	post, err := newPost(p)
	if err != nil {
		return nil, err
	}
	return &Organization{p.DB, p.Identity, post}, nil
}

// lately is how long ago an owner may have proved who they are to hand an organization on (SYSTEM I6).
const lately = 5 * time.Minute

// Routes declares everything the outside may ask about an organization, and who may ask it.
func (o *Organization) Routes() []redoubt.Route {
	settingsPage, invitePage, appointPage := redoubt.MembersWith("organization:write"), redoubt.MembersWith("members:invite"), redoubt.MembersWith("roles:write")
	settings, invite, appoint := redoubt.Scope("organization:write"), redoubt.Scope("members:invite"), redoubt.Scope("roles:write")
	return []redoubt.Route{
		redoubt.Page("GET /organization", redoubt.Members, o.page),
		redoubt.Form("POST /organization/settings", settingsPage, o.change).Back("GET /organization").Then("/organization", "The settings are saved."),
		redoubt.Form("POST /organization/transfer", redoubt.Members, o.transfer).Fresh(lately).Back("GET /organization").Then("/organization", "The organization has a new owner. You are an admin now."),
		redoubt.Page("GET /organizations/new", redoubt.Members, o.newPage),
		redoubt.Page("GET /organization/invitations", invitePage, o.invitationsPage),
		redoubt.Form("POST /organization/invitations", invitePage, o.createdPage).Back("GET /organization/invitations"),
		redoubt.Form("POST /organization/invitations/{id}/renew", invitePage, o.renewedPage).Back("GET /organization/invitations"),
		redoubt.Form("POST /organization/invitations/{id}/revoke", invitePage, o.revoke).Then("/organization/invitations", "The invitation is revoked. Its link opens nothing any more."),
		redoubt.Page("GET /organization/roles", appointPage, o.rolesPage),
		redoubt.Form("POST /organization/roles", appointPage, o.addRole).Back("GET /organization/roles").Then("/organization/roles", "The role is made."),
		redoubt.Form("POST /organization/roles/{id}", appointPage, o.changeRole).Back("GET /organization/roles").Then("/organization/roles", "The role is saved, for everybody who has it."),
		redoubt.Form("POST /organization/roles/{id}/delete", appointPage, o.dropRole).Then("/organization/roles", "The role is deleted. Nobody has it any more."),
		redoubt.Form("POST /admin/members/{id}/role", appointPage, o.appoint).Back("GET /admin/members").Then("..", "The member has a new role, from this moment on."),
		redoubt.Page("GET "+redoubt.AcceptPath, redoubt.Public, o.offerPage),

		redoubt.JSON("GET /api/v1/organization", redoubt.Scope("profile:read"), o.read).Doc("Read about your organization"),
		redoubt.JSON("PUT /api/v1/organization", settings, o.change).Doc("Change the organization's name, and whether mapped groups make members"),
		redoubt.JSON("GET /api/v1/invitations", invite, o.listInvitations).Doc("List invitations that nobody has accepted"),
		redoubt.JSON("POST /api/v1/invitations", invite, o.Invite).Doc("Invite somebody by e-mail; the link is in this answer and never again"),
		redoubt.JSON("POST /api/v1/invitations/{id}/renew", invite, o.renew).Doc("Send an invitation again, with a new link; the old one opens nothing any more"),
		redoubt.JSON("DELETE /api/v1/invitations/{id}", invite, o.revoke).Doc("Revoke an invitation"),
		redoubt.JSON("GET /api/v1/roles", appoint, o.listRoles).Doc("List the organization's own roles"),
		redoubt.JSON("POST /api/v1/roles", appoint, o.addRole).Doc("Make a role; it holds no more than you may do"),
		redoubt.JSON("PUT /api/v1/roles/{id}", appoint, o.changeRole).Doc("Change a role, for everybody who has it"),
		redoubt.JSON("DELETE /api/v1/roles/{id}", appoint, o.dropRole).Doc("Delete a role, and take it from everybody who has it"),
		redoubt.JSON("PUT /api/v1/members/{id}/role", appoint, o.appoint).Doc("Give a member a role"),
	}
}

type (
	empty   struct{}
	nothing struct{}
)

// Distinct ids for distinct things. No role of one's own is a choice: a form says so with an empty one.
type (
	InvitationID string
	RoleID       string
	OwnRole      string
)

// Constraints says that an InvitationID is a UUID.
func (InvitationID) Constraints() reflect.StructTag { return `format:"uuid"` }

// Constraints says that a RoleID is a UUID.
func (RoleID) Constraints() reflect.StructTag { return `format:"uuid"` }

// Constraints says that an OwnRole is the id of a role, or nothing.
func (OwnRole) Constraints() reflect.StructTag { return `maxLength:"36" pattern:"([0-9a-f-]{36})?"` }

// An About is the organization, as its members see it.
type About struct {
	ID         layer.OrgID `json:"id"`
	Name       string      `json:"name"`
	Role       string      `json:"role" doc:"yours: owner, admin, member or guest"`
	OwnRole    string      `json:"own_role" doc:"yours of the organization's own; empty for none"`
	Members    int         `json:"members"`
	JustInTime bool        `json:"just_in_time" doc:"people of mapped groups become members when they sign in"`
}

// Settings is what may be changed about an organization.
type Settings struct {
	Name       string `json:"name" minLength:"1" maxLength:"100" pattern:"\\S(.*\\S)?"`
	JustInTime bool   `json:"just_in_time,omitempty"`
}

func (o *Organization) read(ctx context.Context, who layer.Principal, _ empty) (About, error) {
	org, err := identity.OrganizationOf(o.db.As(ctx, who))
	if err != nil {
		return About{}, err
	}
	return About{who.Organization(), org.Name, string(org.Role), org.CustomRole, org.Members, org.JustInTime}, nil
}

func (o *Organization) change(ctx context.Context, who layer.Principal, in Settings) (About, error) {
	_, err := action.Do(ctx, o.db, who, "organization:write", func(tx *action.Tx) (nothing, error) {
		return nothing{}, identity.SetOrganization(tx.Tx, in.Name, in.JustInTime)
	})
	if err != nil {
		return About{}, err
	}
	return o.read(ctx, who, empty{})
}

// Transfer names who is to own the organization.
type Transfer struct {
	MemberID layer.ProfileID `json:"member_id"`
}

func (o *Organization) transfer(ctx context.Context, who layer.Principal, in Transfer) (nothing, error) {
	return action.DoAssured(ctx, o.db, who, "roles:write", layer.Assurance{Within: lately}, func(tx *action.Tx) (nothing, error) {
		return nothing{}, identity.TransferOwnership(tx.Tx, in.MemberID)
	})
}

// ---- roles ----

// A Role is one of the organization's own.
type Role struct {
	ID      RoleID   `json:"id"`
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	Bearers int      `json:"members" doc:"how many have it"`
}

// Location is where roles are listed.
func (Role) Location() string { return "/roles" }

// A RoleList is all of them.
type RoleList struct {
	Roles []Role `json:"roles"`
}

// WriteRole says what a role is to be.
type WriteRole struct {
	Name   string   `json:"name" minLength:"1" maxLength:"50" pattern:"\\S(.*\\S)?"`
	Scopes []string `json:"scopes,omitempty" maxItems:"50" maxLength:"63"`
}

type (
	changeRole struct {
		ID RoleID `path:"id"`
		WriteRole
	}
	oneRole struct {
		ID RoleID `path:"id"`
	}
	// Appoint says what a member is to be.
	Appoint struct {
		ID      layer.ProfileID `path:"id"`
		Role    string          `json:"role" enum:"owner,admin,member,guest"`
		OwnRole OwnRole         `json:"own_role_id,omitempty" doc:"one of the organization's own; absent for none"`
	}
)

func (o *Organization) listRoles(ctx context.Context, who layer.Principal, _ empty) (RoleList, error) {
	all, err := identity.OwnRoles(o.db.As(ctx, who))
	if err != nil {
		return RoleList{}, err
	}
	list := RoleList{Roles: []Role{}}
	for _, r := range all {
		list.Roles = append(list.Roles, Role{RoleID(r.ID), r.Name, r.Scopes, r.Bearers})
	}
	return list, nil
}

func (o *Organization) addRole(ctx context.Context, who layer.Principal, in WriteRole) (Role, error) {
	return action.Do(ctx, o.db, who, "roles:write", func(tx *action.Tx) (Role, error) {
		id, err := o.identity.AddRole(tx.Tx, who, in.Name, in.Scopes)
		return Role{ID: RoleID(id), Name: in.Name, Scopes: in.Scopes}, named(err)
	})
}

func (o *Organization) changeRole(ctx context.Context, who layer.Principal, in changeRole) (nothing, error) {
	return action.Do(ctx, o.db, who, "roles:write", func(tx *action.Tx) (nothing, error) {
		return nothing{}, named(o.identity.SetRole(tx.Tx, who, string(in.ID), in.Name, in.Scopes))
	})
}

// named puts the database's refusal of a name beside the field that it is about.
func named(err error) error {
	refusal, ok := err.(*layer.Refusal)
	switch {
	case ok && refusal.Reason == layer.Conflict:
		refusal.Fields = []layer.Field{{Name: "name", Detail: "is the name of another role"}}
	case ok && refusal.Reason == layer.Invalid && refusal.By == layer.RLS:
		refusal.Fields = []layer.Field{{Name: "name", Detail: "must not be a built-in role's, nor begin or end with a space"}}
	}
	return err
}

func (o *Organization) dropRole(ctx context.Context, who layer.Principal, in oneRole) (nothing, error) {
	return action.Do(ctx, o.db, who, "roles:write", func(tx *action.Tx) (nothing, error) {
		return nothing{}, identity.DropRole(tx.Tx, string(in.ID))
	})
}

func (o *Organization) appoint(ctx context.Context, who layer.Principal, in Appoint) (nothing, error) {
	return action.Do(ctx, o.db, who, "roles:write", func(tx *action.Tx) (nothing, error) {
		return nothing{}, identity.Appoint(tx.Tx, in.ID, identity.Role(in.Role), string(in.OwnRole))
	})
}
