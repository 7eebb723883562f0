package identity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Role is what a membership says its member is (SYSTEM I4). Administrator is none of them: only the provider's group makes one (SYSTEM I3).
type Role string

// The roles, the most powerful first.
const (
	RoleOwner  Role = "owner"  // decides about everybody, and hands the organization on; there is always one
	RoleAdmin  Role = "admin"  // decides about members and guests
	RoleMember Role = "member" // belongs to it
	RoleGuest  Role = "guest"  // looks on, with scopes of their own instead of a member's
)

// of is what somebody with that role may do by the application's word. What an organization's own role adds is what the application
// lets be granted and no more, whatever a row says.
func (sc Scopes) of(role Role, custom []string, administrator bool) []string {
	var all []string
	switch role {
	case RoleOwner:
		all = slices.Concat(sc.Member, sc.Owner)
	case RoleAdmin:
		all = slices.Concat(sc.Member, sc.Admin)
	case RoleMember:
		all = slices.Clone(sc.Member)
	case RoleGuest:
		all = slices.Clone(sc.Guest)
	}
	for _, scope := range custom {
		if slices.Contains(sc.Grantable, scope) {
			all = append(all, scope)
		}
	}
	if administrator {
		all = slices.Concat(all, sc.Member, sc.Administrator)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// check refuses a Grantable scope that only administrators have: no row may give it (SYSTEM I3).
func (sc Scopes) check() (faults []error) {
	others := slices.Concat(sc.Owner, sc.Admin, sc.Member, sc.Guest)
	for _, scope := range sc.Grantable {
		if slices.Contains(sc.Administrator, scope) && !slices.Contains(others, scope) {
			faults = append(faults, fmt.Errorf("identity: Scopes.Grantable has %q, which only administrators may", scope))
		}
	}
	return faults
}

// An OwnRole is a role of an organization's own: scopes in addition to what its bearer's role has.
type OwnRole struct {
	ID      string
	Name    string
	Scopes  []string
	Bearers int // how many members have it
}

const (
	listRoles = `select id, name, scopes, bearers from redoubt.organization_roles()`
	saveRole  = `select redoubt.save_role($1, $2, $3, $4)`
	dropRole  = `select redoubt.drop_role($1)`
	appoint   = `select redoubt.appoint($1, $2, $3)`
	transfer  = `select redoubt.transfer_ownership($1)`
)

var errNotGrantable = errors.New("a role's scope is not one that the application lets be granted, or not its maker's own")

// OwnRoles lists the roles of the asker's organization, by name. It needs a scope that has to do with members.
func OwnRoles(asker rls.Asker) ([]OwnRole, error) { return rls.All[OwnRole](asker, listRoles) }

// Grantable lists what who may put into a role: what the application lets be granted, and who has themselves.
func (s *Service) Grantable(who layer.Principal) []string {
	return slices.DeleteFunc(slices.Clone(s.cfg.Scopes.Grantable), func(scope string) bool { return !who.Has(scope) })
}

// AddRole makes a role of the organization's own and returns its id. It needs the scope roles:write, and every scope in it.
func (s *Service) AddRole(tx *rls.Tx, who layer.Principal, name string, scopes []string) (id string, err error) {
	id = rls.NewID(who.Organization())
	return id, s.saveRole(tx, who, id, name, scopes, true)
}

// SetRole changes a role's name and scopes, for all who have it, at once. It needs the scope roles:write, and every scope in it, before
// and after.
func (s *Service) SetRole(tx *rls.Tx, who layer.Principal, id, name string, scopes []string) error {
	return s.saveRole(tx, who, id, name, scopes, false)
}

func (s *Service) saveRole(tx *rls.Tx, who layer.Principal, id, name string, scopes []string, made bool) error {
	mine := s.Grantable(who)
	for _, scope := range scopes {
		if !slices.Contains(mine, scope) {
			return refuse(layer.Forbidden, "A role can hold no more than you may give.", errNotGrantable)
		}
	}
	if scopes == nil {
		scopes = []string{}
	}
	return found(rls.One[bool](tx, saveRole, rowID(id), name, scopes, made))
}

// DropRole deletes a role, and takes it from all who have it.
func DropRole(tx *rls.Tx, id string) error { return found(rls.One[bool](tx, dropRole, rowID(id))) }

// Appoint gives a member a role, and one of the organization's own or "". It needs the scope roles:write. Owners decide about everybody;
// others about members and guests, and give nothing that they do not have.
func Appoint(tx *rls.Tx, member layer.ProfileID, role Role, own string) error {
	return found(rls.One[bool](tx, appoint, member, string(role), optional(own)))
}

// TransferOwnership makes another active member an owner in place of the caller, who becomes an admin.
func TransferOwnership(tx *rls.Tx, to layer.ProfileID) error {
	return found(rls.One[bool](tx, transfer, to))
}
