package identity_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func address(t *testing.T, s string) identity.Address {
	t.Helper()
	a, ok := identity.ParseAddress(s)
	if !ok {
		t.Fatalf("%q is no address", s)
	}
	return a
}

func invite(t *testing.T, w *layertest.W, by *layertest.Caller, to string, role identity.Role) (id, token string, err error) {
	t.Helper()
	err = do(t, w, by, "members:invite", func(tx *rls.Tx) (err error) {
		id, token, err = identity.Invite(tx, identity.Invitee{Address: address(t, to), Role: role})
		return err
	})
	return id, token, err
}

func invited(t *testing.T, w *layertest.W, by *layertest.Caller, to string) (id, token string) {
	t.Helper()
	id, token, err := invite(t, w, by, to, identity.RoleMember)
	must(t, err)
	return id, token
}

func TestAnInvitationLetsInWhomItWasSentTo(t *testing.T) { // SYSTEM I1, I4
	w := layertest.World(t, club)
	admin, name := as(t, w, "Acme", identity.RoleAdmin), "Ann."+newSuffix()
	_, token := invited(t, w, admin, name+"@Acme.TEST")
	offer, err := w.Identity.Offer(t.Context(), token)
	if err != nil || offer.Organization != "Acme" || offer.Inviter == "" || offer.Role != identity.RoleMember {
		t.Errorf("the offer is %+v, %v", offer, err)
	}
	said := stranger(name) // whose provider writes the address in other letters
	said.Email = strings.ToUpper(name) + "@acme.test"
	if _, _, err := w.Identity.InsecureSignIn(t.Context(), said, w.Organization("Acme")); err == nil {
		t.Error("an address alone lets in, without the link")
	}
	who, err := w.Identity.SignInWith(t.Context(), said, token)
	if err != nil || who.Organization() != w.Organization("Acme") || who.Role() != "member" {
		t.Fatalf("got %v, %v", who, err)
	}
	_, err = w.Identity.Offer(t.Context(), token)
	refused(t, err, layer.NotFound)
	_, err = w.Identity.SignInWith(t.Context(), said, token)
	refused(t, err, layer.Forbidden) // once
	if rows := scan[int](t, w, `select count(*) from identity.invitation where position(convert_to($1, 'UTF8') in hash) > 0 or address like '%' || $1 || '%'`, token); rows != 0 {
		t.Error("the token is written down")
	}
}

