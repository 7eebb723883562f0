package identity_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

var (
	memberScopes = []string{"keys:write", "sessions:write", "posts:read", "posts:write"}
	adminScopes  = []string{"members:read", "members:write", "members:invite", "roles:write"}
	ownerScopes  = append(slices.Clone(adminScopes), "organization:write", "posts:moderate")
)

// club is an application with every role and scopes that can be granted.
var club = redoubt.App{
	Schema: []migrate.Line{{Name: "club", Application: true, Files: fstest.MapFS{"0001_scopes.sql": {Data: []byte(allowing("member", memberScopes) +
		allowing("admin", memberScopes, adminScopes) + allowing("owner", memberScopes, ownerScopes) + allowing("guest", []string{"posts:read"}) +
		allowing("administrator", memberScopes, ownerScopes, []string{"members:erase", "audit:read"}) +
		`SELECT redoubt.allow_granting('posts:moderate', 'members:read', 'posts:write');`)}}}},
	Scopes: identity.Scopes{Member: memberScopes, Admin: adminScopes, Owner: ownerScopes, Guest: []string{"posts:read"},
		Administrator: append(slices.Clone(ownerScopes), "members:erase", "audit:read"), Grantable: []string{"posts:moderate", "members:read", "posts:write"}},
}

func allowing(role string, scopes ...[]string) string {
	return fmt.Sprintf("SELECT redoubt.allow('%s', '%s');\n", role, strings.Join(slices.Concat(scopes...), "', '"))
}

// do runs a change as who.
func do(t *testing.T, w *layertest.W, who *layertest.Caller, scope string, act func(tx *rls.Tx) error) error {
	t.Helper()
	_, err := action.Do(t.Context(), w.DB, who.Principal(), scope, func(tx *action.Tx) (struct{}, error) { return struct{}{}, act(tx.Tx) })
	return err
}

// as is a new member of org with a role, signed in.
func as(t *testing.T, w *layertest.W, org string, role identity.Role) *layertest.Caller {
	t.Helper()
	c := w.Member(org)
	change(t, w, `update identity.membership set role = $2 where id = $1`, c.Principal().Profile(), string(role))
	return c.SignIn(org)
}

func isRefused(t *testing.T, doing string, err error, by layer.Layer, reason layer.Reason) {
	t.Helper()
	var r *layer.Refusal
	if !errors.As(err, &r) || r.By != by || r.Reason != reason || r.Public == "" {
		t.Errorf("%s: got %v, want %s by %s", doing, err, reason, by)
	}
}

