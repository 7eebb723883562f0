package identity

import (
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Session is one sign-in of a person, as their own list shows it.
type Session struct {
	ID               string
	Current          bool // the one that asks
	UserAgent        string
	Address          string // where it was opened from; empty if nobody knows
	SeenAddress      string // where it was last used from
	OrganizationName string
	Issuer           string // of the provider that opened it; see Service.ProviderTitle
	CreatedAt        time.Time
	SeenAt           time.Time
	ExpiresAt        time.Time // at the latest
}

// A Member is a person in an organization, as its administrators see them.
type Member struct {
	ID         layer.ProfileID
	Email      string
	Name       string
	Role       Role
	CustomRole *string // the id of their role of the organization's own; nil for none
	CustomName string  // and its name
	Admitted   string  // the provider's group by which they came in; "" for who was invited or provisioned
	Active     bool
	JoinedAt   time.Time
	SignedInAt *time.Time
}

const (
	listSessions  = `select id, current, user_agent, address, seen_address, organization_name, issuer, created_at, seen_at, expires_at from redoubt.my_sessions()`
	revokeSession = `select redoubt.revoke_session($1)`
	revokeOthers  = `select redoubt.revoke_other_sessions()`
	listMembers   = `select id, email, name, role, custom_role, custom_name, admitted, active, joined_at, signed_in_at from redoubt.members()
	                  where $1::timestamptz is null or (joined_at, id) < ($1, $2::uuid) order by joined_at desc, id desc limit $3`
	readMe    = `select name, email, organization_name, joined_at from redoubt.me()`
	setActive = `select redoubt.set_member_active($1, $2)`
	onboarded = `select redoubt.onboarded()`
	eraseOne  = `select redoubt.erase_member($1)`
)

// Sessions lists the living sessions of the asker, in every organization, the one that asks first and then the latest used, at most 100.
func Sessions(asker rls.Asker) ([]Session, error) { return rls.All[Session](asker, listSessions) }

// RevokeSession ends one of the caller's sessions, and what came of it by switching organizations; from the next statement on they open
// nothing (SYSTEM I5).
func RevokeSession(tx *rls.Tx, id string) error { return found(rls.One[bool](tx, revokeSession, id)) }

// RevokeOtherSessions ends every session of the caller's but the one that asks, and returns how many.
func RevokeOtherSessions(tx *rls.Tx) (int, error) { return rls.One[int](tx, revokeOthers) }

// Members lists up to limit members of the asker's organization, the newest first, who joined before the one with that time and
// id; nil for the newest. It needs the scope members:read.
func Members(asker rls.Asker, joined *time.Time, id *string, limit int) ([]Member, error) {
	return rls.All[Member](asker, listMembers, joined, id, min(limit, 200))
}

// A Self is what the provider says about the asker, and where they are.
type Self struct {
	Name             string
	Email            string
	OrganizationName string
	JoinedAt         time.Time
}

// Me reads the asker's own facts.
func Me(asker rls.Asker) (Self, error) { return rls.One[Self](asker, readMe) }

// SetMemberActive stops a member of the caller's organization, at once and everywhere in it, or readmits them (SYSTEM I7). It
// needs the scope members:write, and nobody can do it to themselves.
func SetMemberActive(tx *rls.Tx, member layer.ProfileID, active bool) error {
	return found(rls.One[bool](tx, setActive, member, active))
}

// Onboarded records that the caller has completed their profile (SYSTEM I2).
func Onboarded(tx *rls.Tx) error {
	_, err := rls.Do(tx, onboarded)
	return err
}

// EraseMember deletes a member of the caller's organization with their sessions, keys and waiting jobs and, if they were a member
// nowhere else, the person (SYSTEM I8). What becomes of their rows in the application's tables is said by those tables' foreign keys;
// one that does not say it stops the deletion. It needs the scope members:erase, but for members themselves with a session.
func EraseMember(tx *rls.Tx, member layer.ProfileID) error {
	return found(rls.One[bool](tx, eraseOne, member))
}