// Whatever is wrong with an invitation, its holder reads the same words, and the trail of the organization knows why.
func TestAnInvitationLetsInNobodyElse(t *testing.T) { // SYSTEM I1
	w := layertest.World(t, club)
	owner := as(t, w, "Acme", identity.RoleOwner)
	org := w.Organization("Acme")
	for _, c := range []struct {
		name, outcome string
		spoil         func(t *testing.T, id string, said map[string]*string)
		unverified    bool
	}{
		{name: "another's address", outcome: "another_address", spoil: func(_ *testing.T, _ string, s map[string]*string) { *s["email"] = "mallory@acme.test" }},
		{name: "an address that nobody has verified", outcome: "another_address", unverified: true},
		{name: "no address at all", outcome: "another_address", spoil: func(_ *testing.T, _ string, s map[string]*string) { *s["email"] = "" }},
		{name: "an address that looks alike", outcome: "another_address", spoil: func(_ *testing.T, _ string, s map[string]*string) {
			*s["email"] = strings.Replace(*s["email"], "acme", "\u0430cme", 1) // a Cyrillic letter
		}},
		{name: "a letter that Unicode makes small", outcome: "another_address", spoil: func(_ *testing.T, _ string, s map[string]*string) {
			*s["email"] = strings.Replace(*s["email"], "k", "\u212a", 1) // a Kelvin sign
		}},
		{name: "more behind a plus sign", outcome: "another_address", spoil: func(_ *testing.T, _ string, s map[string]*string) {
			*s["email"] = strings.Replace(*s["email"], "@", "+x@", 1)
		}},
		{name: "revoked", outcome: "revoked", spoil: func(t *testing.T, id string, _ map[string]*string) {
			must(t, do(t, w, owner, "members:invite", func(tx *rls.Tx) error { return identity.RevokeInvitation(tx, id) }))
		}},
		{name: "expired", outcome: "expired", spoil: func(t *testing.T, id string, _ map[string]*string) {
			change(t, w, `update identity.invitation set expires_at = now() where id = $1`, id)
		}},
		{name: "replaced by a newer one to the same address", outcome: "revoked", spoil: func(t *testing.T, _ string, s map[string]*string) {
			invited(t, w, owner, *s["email"])
		}},
		{name: "sent again, with the old link", outcome: "", spoil: func(t *testing.T, id string, _ map[string]*string) {
			change(t, w, `update identity.invitation set sent_at = now() - interval '2 minutes', expires_at = now() where id = $1`, id)
			must(t, do(t, w, owner, "members:invite", func(tx *rls.Tx) error { _, _, err := identity.RenewInvitation(tx, id); return err }))
		}},
		{name: "from somebody who was stopped", outcome: "revoked", spoil: func(t *testing.T, id string, _ map[string]*string) {
			inviter := as(t, w, "Acme", identity.RoleMember)
			change(t, w, `update identity.invitation set invited_by = $2 where id = $1`, id, inviter.Principal().Profile())
			must(t, do(t, w, owner, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, inviter.Principal().Profile(), false) }))
		}},
		{name: "from an admin who is none any more", outcome: "revoked", spoil: func(t *testing.T, id string, _ map[string]*string) {
			inviter := as(t, w, "Acme", identity.RoleAdmin)
			change(t, w, `update identity.invitation set invited_by = $2 where id = $1`, id, inviter.Principal().Profile())
			must(t, do(t, w, owner, "roles:write", func(tx *rls.Tx) error {
				return identity.Appoint(tx, inviter.Principal().Profile(), identity.RoleMember, "")
			}))
		}},
		{name: "by the word of another issuer than the organization's", outcome: "another_issuer", spoil: func(t *testing.T, _ string, _ map[string]*string) {
			change(t, w, `insert into identity.organization_issuer (organization_id, issuer) values ($1, 'https://ours.example.test')`, org)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := stranger("k" + newSuffix())
			id, token := invited(t, w, owner, said.Email)
			if c.spoil != nil {
				c.spoil(t, id, map[string]*string{"email": &said.Email})
			}
			said.EmailVerified = !c.unverified
			_, err := w.Identity.SignInWith(t.Context(), said, token)
			var refusal *layer.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != layer.Forbidden || !strings.HasPrefix(refusal.Public, "This invitation is not for the address") || strings.Contains(refusal.Public, "acme") {
				t.Fatalf("got %v", err)
			}
			if scan[int](t, w, `select count(*) from identity.person where subject = $1`, said.Subject) != 0 {
				t.Error("somebody was written down")
			}
			if c.outcome == "" {
				return // no row has the old token's hash
			}
			if got := scan[string](t, w, `select entity_id from audit.log where organization_id = $1 and action = 'invitation.refused' and category = 'security' order by id desc limit 1`, org); got != c.outcome {
				t.Errorf("the trail says %q, want %q", got, c.outcome)
			}
		})
	}
	change(t, w, `delete from identity.organization_issuer where organization_id = $1`, org)
	said := stranger("control-" + newSuffix())
	_, token := invited(t, w, owner, said.Email)
	if _, err := w.Identity.SignInWith(t.Context(), said, token); err != nil {
		t.Errorf("the honest twin: %v", err)
	}
	_, err := w.Identity.Offer(t.Context(), "rdi_"+strings.Repeat("A", 43))
	refused(t, err, layer.NotFound)
}