func TestEachRoleHasItsScopesInClaimsAndInTheDatabase(t *testing.T) { // SYSTEM I4, A4
	w := layertest.World(t, club)
	for role, want := range map[identity.Role][]string{
		identity.RoleOwner: slices.Concat(memberScopes, ownerScopes), identity.RoleAdmin: slices.Concat(memberScopes, adminScopes),
		identity.RoleMember: memberScopes, identity.RoleGuest: {"posts:read"},
	} {
		who := as(t, w, "Acme", role).Principal()
		if who.Role() != string(role) || who.Administrator() {
			t.Errorf("%s: the role is %q, an administrator %t", role, who.Role(), who.Administrator())
		}
		for _, scope := range slices.Concat(memberScopes, ownerScopes, []string{"members:erase", "audit:read"}) {
			said, err := rls.One[bool](w.DB.As(t.Context(), who), `select redoubt.has($1)`, scope)
			if err != nil || said != slices.Contains(want, scope) || who.Has(scope) != said {
				t.Errorf("%s may %s: the claims say %t, the database %t (%v), want %t", role, scope, who.Has(scope), said, err, slices.Contains(want, scope))
			}
		}
	}
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) { // SYSTEM I3, I4
	w := layertest.World(t, club)
	owner, admin, boss := as(t, w, "Acme", identity.RoleOwner), as(t, w, "Acme", identity.RoleAdmin), w.Administrator("Acme")
	second, member, guest := as(t, w, "Acme", identity.RoleAdmin), w.Member("Acme"), as(t, w, "Acme", identity.RoleGuest)
	theirs := as(t, w, "Globex", identity.RoleOwner)
	appoint := func(by, of *layertest.Caller, role identity.Role) error {
		return do(t, w, by, "roles:write", func(tx *rls.Tx) error { return identity.Appoint(tx, of.Principal().Profile(), role, "") })
	}
	for _, c := range []struct {
		name   string
		by, of *layertest.Caller
		role   identity.Role
		by_    layer.Layer
		reason layer.Reason
	}{
		{"an admin makes a member an owner", admin, member, identity.RoleOwner, layer.GateAction, layer.Forbidden},
		{"an admin makes a member an admin", admin, member, identity.RoleAdmin, layer.GateAction, layer.Forbidden},
		{"an admin makes themselves an owner", admin, admin, identity.RoleOwner, layer.GateAction, layer.Forbidden},
		{"an admin demotes the owner", admin, owner, identity.RoleGuest, layer.GateAction, layer.Forbidden},
		{"an admin demotes another admin", admin, second, identity.RoleMember, layer.GateAction, layer.Forbidden},
		{"a member appoints", member, guest, identity.RoleMember, layer.GateAction, layer.Forbidden},
		{"an owner appoints in another organization", theirs, member, identity.RoleGuest, layer.RLS, layer.NotFound},
		{"an owner makes an administrator", owner, member, "administrator", layer.RLS, layer.Invalid},
		{"an owner makes what is no role", owner, member, "king", layer.RLS, layer.Invalid},
		{"the only owner steps down", owner, owner, identity.RoleMember, layer.RLS, layer.Conflict},
	} {
		isRefused(t, c.name, appoint(c.by, c.of, c.role), c.by_, c.reason)
	}
	for _, c := range []struct {
		name   string
		by, of *layertest.Caller
		role   identity.Role
	}{
		{"an admin makes a guest a member", admin, guest, identity.RoleMember},
		{"an owner makes a member an admin", owner, member, identity.RoleAdmin},
		{"an administrator makes a member an owner", boss, second, identity.RoleOwner},
		{"an owner demotes another owner", owner, second, identity.RoleMember},
	} {
		if err := appoint(c.by, c.of, c.role); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	isRefused(t, "an admin stops the owner", do(t, w, admin, "members:write", func(tx *rls.Tx) error {
		return identity.SetMemberActive(tx, owner.Principal().Profile(), false)
	}), layer.GateAction, layer.Forbidden)
	if err := do(t, w, admin, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, guest.Principal().Profile(), false) }); err != nil {
		t.Errorf("an admin stops a guest: %v", err)
	}
}

func TestAnOwnRoleHoldsWhatMayBeGrantedAndNoMore(t *testing.T) { // SYSTEM I3, I4
	w := layertest.World(t, club)
	owner, admin, member := as(t, w, "Acme", identity.RoleOwner), as(t, w, "Acme", identity.RoleAdmin), w.Member("Acme")
	var id string
	add := func(by *layertest.Caller, name string, scopes ...string) error {
		return do(t, w, by, "roles:write", func(tx *rls.Tx) (err error) {
			id, err = w.Identity.AddRole(tx, by.Principal(), name, scopes)
			return err
		})
	}
	for _, c := range []struct {
		name string
		err  error
		by   layer.Layer
		want layer.Reason
	}{
		{"what only administrators may", add(owner, "Auditor", "audit:read"), layer.Identity, layer.Forbidden},
		{"what the application does not let be granted", add(owner, "Lord", "organization:write"), layer.Identity, layer.Forbidden},
		{"what the maker does not have", add(admin, "Moderator", "posts:moderate"), layer.Identity, layer.Forbidden},
		{"no scope at all of this world", add(owner, "Ghost", "ghosts:write"), layer.Identity, layer.Forbidden},
		{"a name that is a role's", add(owner, "Owner", "posts:moderate"), layer.RLS, layer.Invalid},
	} {
		isRefused(t, c.name, c.err, c.by, c.want)
	}
	// The same with a stolen transaction, past package identity.
	for _, scope := range []string{"audit:read", "organization:write"} {
		isRefused(t, "by SQL: "+scope, do(t, w, w.Administrator("Acme"), "roles:write", func(tx *rls.Tx) error {
			_, err := rls.Do(tx, `select redoubt.save_role(gen_random_uuid(), 'Smuggled', array[$1], true)`, scope)
			return err
		}), layer.GateAction, layer.Forbidden)
	}
	if err := add(owner, "Moderator", "posts:moderate", "members:read"); err != nil {
		t.Fatal(err)
	}
	give := func(by *layertest.Caller) error {
		return do(t, w, by, "roles:write", func(tx *rls.Tx) error {
			return identity.Appoint(tx, member.Principal().Profile(), identity.RoleMember, id)
		})
	}
	isRefused(t, "an admin gives a role that holds more than they have", give(admin), layer.GateAction, layer.Forbidden)
	if err := give(owner); err != nil {
		t.Fatal(err)
	}
	may := func(scope string, want bool) {
		t.Helper()
		who, err := w.Identity.Identify(with(t, member.Session()))
		said, err2 := rls.One[bool](w.DB.As(t.Context(), who), `select redoubt.has($1)`, scope)
		if err != nil || err2 != nil || who.Has(scope) != want || said != want {
			t.Errorf("may %s: the claims say %t (%v), the database %t (%v), want %t", scope, who.Has(scope), err, said, err2, want)
		}
	}
	may("posts:moderate", true) // at once, in the session that lives
	if err := do(t, w, owner, "roles:write", func(tx *rls.Tx) error {
		return w.Identity.SetRole(tx, owner.Principal(), id, "Moderator", []string{"members:read"})
	}); err != nil {
		t.Fatal(err)
	}
	may("posts:moderate", false)
	may("members:read", true)
	// A row that was written past every function.
	change(t, w, `update identity.membership set scopes = array['audit:read'] where id = $1`, member.Principal().Profile())
	may("audit:read", false)
	may("members:read", true)
	isRefused(t, "another organization's owner deletes it", do(t, w, as(t, w, "Globex", identity.RoleOwner), "roles:write", func(tx *rls.Tx) error { return identity.DropRole(tx, id) }), layer.RLS, layer.NotFound)
	if err := do(t, w, owner, "roles:write", func(tx *rls.Tx) error { return identity.DropRole(tx, id) }); err != nil {
		t.Fatal(err)
	}
	may("members:read", false)
}

