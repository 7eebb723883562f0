package identity_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// version is the digit of a UUID that says it.
func version(id string) byte { return id[14] }

func TestWhatIsAnOrganizationsSaysSoInItsID(t *testing.T) { // SYSTEM A5
	w := layertest.World(t, club)
	owner := as(t, w, "Acme", identity.RoleOwner)
	prefix := rls.NewID(w.Organization("Acme"))[:8]
	var role string
	must(t, do(t, w, owner, "roles:write", func(tx *rls.Tx) (err error) {
		role, err = w.Identity.AddRole(tx, owner.Principal(), "Writer", []string{"posts:moderate"})
		return err
	}))
	invitation, _ := invited(t, w, owner, "c"+newSuffix()+"@acme.test")
	owner.APIKey("posts:read")
	key := scan[string](t, w, `select id from identity.api_key where profile_id = $1`, owner.Principal().Profile())
	for what, id := range map[string]string{"a profile": string(owner.Principal().Profile()), "a role": role, "an invitation": invitation, "a key": key} {
		if version(id) != '8' || id[:8] != prefix {
			t.Errorf("%s is %s, want it to begin with %s", what, id, prefix)
		}
	}
	// These are a person's, who meets them in all their organizations.
	for what, id := range map[string]string{"a session": owner.Principal().CredentialID(), "a person": string(owner.Principal().Person())} {
		if version(id) != '4' {
			t.Errorf("%s is %s, want version 4", what, id)
		}
	}
}

// What rls stops by the id, the database refuses too: here the ids are texts, of which rls thinks nothing.
func TestTheDatabaseKnowsWhoseItIsByItself(t *testing.T) { // SYSTEM A5, I4, I7
	w := layertest.World(t, club)
	boss := func(org string) *layertest.Caller { // who may do everything there
		c := w.Administrator(org)
		change(t, w, `update identity.membership set role = 'owner' where id = $1`, c.Principal().Profile())
		return c.SignIn(org)
	}
	ours, theirs, profile := boss("Acme"), boss("Globex"), string(w.Member("Acme").Principal().Profile())
	var role string
	must(t, do(t, w, ours, "roles:write", func(tx *rls.Tx) (err error) {
		role, err = w.Identity.AddRole(tx, ours.Principal(), "Writer", []string{"posts:moderate"})
		return err
	}))
	invitation, _ := invited(t, w, ours, "d"+newSuffix()+"@acme.test")
	change(t, w, `update identity.invitation set sent_at = sent_at - interval '2 minutes', expires_at = expires_at - interval '2 minutes' where id = $1`, invitation)
	undone := errors.New("only asking")
	for name, ask := range map[string]func(tx *rls.Tx) (bool, error){
		"ending an invitation": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.revoke_invitation($1)`, invitation)
		},
		"renewing an invitation": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.renew_invitation($1, sha256('x'), $2) is not null`, invitation, time.Now().Add(time.Hour))
		},
		"appointing": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.appoint($1, 'guest', null)`, profile)
		},
		"stopping": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.set_member_active($1, false)`, profile)
		},
		"erasing": func(tx *rls.Tx) (bool, error) { return rls.One[bool](tx, `select redoubt.erase_member($1)`, profile) },
		"handing over": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.transfer_ownership($1)`, profile)
		},
		"dropping a role": func(tx *rls.Tx) (bool, error) { return rls.One[bool](tx, `select redoubt.drop_role($1)`, role) },
		"changing a role": func(tx *rls.Tx) (bool, error) {
			return rls.One[bool](tx, `select redoubt.save_role($1, 'X', '{}', false)`, role)
		},
	} {
		for who, want := range map[*layertest.Caller]bool{ours: true, theirs: false} {
			var done bool
			err := do(t, w, who, "members:write", func(tx *rls.Tx) (err error) {
				if done, err = ask(tx); err != nil {
					return err
				}
				return undone
			})
			if done != want || !errors.Is(err, undone) {
				t.Errorf("%s, in one's own organization %t: got %t, %v", name, want, done, err)
			}
		}
	}
}
