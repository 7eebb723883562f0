// Package account is what a member may see and change about themselves: profile, sessions and API keys; and what an
// administrator may see and do about the organization's members and its audit trail.
package account

import (
	"context"
	"embed"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is the accounts' line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// An Account answers for members.
type Account struct {
	db       *rls.DB
	identity *identity.Service
	files    *file.Files
	provider string
}

// New makes an Account. provider is the identity provider's name, as people read it.
func New(db *rls.DB, ids *identity.Service, files *file.Files, provider string) *Account {
	return &Account{db, ids, files, provider}
}

// lately is how long ago somebody may have proved who they are to do what lasts: a key is power for months, and a deletion is for ever
// (SYSTEM I6). A key that deletes people may, since whoever made it had proved it then.
const lately = 5 * time.Minute

// Routes declares everything the outside may ask about members, and who may ask it.
func (a *Account) Routes() []redoubt.Route {
	return append(a.machineRoutes(), []redoubt.Route{
		redoubt.Page("GET /onboarding", redoubt.Members, a.onboardingPage),
		redoubt.Form("POST /onboarding", redoubt.Members, a.Onboard).Back("GET /onboarding").Then("/", "Welcome. This is what is going on."),
		redoubt.Page("GET /profile", redoubt.Members, a.profilePage),
		redoubt.Form("POST /profile", redoubt.Members, a.change).Back("GET /profile").Then("/profile", "Your profile is saved."),
		redoubt.Form("POST /profile/avatar", redoubt.Members, a.portray).Back("GET /profile").Then("/profile", "Your picture is saved."),
		redoubt.Form("POST /profile/avatar/delete", redoubt.Members, a.unportray).Then("/profile", "Your picture is removed."),
		redoubt.Form("POST /profile/delete", redoubt.Members, a.leave).Fresh(lately).Then(redoubt.SignedOutPath, "You have left, and your data there is deleted."),
		redoubt.Page("GET /sessions", redoubt.Members, a.sessionsPage),
		redoubt.Form("POST /sessions/{id}/revoke", redoubt.Members, a.revokeSession).Then("/sessions", "The session has ended."),
		redoubt.Form("POST /sessions/revoke-others", redoubt.Members, a.revokeOthers).Then("/sessions", "All other sessions have ended."),
		redoubt.Page("GET /keys", redoubt.Members, a.keysPage),
		redoubt.Form("POST /keys", redoubt.Members, a.keyCreatedPage).Fresh(lately).Back("GET /keys"),
		redoubt.Form("POST /keys/{id}/revoke", redoubt.Members, a.revokeKey).Then("/keys", "The key is revoked."),
		redoubt.Page("GET /admin/members", redoubt.MembersWith("members:read"), a.membersPage),
		redoubt.Form("POST /admin/members/{id}/deactivate", redoubt.MembersWith("members:write"), a.deactivate).Then("..", "The member is stopped, and signed out everywhere in this organization."),
		redoubt.Form("POST /admin/members/{id}/reactivate", redoubt.MembersWith("members:write"), a.reactivate).Then("..", "The member may come back."),
		redoubt.Form("POST /admin/members/{id}/delete", redoubt.Administrators, a.Erase).Fresh(lately).Then("..", "The person is deleted. What they wrote and bought stays."),
		redoubt.Page("GET /admin/audit", redoubt.Administrators, a.auditPage),

		redoubt.JSON("GET /api/v1/me", redoubt.Scope("profile:read"), a.me).Doc("Who you are here"),
		redoubt.JSON("PUT /api/v1/me", redoubt.Scope("profile:write"), a.changeMe).Doc("Change your profile"),
		redoubt.JSON("PUT /api/v1/me/avatar", redoubt.Scope("profile:write"), a.setAvatar).Doc("Give yourself a picture: the body is a JPEG, PNG, GIF or WebP"),
		redoubt.JSON("DELETE /api/v1/me/avatar", redoubt.Scope("profile:write"), a.unportray).Doc("Remove your picture"),
		redoubt.JSON("GET /api/v1/api-keys", redoubt.Scope("keys:write"), a.listKeys).Doc("List your API keys"),
		redoubt.JSON("POST /api/v1/api-keys", redoubt.Scope("keys:write"), a.createKey).Fresh(lately).Doc("Make an API key; its secret is in this answer and never again. An API key makes no keys"),
		redoubt.JSON("DELETE /api/v1/api-keys/{id}", redoubt.Scope("keys:write"), a.revokeKey).Doc("Revoke an API key of your own"),
		redoubt.JSON("GET /api/v1/members", redoubt.Scope("members:read"), a.listMembers).Doc("List the organization's members"),
		redoubt.JSON("POST /api/v1/members/{id}/deactivate", redoubt.Scope("members:write"), a.deactivate).Doc("Stop a member, at once"),
		redoubt.JSON("POST /api/v1/members/{id}/reactivate", redoubt.Scope("members:write"), a.reactivate).Doc("Readmit a member"),
		redoubt.JSON("DELETE /api/v1/members/{id}", redoubt.Scope("members:erase"), a.Erase).Fresh(lately).KeysToo().Doc("Delete a person from the organization; what they wrote and bought stays, under another name"),
		redoubt.JSON("GET /api/v1/audit", redoubt.Scope("audit:read"), a.listAudit).Doc("Read the organization's audit trail, newest first"),
	}...)
}

// Nothing is the answer when there is nothing to say.
type Nothing struct{}

// Distinct ids for distinct things.
type (
	SessionID string
	KeyID     string
)

// Constraints says that a SessionID is a UUID.
func (SessionID) Constraints() reflect.StructTag { return `format:"uuid"` }

// Constraints says that a KeyID is a UUID.
func (KeyID) Constraints() reflect.StructTag { return `format:"uuid"` }

type (
	empty      struct{}
	oneSession struct {
		ID SessionID `path:"id"`
	}
	oneKey struct {
		ID KeyID `path:"id"`
	}
	// OneMember names a member.
	OneMember struct {
		ID layer.ProfileID `path:"id"`
	}
)

// ---- profile ----

const (
	maxName = 50
	maxBio  = 500
)

// A Profile is what the members of an organization know of each other.
type Profile struct {
	ID          layer.ProfileID `json:"id"`
	DisplayName string          `json:"display_name"`
	Bio         string          `json:"bio"`
	AvatarID    *file.ID        `json:"avatar_id" doc:"the file with their picture; null for none"`
}

// WriteProfile is what a person says about themselves.
type WriteProfile struct {
	DisplayName string `json:"display_name" minLength:"1" maxLength:"50" pattern:"\\S(.*\\S)?"`
	Bio         string `json:"bio,omitempty" maxLength:"500" multiline:"true"`
}

const (
	insertProfile = `insert into commons.profile (id, display_name, bio) values (redoubt.profile(), $1, $2)`
	selectProfile = `select id, display_name, bio, avatar_id from commons.profile where id = redoubt.profile()`
	updateProfile = `update commons.profile set display_name = $1, bio = $2 where id = redoubt.profile()`
)

// Onboard makes who's profile (SYSTEM I2).
func (a *Account) Onboard(ctx context.Context, who layer.Principal, in WriteProfile) (Profile, error) {
	return action.Do(ctx, a.db, who, "profile:write", func(tx *action.Tx) (Profile, error) {
		if _, err := rls.Do(tx, insertProfile, in.DisplayName, in.Bio); err != nil {
			return Profile{}, taken(err)
		}
		if err := identity.Onboarded(tx.Tx); err != nil {
			return Profile{}, err
		}
		if err := tx.Audit(audit.Lifecycle, "member.onboarded", string(tx.Profile())); err != nil {
			return Profile{}, err
		}
		return rls.One[Profile](tx, selectProfile)
	})
}

func (a *Account) change(ctx context.Context, who layer.Principal, in WriteProfile) (Profile, error) {
	return action.Do(ctx, a.db, who, "profile:write", func(tx *action.Tx) (Profile, error) {
		if _, err := rls.Do(tx, updateProfile, in.DisplayName, in.Bio); err != nil {
			return Profile{}, taken(err)
		}
		return rls.One[Profile](tx, selectProfile)
	})
}

// taken puts the database's refusal of a second "alice", or of a name that nobody could see, beside the field that it is about.
func taken(err error) error {
	refusal, ok := err.(*layer.Refusal)
	if !ok || refusal.Reason != layer.Conflict && refusal.Reason != layer.Invalid {
		return err
	}
	refusal.Public = "Some fields need attention."
	refusal.Fields = []layer.Field{{Name: "display_name", Detail: "is taken by another member"}}
	if refusal.Reason == layer.Invalid { // the schema leaves nothing else for the database to say no to
		refusal.Fields[0].Detail = "must be a name that can be seen, and nobody else's"
	}
	return refusal
}

// Me is the caller, as a program reads it.
type Me struct {
	Profile       layer.ProfileID      `json:"profile_id"`
	Name          string               `json:"name" doc:"from the identity provider"`
	Email         string               `json:"email"`
	DisplayName   string               `json:"display_name" doc:"empty before onboarding"`
	Bio           string               `json:"bio"`
	AvatarID      *file.ID             `json:"avatar_id" doc:"the file with your picture; null for none"`
	Organization  redoubt.Organization `json:"organization"`
	Administrator bool                 `json:"administrator"`
}

func (a *Account) me(ctx context.Context, who layer.Principal, _ empty) (Me, error) {
	asker := a.db.As(ctx, who)
	self, err := identity.Me(asker)
	if err != nil {
		return Me{}, err
	}
	profiles, err := rls.All[Profile](asker, selectProfile)
	if err != nil {
		return Me{}, err
	}
	me := Me{Profile: who.Profile(), Name: self.Name, Email: self.Email, Administrator: who.Administrator(),
		Organization: redoubt.Organization{ID: who.Organization(), Name: self.OrganizationName}}
	for _, p := range profiles { // one or, before onboarding, none
		me.DisplayName, me.Bio, me.AvatarID = p.DisplayName, p.Bio, p.AvatarID
	}
	return me, nil
}

func (a *Account) changeMe(ctx context.Context, who layer.Principal, in WriteProfile) (Me, error) {
	if _, err := a.change(ctx, who, in); err != nil {
		return Me{}, err
	}
	return a.me(ctx, who, empty{})
}

// ---- sessions ----

func (a *Account) revokeSession(ctx context.Context, who layer.Principal, in oneSession) (Nothing, error) {
	return action.Do(ctx, a.db, who, "sessions:write", func(tx *action.Tx) (Nothing, error) {
		return Nothing{}, identity.RevokeSession(tx.Tx, string(in.ID))
	})
}

func (a *Account) revokeOthers(ctx context.Context, who layer.Principal, _ empty) (Nothing, error) {
	return action.Do(ctx, a.db, who, "sessions:write", func(tx *action.Tx) (Nothing, error) {
		_, err := identity.RevokeOtherSessions(tx.Tx)
		return Nothing{}, err
	})
}

// ---- keys ----

// A Key is an API key, without its secret.
type Key struct {
	ID         KeyID      `json:"id"`
	Name       string     `json:"name"`
	Hint       string     `json:"hint" doc:"its first letters"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Networks   []Network  `json:"networks" doc:"where it was used from, the latest first"`
}

// A Network is where a key was used from: 256 addresses of IPv4, or a site of IPv6.
type Network struct {
	Network   string    `json:"network"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Suspect   bool      `json:"suspect" doc:"it was not the first; when it came, that was an event of the audit trail"`
}

func keyOf(k identity.Key) Key {
	key := Key{KeyID(k.ID), k.Name, k.Hint, k.Scopes, k.CreatedAt, k.ExpiresAt, k.LastUsedAt, k.RevokedAt, []Network{}}
	for _, n := range k.Networks {
		key.Networks = append(key.Networks, Network(n))
	}
	return key
}

// A KeyList is all of a caller's keys in an organization.
type KeyList struct {
	Keys []Key `json:"api_keys"`
}

func (a *Account) listKeys(ctx context.Context, who layer.Principal, _ empty) (KeyList, error) {
	keys, err := identity.Keys(a.db.As(ctx, who))
	if err != nil {
		return KeyList{}, err
	}
	list := KeyList{Keys: []Key{}}
	for _, k := range keys {
		list.Keys = append(list.Keys, keyOf(k))
	}
	return list, nil
}

// CreateKey asks for a key.
type CreateKey struct {
	Name   string   `json:"name" minLength:"1" maxLength:"100"`
	Scopes []string `json:"scopes" minItems:"1" maxItems:"50" maxLength:"63"`
	Days   int      `json:"expires_in_days" minimum:"1" maximum:"365"`
}

// CreatedKey is the only answer that ever holds a key's secret.
type CreatedKey struct {
	Key
	Secret string `json:"api_key" doc:"shown once"`
}

// Location is where the key is listed.
func (k CreatedKey) Location() string { return "/api-keys" }

func (a *Account) createKey(ctx context.Context, who layer.Principal, in CreateKey) (CreatedKey, error) {
	return action.DoAssured(ctx, a.db, who, "keys:write", layer.Assurance{Within: lately}, func(tx *action.Tx) (CreatedKey, error) {
		secret, key, err := a.identity.AddKey(tx.Tx, who, in.Name, in.Scopes, time.Duration(in.Days)*24*time.Hour)
		if err != nil {
			return CreatedKey{}, err
		}
		return CreatedKey{keyOf(key), secret}, nil
	})
}

func (a *Account) revokeKey(ctx context.Context, who layer.Principal, in oneKey) (Nothing, error) {
	return action.Do(ctx, a.db, who, "keys:write", func(tx *action.Tx) (Nothing, error) {
		return Nothing{}, identity.RevokeKey(tx.Tx, string(in.ID))
	})
}

// ---- members ----

// A Member is a person in the organization, as its administrators see them.
type Member struct {
	ID         layer.ProfileID `json:"id"`
	Email      string          `json:"email"`
	Name       string          `json:"name"`
	Role       string          `json:"role" doc:"owner, admin, member or guest"`
	OwnRoleID  *string         `json:"own_role_id" doc:"of the organization's own; null for none"`
	OwnRole    string          `json:"own_role"`
	Group      string          `json:"group" doc:"of the identity provider, by which they came in; empty for none"`
	Active     bool            `json:"active"`
	JoinedAt   time.Time       `json:"joined_at"`
	SignedInAt *time.Time      `json:"signed_in_at"`
}

// A MemberList is a page of members.
type MemberList struct {
	Members []Member       `json:"members"`
	Next    redoubt.Cursor `json:"next,omitempty"`
}

func (a *Account) listMembers(ctx context.Context, who layer.Principal, in redoubt.Window) (MemberList, error) {
	at, id := in.Cursor.Place()
	rows, err := identity.Members(a.db.As(ctx, who), at, id, in.Size()+1)
	if err != nil {
		return MemberList{}, err
	}
	rows, next := redoubt.Paged(rows, in.Size(), func(m identity.Member) redoubt.Cursor { return redoubt.CursorAt(m.JoinedAt, string(m.ID)) })
	list := MemberList{Members: []Member{}, Next: next}
	for _, m := range rows {
		list.Members = append(list.Members, Member{m.ID, m.Email, m.Name, string(m.Role), m.CustomRole, m.CustomName, m.Admitted, m.Active, m.JoinedAt, m.SignedInAt})
	}
	return list, nil
}

func (a *Account) deactivate(ctx context.Context, who layer.Principal, in OneMember) (Nothing, error) {
	return a.setActive(ctx, who, in.ID, false)
}

func (a *Account) reactivate(ctx context.Context, who layer.Principal, in OneMember) (Nothing, error) {
	return a.setActive(ctx, who, in.ID, true)
}

func (a *Account) setActive(ctx context.Context, who layer.Principal, member layer.ProfileID, active bool) (Nothing, error) {
	return action.Do(ctx, a.db, who, "members:write", func(tx *action.Tx) (Nothing, error) {
		return Nothing{}, identity.SetMemberActive(tx.Tx, member, active)
	})
}

// Erase deletes a person from who's organization, for an administrator: profile, likes, bookmarks, sessions and keys go; what they
// wrote and bought stays, without them (SYSTEM I8). The foreign keys of the tables say which is which.
func (a *Account) Erase(ctx context.Context, who layer.Principal, in OneMember) (Nothing, error) {
	done, err := a.erase(ctx, who, "members:erase", in.ID)
	if err == nil {
		a.files.Sweep(ctx, who) // their picture; who leaves by themselves has no right to sweep any more, and the next one does it
	}
	return done, err
}

// leave does the same to who, at their own wish.
func (a *Account) leave(ctx context.Context, who layer.Principal, _ empty) (Nothing, error) {
	return a.erase(ctx, who, "profile:write", who.Profile())
}

// takeYourTime is for the statement that touches everything somebody ever wrote. It stays below what transport gives a handler; who wrote
// more than can be touched in that time is refused whole, and nothing has happened.
const takeYourTime = `set local statement_timeout = '45s'`

func (a *Account) erase(ctx context.Context, who layer.Principal, scope string, member layer.ProfileID) (Nothing, error) {
	return action.DoAssured(ctx, a.db, who, scope, layer.Assurance{Within: lately, Keys: true}, func(tx *action.Tx) (Nothing, error) {
		if _, err := rls.Do(tx, takeYourTime); err != nil {
			return Nothing{}, err
		}
		return Nothing{}, identity.EraseMember(tx.Tx, member)
	})
}