// The claims' list holds also where the database has been made to say otherwise.
func TestClaimsTakeFromARowOnlyWhatMayBeGranted(t *testing.T) { // SYSTEM I3
	w := layertest.Disposable(t, club)
	member := w.Member("Acme")
	change(t, w, `with off as (select set_config('session_replication_role', 'replica', false)) update identity.membership set scopes = array['audit:read', 'posts:moderate'] from off where id = $1`, member.Principal().Profile())
	who, err := w.Identity.Identify(with(t, member.Session()))
	if err != nil || who.Has("audit:read") || !who.Has("posts:moderate") {
		t.Errorf("audit:read %t, posts:moderate %t (%v), want the second alone", who.Has("audit:read"), who.Has("posts:moderate"), err)
	}
}

func TestOpenRefusesToLetGrantWhatAdministratorsAloneMay(t *testing.T) { // SYSTEM I3
	_, err := identity.Open(t.Context(), identity.Config{Scopes: identity.Scopes{Administrator: []string{"audit:read", "posts:write"}, Member: []string{"posts:write"}, Grantable: []string{"audit:read", "posts:write"}}})
	if err == nil || !strings.Contains(err.Error(), `"audit:read"`) || strings.Contains(err.Error(), `"posts:write"`) {
		t.Errorf("got %v", err)
	}
	w := layertest.World(t, club)
	conn := w.Admin(t)
	_, err = conn.Exec(t.Context(), `select redoubt.allow_granting('audit:read')`)
	if err == nil || !strings.Contains(err.Error(), "only administrators") {
		t.Errorf("the database: %v", err)
	}
}

// ---- the last owner ----

func TestTheLastOwnerStays(t *testing.T) { // SYSTEM I4
	w := layertest.World(t, club)
	owner, boss := as(t, w, "Acme", identity.RoleOwner), w.Administrator("Acme")
	me := owner.Principal().Profile()
	for name, err := range map[string]error{
		"stepping down": do(t, w, owner, "roles:write", func(tx *rls.Tx) error { return identity.Appoint(tx, me, identity.RoleAdmin, "") }),
		"being stopped": do(t, w, boss, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, me, false) }),
		"leaving":       do(t, w, owner, "sessions:write", func(tx *rls.Tx) error { return identity.EraseMember(tx, me) }),
		"being erased":  do(t, w, boss, "members:erase", func(tx *rls.Tx) error { return identity.EraseMember(tx, me) }),
	} {
		isRefused(t, name, err, layer.RLS, layer.Conflict)
	}
	for _, sql := range []string{`update identity.membership set role = 'guest' where id = $1`, `update identity.membership set active = false where id = $1`, `delete from identity.membership where id = $1`} {
		tx, err := w.Admin(t).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tx.Exec(t.Context(), `delete from identity.session where profile_id = $1`, me)
		_, err = tx.Exec(t.Context(), sql, me)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "RD410" {
			t.Errorf("%s as the superuser: %v", sql, err)
		}
		tx.Rollback(t.Context())
	}
	second := as(t, w, "Acme", identity.RoleMember)
	if err := do(t, w, owner, "roles:write", func(tx *rls.Tx) error { return identity.TransferOwnership(tx, second.Principal().Profile()) }); err != nil {
		t.Fatal(err)
	}
	roles := scan[string](t, w, `select string_agg(role, ' ' order by id = $1 desc) from identity.membership where id in ($1, $2)`, me, second.Principal().Profile())
	if roles != "admin owner" {
		t.Errorf("after handing on: %s", roles)
	}
	isRefused(t, "handing on what is not theirs any more", do(t, w, owner.SignIn("Acme"), "roles:write", func(tx *rls.Tx) error { return identity.TransferOwnership(tx, me) }), layer.GateAction, layer.Forbidden)
	if err := do(t, w, owner.SignIn("Acme"), "sessions:write", func(tx *rls.Tx) error { return identity.EraseMember(tx, me) }); err != nil {
		t.Errorf("leaving afterwards: %v", err)
	}
}

