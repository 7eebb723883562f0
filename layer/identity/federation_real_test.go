package identity_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/realidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// ID tokens of providers that we did not write are exchanged, and the same tokens altered, replayed or for others are not. The machine
// is a client of the provider whose identifier is the organization's audience, which is how either of them puts it into a token.
func TestTokensOfRealProvidersAreExchanged(t *testing.T) { // SYSTEM I9, I10
	for name, start := range map[string]func(testing.TB, realidp.Config) *realidp.Server{"oidc-provider": realidp.Node, "Dex": realidp.Dex} {
		t.Run(name, func(t *testing.T) {
			w := layertest.World(t, scoped)
			boss := w.Administrator("Acme").Principal()
			const secret, callback = "correct horse battery staple", "https://app.example.test/sign-in/callback"
			own, other := w.Identity.MachineAudience(w.Organization("Acme")), w.Identity.MachineAudience(w.Organization("Globex"))
			idp := start(t, realidp.Config{
				Clients: []realidp.Client{{ID: own, Secret: secret, RedirectURIs: []string{callback}}, {ID: other, Secret: secret, RedirectURIs: []string{callback}},
					{ID: "shop", Secret: secret, RedirectURIs: []string{callback}}},
				People: []realidp.Person{{Subject: "robot:acme:deployer", Name: "Deployer", Email: "deployer@acme.example", EmailVerified: true},
					{Subject: "robot:acme:stranger", Name: "Stranger", Email: "stranger@acme.example", EmailVerified: true}},
			})
			token := func(client, machine string) (raw, subject string) {
				t.Helper()
				rp, err := signon.New(signon.Config{Issuer: idp.Issuer, ClientID: client, ClientSecret: secret, RedirectURL: callback})
				if err != nil {
					t.Fatal(err)
				}
				to, pending, err := rp.Begin(t.Context(), signon.BeginOptions{})
				if err != nil {
					t.Fatal(err)
				}
				back, err := idp.NewBrowser().SignIn(t.Context(), to, machine)
				if err != nil {
					t.Fatal(err)
				}
				said, err := rp.Finish(t.Context(), pending, back)
				if err != nil {
					t.Fatal(err)
				}
				return said.IDToken, said.Subject
			}
			deployer, stranger := "robot:acme:deployer", "robot:acme:stranger"
			if name == "Dex" { // where people sign in by their address
				deployer, stranger = "deployer@acme.example", "stranger@acme.example"
			}
			raw, subject := token(own, deployer)

			ids := trustingIssuer(t, w, idp.Issuer)
			_, err := action.Do(t.Context(), w.DB, boss, "machines:write", func(tx *action.Tx) (identity.Trust, error) {
				return ids.AddTrust(tx.Tx, boss, newTrust(func(n *identity.NewTrust) { n.Issuer, n.SubjectPattern = idp.Issuer, subject }))
			})
			if err != nil {
				t.Fatal(err)
			}
			issued, err := ids.Exchange(t.Context(), identity.Exchange{Token: raw})
			if err != nil {
				t.Fatal(err)
			}
			if who, err := w.Identity.Identify(by(t, "Bearer "+issued.Token)); err != nil || who.Organization() != w.Organization("Acme") || !who.Has("posts:write") {
				t.Errorf("got %v %v", who, err)
			}

			fresh, _ := token(own, deployer)
			forOther, _ := token(other, deployer)
			forShop, _ := token("shop", deployer)
			ofOther, _ := token(own, stranger)
			for attack, c := range map[string]struct{ token, reason string }{
				"the same again":           {raw, "replayed"},
				"for another service":      {forShop, "audience"},
				"for another organization": {forOther, "subject"},
				"of somebody else":         {ofOther, "subject"},
				"with another's payload":   {splice(fresh, ofOther), "token"},
				"without a signature":      {fresh[:strings.LastIndexByte(fresh, '.')+1], "token"},
			} {
				_, err := ids.Exchange(t.Context(), identity.Exchange{Token: c.token})
				unexchanged(t, err, layer.Unauthenticated)
				if got := scan[string](t, w, `select changes->>'reason' from audit.log where action = 'federation.refused' order by id desc limit 1`); got != c.reason {
					t.Errorf("%s: the trail says %q, want %q", attack, got, c.reason)
				}
			}
			if _, err := ids.Exchange(t.Context(), identity.Exchange{Token: fresh}); err != nil {
				t.Errorf("an honest one afterwards: %v", err)
			}
		})
	}
}

// trustingIssuer is w's identity in a deployment that names this issuer of machines.
func trustingIssuer(t *testing.T, w *layertest.W, issuer string) *identity.Service {
	t.Helper()
	people, err := signon.New(signon.Config{Issuer: issuer, ClientID: "x", ClientSecret: "x", RedirectURL: "https://app.example.test/sign-in/callback"})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(t.Context(), identity.Config{Connection: w.Connection("redoubt_identity"), Providers: []identity.Provider{{SignOn: people}}, Key: w.ClaimsKey, Scopes: scoped.Scopes,
		Machines: identity.Machines{Issuers: []string{issuer}, Audience: layertest.Origin + "/organizations/", InsecureLoopback: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ids.Close)
	return ids
}

// splice puts one token's payload between another's header and signature.
func splice(outside, inside string) string {
	o, i := strings.Split(outside, "."), strings.Split(inside, ".")
	return o[0] + "." + i[1] + "." + o[2]
}
