package access_test

import (
	"net/http"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/realidp"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
)

// Providers that we did not write sign people on, with their groups, and with the claims in userinfo alone.
func TestRealProvidersSignPeopleOn(t *testing.T) { // SYSTEM P4
	for name, c := range map[string]struct {
		start  func(testing.TB, realidp.Config) *realidp.Server
		lean   bool
		person string
	}{
		"oidc-provider":                     {realidp.Node, false, "alice"},
		"oidc-provider, claims in userinfo": {realidp.Node, true, "alice"},
		"Dex":                               {realidp.Dex, false, "alice@acme.test"},
	} {
		t.Run(name, func(t *testing.T) {
			const secret = "correct horse battery staple"
			server := c.start(t, realidp.Config{
				Clients: []realidp.Client{{ID: "edge", Secret: secret, RedirectURIs: []string{wiki + access.RedirectPath("okta")}}},
				People: []realidp.Person{{Subject: "alice", Name: "Alice", Email: "alice@acme.test", EmailVerified: true, Groups: []string{"staff"}},
					{Subject: "mallory", Name: "Mallory", Email: "bob@acme.test", EmailVerified: false}},
				Lean: c.lean,
			})
			w := newWorld(t, noMail, func(w *world) {
				w.setting.Providers = []access.Provider{{Name: "okta", Issuer: server.Issuer, ClientID: "edge", ClientSecret: secret, Scopes: []string{"groups"}, GroupsClaim: "groups"}}
			})
			b := w.browser(w.gate(), "")
			start := b.once(wiki + "/.redoubt/sign-on?to=/x")
			if start.StatusCode != http.StatusSeeOther {
				t.Fatalf("not sent to the provider: %d %s\n%s", start.StatusCode, start.text, w.log)
			}
			query, err := server.NewBrowser().SignIn(t.Context(), start.Header.Get("Location"), c.person)
			if err != nil {
				t.Fatal(err)
			}
			back := wiki + access.RedirectPath("okta") + "?" + query.Encode()
			jar := map[string]string{}
			for name, value := range b.jar["wiki.example"] {
				jar[name] = value
			}
			p := b.once(back)
			if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != wiki+"/x" {
				t.Fatalf("got %d %s\n%s", p.StatusCode, p.text, w.log)
			}
			if b.once(wiki + "/x"); b.passed == nil || b.gone.Who.Email != "alice@acme.test" {
				t.Errorf("got %+v\n%s", b.gone.Who, w.log)
			}
			thief := w.browser(b.gate, "")
			thief.jar["wiki.example"] = jar
			if p := thief.once(back); p.StatusCode == http.StatusSeeOther {
				t.Error("the code counts twice")
			}
		})
	}
}