// Two owners who leave in the same moment each see the other one stay. One of them has to be told otherwise.
func TestTwoOwnersCannotLeaveAtOnce(t *testing.T) { // SYSTEM I4
	w := layertest.World(t, club)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead} {
		for round := range 5 {
			org := fmt.Sprintf("%s %d", level, round)
			owners := []*layertest.Caller{as(t, w, org, identity.RoleOwner), as(t, w, org, identity.RoleOwner)}
			errs := make([]error, 2)
			var begun, done sync.WaitGroup
			begun.Add(2)
			for i, o := range owners {
				conn := w.Admin(t)
				done.Go(func() {
					errs[i] = pgx.BeginTxFunc(t.Context(), conn, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
						var n int
						err := tx.QueryRow(t.Context(), `select count(*) from identity.membership where organization_id = $1 and role = 'owner'`, o.Principal().Organization()).Scan(&n)
						begun.Done()
						begun.Wait()
						if err == nil {
							_, err = tx.Exec(t.Context(), `update identity.membership set active = false where id = $1`, o.Principal().Profile())
						}
						return err
					})
				})
			}
			done.Wait()
			left := scan[int](t, w, `select count(*) from identity.membership where organization_id = $1 and role = 'owner' and active`, owners[0].Principal().Organization())
			if left != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("%s: %d owners are left (%v, %v), want 1", level, left, errs[0], errs[1])
			}
		}
	}
}

// ---- admission by groups ----

const issuer = "https://sign-on.example.test"

func stranger(name string, groups ...string) signon.Claims {
	return signon.Claims{Issuer: issuer, Subject: name, Email: name + "@acme.test", EmailVerified: true, Name: name, Groups: groups, AuthTime: time.Now()}
}

func admit(t *testing.T, w *layertest.W, org layer.OrgID, admissions ...identity.Admission) {
	t.Helper()
	for i := range admissions {
		admissions[i].Organization = org
	}
	if err := identity.Admit(t.Context(), w.Admin(t), admissions); err != nil {
		t.Fatal(err)
	}
	change(t, w, `update identity.organization set just_in_time = true where id = $1`, org)
}