func TestAnInvitationIsAcceptedOnceByTwoWhoComeAtOnce(t *testing.T) { // SYSTEM I1
	w := layertest.World(t, club)
	owner := as(t, w, "Acme", identity.RoleOwner)
	for range 5 {
		mail := "twin-" + newSuffix() + "@acme.test"
		_, token := invited(t, w, owner, mail)
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i := range errs {
			said := stranger("twin-" + newSuffix())
			said.Email = mail
			both.Go(func() { _, errs[i] = w.Identity.SignInWith(t.Context(), said, token) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("got %v and %v, want one of them in", errs[0], errs[1])
		}
	}
}

func TestAnInvitationChangesNobodyWhoIsThere(t *testing.T) { // SYSTEM I4, I7
	w := layertest.World(t, club)
	owner, member, stopped := as(t, w, "Acme", identity.RoleOwner), w.Member("Acme"), w.Member("Acme")
	join := func(c *layertest.Caller) (layer.Principal, error) {
		said := c.Claims()
		said.EmailVerified = true
		_, token, err := invite(t, w, owner, said.Email, identity.RoleAdmin)
		must(t, err)
		return w.Identity.SignInWith(t.Context(), said, token)
	}
	if who, err := join(owner); err != nil || who.Role() != "owner" {
		t.Errorf("an owner is %q, %v", who.Role(), err)
	}
	if who, err := join(member); err != nil || who.Role() != "member" {
		t.Errorf("a member is %q, %v", who.Role(), err)
	}
	must(t, do(t, w, owner, "members:write", func(tx *rls.Tx) error { return identity.SetMemberActive(tx, stopped.Principal().Profile(), false) }))
	_, err := join(stopped)
	refused(t, err, layer.Forbidden)
}

func TestWhoMayInvite(t *testing.T) { // SYSTEM I4, A3
	w := layertest.World(t, club)
	owner, admin, member := as(t, w, "Acme", identity.RoleOwner), as(t, w, "Acme", identity.RoleAdmin), w.Member("Acme")
	theirs := as(t, w, "Globex", identity.RoleOwner)
	_, _, err := invite(t, w, member, "a@acme.test", identity.RoleMember)
	isRefused(t, "a member", err, layer.GateAction, layer.Forbidden)
	_, _, err = invite(t, w, admin, "a@acme.test", identity.RoleAdmin)
	isRefused(t, "an admin, an admin", err, layer.GateAction, layer.Forbidden)
	_, _, err = invite(t, w, owner, "a@acme.test", identity.RoleOwner)
	isRefused(t, "an owner, an owner", err, layer.RLS, layer.Invalid)
	_, _, err = invite(t, w, owner, "a@acme.test", "administrator")
	isRefused(t, "an owner, an administrator", err, layer.RLS, layer.Invalid)
	id, _ := invited(t, w, owner, "b"+newSuffix()+"@acme.test")
	for name, act := range map[string]func(tx *rls.Tx) error{
		"revoking":      func(tx *rls.Tx) error { return identity.RevokeInvitation(tx, id) },
		"sending again": func(tx *rls.Tx) error { _, _, err := identity.RenewInvitation(tx, id); return err },
	} {
		isRefused(t, name+" another organization's", do(t, w, theirs, "members:invite", act), layer.RLS, layer.NotFound)
	}
	list, err := identity.Invitations(w.DB.As(t.Context(), theirs.Principal()))
	if err != nil || len(list) != 0 {
		t.Errorf("another organization lists %d (%v)", len(list), err)
	}
	if list, err := identity.Invitations(w.DB.As(t.Context(), owner.Principal())); err != nil || len(list) != 1 {
		t.Errorf("its own lists %d (%v)", len(list), err)
	}
	isRefused(t, "sending again at once", do(t, w, owner, "members:invite", func(tx *rls.Tx) error { _, _, err := identity.RenewInvitation(tx, id); return err }), layer.RLS, layer.Limited)
}

func TestInvitationsAreBounded(t *testing.T) { // SYSTEM T4
	w := layertest.World(t, club)
	owner := as(t, w, "Acme", identity.RoleOwner)
	for range 50 {
		invited(t, w, owner, "n"+newSuffix()+"@acme.test")
	}
	_, _, err := invite(t, w, owner, "one-more@acme.test", identity.RoleMember)
	isRefused(t, "the 51st of an hour", err, layer.RLS, layer.Limited)
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.invitation set created_at = now() - interval '2 hours' where organization_id = $1`, w.Organization("Acme")); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		invited(t, w, owner, "m"+newSuffix()+"@acme.test")
	}
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.invitation set created_at = now() - interval '2 hours' where organization_id = $1`, w.Organization("Acme")); err != nil {
		t.Fatal(err)
	}
	_, _, err = invite(t, w, owner, "one-more@acme.test", identity.RoleMember)
	isRefused(t, "the 101st open one", err, layer.RLS, layer.Limited)
	_, token := invited(t, w, as(t, w, "Globex", identity.RoleOwner), "elsewhere@acme.test")
	if token == "" {
		t.Error("another organization's bound is its own")
	}
}

func TestAddressesAreComparedByOneRule(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"ann@example.test", "ann@example.test"},
		{"Ann.O'Neill+tag@Mail.Example.TEST", "ann.o'neill+tag@mail.example.test"},
		{"a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"", ""}, {"ann", ""}, {"@example.test", ""}, {"ann@", ""}, {"ann@localhost", ""}, {"ann@@example.test", ""}, {"a@b@example.test", ""},
		{"ann@example..test", ""}, {"ann@-example.test", ""}, {"ann@example-.test", ""}, {"ann@example.test.", ""},
		{".ann@example.test", ""}, {"ann.@example.test", ""}, {"an..n@example.test", ""},
		{`"ann"@example.test`, ""}, {"ann @example.test", ""}, {"ann@example.test\r\nBcc: x@example.test", ""}, {"<ann@example.test>", ""},
		{"\u0430nn@example.test", ""}, {"ann@ex\u0430mple.test", ""}, {"\u212aim@example.test", ""}, {"ann@b\u00fccher.test", ""}, {"ann\u200b@example.test", ""},
		{strings.Repeat("a", 65) + "@example.test", ""}, {"ann@" + strings.Repeat("a", 64) + ".test", ""}, {"a@" + strings.Repeat("a.", 130) + "test", ""},
	} {
		got, ok := identity.ParseAddress(c.in)
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, %t", c.in, got, ok)
		}
	}
}

// Whatever is read as an address is ASCII, is read again as itself, and is one that the database takes.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ann@example.test", "A@B.C", "a@b", "\u212a@example.test", "a@b.c\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := identity.ParseAddress(s)
		if !ok {
			return
		}
		again, ok := identity.ParseAddress(string(a))
		if !ok || again != a || !strings.EqualFold(s, string(a)) || strings.ContainsFunc(string(a), func(r rune) bool { return r <= ' ' || r > '~' || r >= 'A' && r <= 'Z' }) {
			t.Errorf("%q is read as %q", s, a)
		}
	})
}
