package account

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
	keycreated "github.com/redoubt-dev/redoubt/commons/web/key-created"
	"github.com/redoubt-dev/redoubt/commons/web/keys"
	"github.com/redoubt-dev/redoubt/commons/web/members"
	"github.com/redoubt-dev/redoubt/commons/web/onboarding"
	"github.com/redoubt-dev/redoubt/commons/web/profile"
	"github.com/redoubt-dev/redoubt/commons/web/sessions"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

func (a *Account) onboardingPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	self, err := identity.Me(a.db.As(ctx, who))
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "onboarding", Title: "Welcome", Data: onboarding.View{DisplayName: self.Name, MaxName: maxName, MaxBio: maxBio}}, nil
}

func (a *Account) profilePage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	me, err := a.me(ctx, who, empty{})
	if err != nil {
		return redoubt.View{}, err
	}
	self, err := identity.Me(a.db.As(ctx, who))
	if err != nil {
		return redoubt.View{}, err
	}
	view := profile.View{DisplayName: me.DisplayName, Bio: me.Bio, MaxName: maxName, MaxBio: maxBio, Upload: attached.LimitsOf[portrait]("Picture"),
		Name: me.Name, Email: me.Email, Provider: a.provider, Joined: self.JoinedAt}
	if me.AvatarID != nil {
		view.Picture = string(*me.AvatarID)
	}
	return redoubt.View{Page: "profile", Title: "Profile", Data: view}, nil
}

func (a *Account) sessionsPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	list, err := identity.Sessions(a.db.As(ctx, who))
	if err != nil {
		return redoubt.View{}, err
	}
	var view sessions.View
	for _, s := range list {
		view.Sessions = append(view.Sessions, sessions.Session{ID: s.ID, Agent: s.UserAgent, Address: s.Address, SeenAddress: s.SeenAddress, Organization: s.OrganizationName,
			Provider: a.identity.ProviderTitle(s.Issuer), SignedIn: s.CreatedAt, Seen: s.SeenAt, Ends: s.ExpiresAt, Current: s.Current})
	}
	return redoubt.View{Page: "sessions", Title: "Sessions", Data: view}, nil
}

// meanings says in words what each scope allows, in the order of the page.
var meanings = []keys.Scope{
	{Name: "profile:read", Means: "See your profile"},
	{Name: "profile:write", Means: "Change your profile"},
	{Name: "files:read", Means: "See pictures and files"},
	{Name: "files:write", Means: "Upload pictures and files"},
	{Name: "posts:read", Means: "Read posts"},
	{Name: "posts:write", Means: "Write, change and delete your posts"},
	{Name: "posts:moderate", Means: "Delete anybody's posts and comments"},
	{Name: "comments:read", Means: "Read comments"},
	{Name: "comments:write", Means: "Write and delete your comments"},
	{Name: "courses:read", Means: "Read courses"},
	{Name: "courses:write", Means: "Make and change courses"},
	{Name: "progress:write", Means: "Mark lessons as done"},
	{Name: "bookmarks:read", Means: "See your bookmarks"},
	{Name: "bookmarks:write", Means: "Set and remove your bookmarks"},
	{Name: "products:read", Means: "See products"},
	{Name: "products:write", Means: "Offer products"},
	{Name: "orders:read", Means: "See your orders"},
	{Name: "orders:write", Means: "Place orders"},
	{Name: "orders:read-all", Means: "See everybody's orders"},
	{Name: "orders:manage", Means: "Mark orders as paid, fulfilled or refunded, and cancel any"},
	{Name: "members:read", Means: "See members and their e-mail addresses"},
	{Name: "members:write", Means: "Stop and readmit members"},
	{Name: "members:invite", Means: "Invite people, and revoke invitations"},
	{Name: "roles:write", Means: "Give members roles, and make roles"},
	{Name: "organization:write", Means: "Change the organization's settings"},
	{Name: "members:erase", Means: "Delete members for ever"},
	{Name: "audit:read", Means: "Read the audit trail"},
	{Name: "machines:write", Means: "See which machines are trusted, and revoke that"},
}

func (a *Account) keysPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	list, err := identity.Keys(a.db.As(ctx, who))
	if err != nil {
		return redoubt.View{}, err
	}
	view := keys.View{MaxName: 100}
	for _, m := range meanings {
		if who.Has(m.Name) {
			view.Scopes = append(view.Scopes, m)
		}
	}
	for _, k := range list {
		shown := keys.Key{ID: k.ID, Name: k.Name, Prefix: k.Hint, Scopes: k.Scopes, Created: k.CreatedAt, Expires: k.ExpiresAt,
			Revoked: k.RevokedAt != nil, Expired: k.ExpiresAt.Before(time.Now())}
		if k.LastUsedAt != nil {
			shown.Used = *k.LastUsedAt
		}
		for _, n := range k.Networks {
			shown.From = cmp.Or(shown.From, n.Network)
			shown.Places = append(shown.Places, keys.Place{Network: n.Network, First: n.FirstSeen, Last: n.LastSeen, New: n.Suspect})
		}
		view.Keys = append(view.Keys, shown)
	}
	return redoubt.View{Page: "keys", Title: "API keys", Data: view}, nil
}

// keyCreatedPage makes a key and answers with the one page that shows its secret.
func (a *Account) keyCreatedPage(ctx context.Context, who layer.Principal, in CreateKey) (redoubt.View, error) {
	key, err := a.createKey(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	return redoubt.View{Page: "key-created", Title: "API key created", Data: keycreated.View{Name: key.Name, Secret: key.Secret, Scopes: key.Scopes, Expires: key.ExpiresAt}}, nil
}

func (a *Account) membersPage(ctx context.Context, who layer.Principal, in redoubt.Window) (redoubt.View, error) {
	list, err := a.listMembers(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := members.View{Next: string(list.Next), Continued: in.Cursor != "", Appoints: who.Has("roles:write"), Stops: who.Has("members:write"), Erases: who.Has("members:erase"),
		Owns: who.Administrator() || who.Role() == string(identity.RoleOwner)}
	if err := a.ownRoles(ctx, who, &view); err != nil {
		return redoubt.View{}, err
	}
	for _, m := range list.Members {
		shown := members.Member{ID: string(m.ID), Name: m.Name, Email: m.Email, Role: m.Role, OwnRoleName: m.OwnRole, Group: m.Group, Active: m.Active, Self: m.ID == who.Profile(), Joined: m.JoinedAt}
		if m.OwnRoleID != nil {
			shown.OwnRole = *m.OwnRoleID
		}
		shown.Administrator = shown.Self && who.Administrator() // the provider alone knows about the others (SYSTEM I3)
		if m.SignedInAt != nil {
			shown.Seen = *m.SignedInAt
		}
		view.Members = append(view.Members, shown)
	}
	return redoubt.View{Page: "members", Title: "Members", Data: view}, nil
}

// ownRoles adds the organization's own roles that who may give: those that hold nothing beyond theirs.
func (a *Account) ownRoles(ctx context.Context, who layer.Principal, view *members.View) error {
	if !view.Appoints {
		return nil
	}
	all, err := identity.OwnRoles(a.db.As(ctx, who))
	for _, r := range all {
		if !slices.ContainsFunc(r.Scopes, func(s string) bool { return !who.Has(s) }) {
			view.OwnRoles = append(view.OwnRoles, members.OwnRole{ID: r.ID, Name: r.Name})
		}
	}
	return err
}