func TestAGroupAdmitsAndItsLossEndsTheMembership(t *testing.T) { // SYSTEM I1
	w := layertest.World(t, club)
	org, suffix := w.Organization("Acme"), newSuffix()
	staff, leads := "staff-"+suffix, "leads-"+suffix
	_, _, err := w.Identity.InsecureSignIn(t.Context(), stranger("early-"+suffix, staff), org)
	refused(t, err, layer.Forbidden) // the attack: before anything is mapped
	admit(t, w, org, identity.Admission{Issuer: issuer, Group: staff, Role: identity.RoleMember}, identity.Admission{Issuer: issuer, Group: leads, Role: identity.RoleAdmin},
		identity.Admission{Issuer: "https://elsewhere.example.test", Group: "strangers", Role: identity.RoleMember})

	for name, said := range map[string]signon.Claims{
		"without a group":                       stranger("none-" + suffix),
		"in another group":                      stranger("other-"+suffix, "guests"),
		"in a group whose name begins alike":    stranger("alike-"+suffix, staff+"x"),
		"in a group of another issuer's":        stranger("elsewhere-"+suffix, "strangers"),
		"in a group in other letters":           stranger("letters-"+suffix, strings.ToUpper(staff)),
		"with the address of a member, unknown": {Issuer: issuer, Subject: "new-" + suffix, Email: "layertest@example.test", EmailVerified: true},
	} {
		_, _, err := w.Identity.InsecureSignIn(t.Context(), said, org)
		refused(t, err, layer.Forbidden)
		if scan[int](t, w, `select count(*) from identity.person where subject = $1`, said.Subject) != 0 {
			t.Errorf("%s: a stranger was written down", name)
		}
	}

	token, who, err := w.Identity.InsecureSignIn(t.Context(), stranger("ann-"+suffix, staff), org)
	if err != nil || who.Role() != "member" {
		t.Fatalf("got %q, %v", who.Role(), err)
	}
	again := func(groups ...string) (layer.Principal, error) {
		_, who, err := w.Identity.InsecureSignIn(t.Context(), stranger("ann-"+suffix, groups...), org)
		return who, err
	}
	if who, err := again(staff, leads); err != nil || who.Role() != "admin" {
		t.Errorf("with the better group: %q, %v", who.Role(), err)
	}
	if who, err := again(staff); err != nil || who.Role() != "member" {
		t.Errorf("the better group is gone: %q, %v", who.Role(), err)
	}
	if _, err := again(); err == nil {
		t.Error("who has left the group still comes in")
	}
	living(t, w, token, false) // nor by what they had opened before
	if who, err := again(staff); err != nil || who.Nobody() {
		t.Errorf("back in the group: %v", err)
	}
	living(t, w, token, false)
	events := scan[string](t, w, `select string_agg(action, ' ' order by id) from audit.log where organization_id = $1 and entity = 'member' and entity_id = $2`, org, string(who.Profile()))
	if want := "member.admitted member.role_followed member.role_followed member.lapsed member.readmitted"; events != want {
		t.Errorf("the trail says %s, want %s", events, want)
	}
}

func TestAGroupNeitherReadmitsTheStoppedNorOverrulesAnAppointment(t *testing.T) { // SYSTEM I1, I7
	w := layertest.World(t, club)
	org, suffix := w.Organization("Acme"), newSuffix()
	group, owner := "staff-"+suffix, as(t, w, "Acme", identity.RoleOwner)
	admit(t, w, org, identity.Admission{Issuer: issuer, Group: group, Role: identity.RoleGuest})
	in := func(groups ...string) (layer.Principal, error) {
		_, who, err := w.Identity.InsecureSignIn(t.Context(), stranger("bea-"+suffix, groups...), org)
		return who, err
	}
	who, err := in(group)
	if err != nil || who.Role() != "guest" {
		t.Fatalf("got %q, %v", who.Role(), err)
	}
	must(t, do(t, w, owner, "roles:write", func(tx *rls.Tx) error { return identity.Appoint(tx, who.Profile(), identity.RoleMember, "") }))
	if who, err := in(group); err != nil || who.Role() != "member" {
		t.Errorf("a role that an owner gave: %q, %v", who.Role(), err)
	}
	must(t, do(t, w, owner, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, who.Profile(), false) }))
	if _, err := in(group); err == nil {
		t.Error("a group has readmitted a stopped member")
	}
	// Stopped while lapsed: the stop is what counts.
	must(t, do(t, w, owner, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, who.Profile(), true) }))
	if _, err := in(); err == nil {
		t.Error("outside the group they come in")
	}
	must(t, do(t, w, owner, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, who.Profile(), false) }))
	if _, err := in(group); err == nil {
		t.Error("a group has readmitted who was stopped after they had left it")
	}
	// An organization that admits nobody by groups.
	change(t, w, `update identity.organization set just_in_time = false where id = $1`, org)
	_, _, err = w.Identity.InsecureSignIn(t.Context(), stranger("cyd-"+suffix, group), org)
	refused(t, err, layer.Forbidden)
	// An owner who came by a group stays when the group is gone: nobody at the provider's can leave an organization without one.
	change(t, w, `update identity.organization set just_in_time = true where id = $1`, org)
	_, dee, err := w.Identity.InsecureSignIn(t.Context(), stranger("dee-"+suffix, group), org)
	must(t, err)
	must(t, do(t, w, owner, "roles:write", func(tx *rls.Tx) error { return identity.TransferOwnership(tx, dee.Profile()) }))
	if _, who, err := w.Identity.InsecureSignIn(t.Context(), stranger("dee-"+suffix), org); err != nil || who.Role() != "owner" {
		t.Errorf("an owner without the group: %q, %v", who.Role(), err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSuffix() string { return strings.ToLower(rand.Text()[:8]) }
