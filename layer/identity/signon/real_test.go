package signon_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/realidp"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

const bye = "https://shop.example/bye"

func realConfig(change ...func(*realidp.Config)) realidp.Config {
	cfg := realidp.Config{
		Clients: []realidp.Client{{ID: "shop", Secret: "correct horse battery staple %/+ c", RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{bye}}},
		People: []realidp.Person{
			{Subject: "alice", Name: "Alice Archer", Email: "alice@acme.example", EmailVerified: true, Groups: []string{"acme", "acme-admins"}},
			{Subject: "carol", Name: "Carol", Email: "carol@acme.example", Groups: []string{"acme", "acme-admins"}},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

func realParty(t *testing.T, issuer string, change ...func(*signon.Config)) *signon.Provider {
	t.Helper()
	cfg := signon.Config{Issuer: issuer, ClientID: "shop", ClientSecret: "correct horse battery staple %/+ c", RedirectURL: callback, Refresh: true}
	for _, f := range change {
		f(&cfg)
	}
	rp, err := signon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// realSignIn goes all the way, in a browser.
func realSignIn(t *testing.T, rp *signon.Provider, browser *realidp.Browser, person string, options signon.BeginOptions) (signon.Claims, error) {
	t.Helper()
	to, pending, err := rp.Begin(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := browser.SignIn(t.Context(), to, person)
	if err != nil {
		t.Fatal(err)
	}
	return rp.Finish(t.Context(), pending, answer)
}

func consenting(cfg *signon.Config) { cfg.Consent = true }

// Starting a provider takes seconds, so the tests of one share it, each with a person of its own where it changes something.
func TestOIDCProvider(t *testing.T) {
	box := &inbox{}
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { box.put(r.PostFormValue("logout_token")) }))
	defer shop.Close()
	idp := realidp.Node(t, realConfig(severalClients(shop.URL)))
	for _, client := range []string{"shop", "es256", "eddsa", "posted", "signed", "told"} {
		t.Run("signs people in, client "+client, func(t *testing.T) { signsPeopleIn(t, idp, client, false) })
	}
	t.Run("refreshes, and a reuse ends the family", func(t *testing.T) { refreshesAndEndsTheFamily(t, idp) })
	t.Run("ends sessions both ways", func(t *testing.T) { endsSessionsBothWays(t, idp, box) })
	t.Run("steps up", func(t *testing.T) { stepsUp(t, idp) })
	t.Run("refuses a code that was used", func(t *testing.T) { refusesACodeThatWasUsed(t, idp) })
	t.Run("vouches for machines", func(t *testing.T) { vouchesForMachines(t, idp, "alice", consenting) })
	t.Run("is not mixed up with Dex", func(t *testing.T) { areNotMixedUp(t, idp, realidp.Dex(t, realConfig())) })
}

func TestOIDCProviderWithGroupsAtUserinfoAlone(t *testing.T) { // SYSTEM I3
	idp := realidp.Node(t, realConfig(severalClients(""), func(c *realidp.Config) { c.Lean = true }))
	for _, client := range []string{"shop", "signed"} {
		t.Run("client "+client, func(t *testing.T) { signsPeopleIn(t, idp, client, true) })
	}
}

func TestDex(t *testing.T) {
	idp := realidp.Dex(t, realConfig())
	t.Run("signs people in and refreshes", func(t *testing.T) { dexSignsPeopleIn(t, idp) })
	t.Run("knows no time of authentication, so nobody steps up there", func(t *testing.T) { // SYSTEM I6
		_, err := realSignIn(t, realParty(t, idp.Issuer), idp.NewBrowser(), "alice@acme.example", signon.BeginOptions{Prompt: "login"})
		refused(t, err, signon.ErrAuthTime)
	})
	t.Run("vouches for machines", func(t *testing.T) { vouchesForMachines(t, idp, "alice@acme.example") })
}

// severalClients are the application, configured in every way that it may be; one of them is told of sign-outs.
func severalClients(told string) func(*realidp.Config) {
	return func(c *realidp.Config) {
		plain := c.Clients[0]
		es256, eddsa, posted, signed, heard := plain, plain, plain, plain, plain
		es256.ID, es256.Algorithm = "es256", "ES256"
		eddsa.ID, eddsa.Algorithm = "eddsa", "EdDSA"
		posted.ID, posted.Authentication = "posted", "client_secret_post"
		signed.ID, signed.UserinfoAlgorithm = "signed", "RS256"
		heard.ID, heard.BackchannelLogoutURI = "told", told
		c.Clients = []realidp.Client{plain, es256, eddsa, posted, signed, heard}
	}
}

func signsPeopleIn(t *testing.T, idp *realidp.Server, client string, lean bool) { // SYSTEM I1 I2 I3
	rp := realParty(t, idp.Issuer, consenting, func(c *signon.Config) { c.ClientID, c.Userinfo = client, lean })
	got, err := realSignIn(t, rp, idp.NewBrowser(), "alice", signon.BeginOptions{ACRValues: []string{"mfa"}})
	if err != nil {
		t.Fatal(err)
	}
	want := signon.Claims{Issuer: idp.Issuer, Subject: "alice", Email: "alice@acme.example", EmailVerified: true, Name: "Alice Archer",
		Groups: []string{"acme", "acme-admins"}, AuthTime: got.AuthTime, ACR: "mfa", AMR: []string{"pwd", "otp", "mfa"}}
	if g, w := fmt.Sprint(fields(got)), fmt.Sprint(fields(want)); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if time.Since(got.AuthTime) > time.Minute || got.RefreshToken == "" || time.Until(got.AccessExpires) < time.Minute {
		t.Errorf("signed in at %v, tokens until %v, refresh token: %v", got.AuthTime, got.AccessExpires, got.RefreshToken != "")
	}
}

func refreshesAndEndsTheFamily(t *testing.T, idp *realidp.Server) { // SYSTEM I3 I5
	rp := realParty(t, idp.Issuer, consenting)
	first, err := realSignIn(t, rp, idp.NewBrowser(), "carol", signon.BeginOptions{ACRValues: []string{"mfa"}})
	if err != nil {
		t.Fatal(err)
	}
	idp.SetGroups(t, "carol", []string{"acme"})
	second, err := rp.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(second.Groups, []string{"acme"}) || second.Subject != "carol" || second.RefreshToken == first.RefreshToken {
		t.Errorf("got groups %q of %q, want those of now of carol, and another token", second.Groups, second.Subject)
	}
	if !second.AuthTime.Equal(first.AuthTime) || second.ACR != "mfa" || second.SessionID != first.SessionID {
		t.Errorf("the proof changed: %v %q %q", second.AuthTime, second.ACR, second.SessionID)
	}
	third, err := rp.Refresh(t.Context(), second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rp.Refresh(t.Context(), second.RefreshToken) // a copy of it, used by somebody
	refused(t, err, signon.ErrRefused)
	_, err = rp.Refresh(t.Context(), third.RefreshToken)
	refused(t, err, signon.ErrRefused)
	if got := signon.Name(err); got != "exchange" {
		t.Errorf("got the name %q", got)
	}
}

func endsSessionsBothWays(t *testing.T, idp *realidp.Server, box *inbox) { // SYSTEM I5
	rp := realParty(t, idp.Issuer, consenting, func(c *signon.Config) { c.ClientID = "told" })
	browser := idp.NewBrowser()
	claims, err := realSignIn(t, rp, browser, "alice", signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := rp.LogoutURL(t.Context(), claims.IDToken, bye, "s&t")
	if err != nil {
		t.Fatal(err)
	}
	back, err := browser.SignOut(t.Context(), to)
	if err != nil || back != bye+"?state=s%26t" {
		t.Errorf("got %q, %v, want our address with the state", back, err)
	}
	tokens := box.wait(t)
	got, err := rp.VerifyLogout(t.Context(), tokens[0])
	if err != nil || got.SessionID == "" || got.SessionID != claims.SessionID || got.Issuer != idp.Issuer {
		t.Errorf("got %+v, %v, want the end of session %q", got, err, claims.SessionID)
	}
	_, err = rp.VerifyLogout(t.Context(), tokens[0])
	refused(t, err, signon.ErrReplayed)
	_, err = realSignIn(t, rp, browser, "alice", signon.BeginOptions{Prompt: "none"})
	if code := new(signon.ProviderError); !errors.As(err, &code) || code.Code != "login_required" {
		t.Errorf("got %v, want login_required", err)
	}
}

func stepsUp(t *testing.T, idp *realidp.Server) { // SYSTEM I6
	rp := realParty(t, idp.Issuer, consenting)
	browser := idp.NewBrowser()
	first, err := realSignIn(t, rp, browser, "alice", signon.BeginOptions{})
	if err != nil || first.ACR != "pwd" {
		t.Fatalf("got %q, %v", first.ACR, err)
	}
	time.Sleep(1100 * time.Millisecond) // auth_time has whole seconds
	second, err := realSignIn(t, rp, browser, "alice", signon.BeginOptions{Prompt: "login", ACRValues: []string{"mfa"}})
	if err != nil || second.ACR != "mfa" || !second.AuthTime.After(first.AuthTime) {
		t.Errorf("got %q at %v, %v, want a newer and better proof than at %v", second.ACR, second.AuthTime, err, first.AuthTime)
	}
}

func refusesACodeThatWasUsed(t *testing.T, idp *realidp.Server) {
	rp := realParty(t, idp.Issuer, consenting)
	to, pending, err := rp.Begin(t.Context(), signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := idp.NewBrowser().SignIn(t.Context(), to, "alice")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := rp.Finish(t.Context(), pending, answer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = realParty(t, idp.Issuer, consenting).Finish(t.Context(), pending, answer) // another replica
	refused(t, err, signon.ErrExchange)
	_, err = rp.Refresh(t.Context(), claims.RefreshToken)
	refused(t, err, signon.ErrRefused) // what the code gave has ended with its second use
}

func dexSignsPeopleIn(t *testing.T, idp *realidp.Server) { // SYSTEM I1 I2 I3 I5
	rp := realParty(t, idp.Issuer)
	browser := idp.NewBrowser()
	first, err := realSignIn(t, rp, browser, "alice@acme.example", signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if first.Email != "alice@acme.example" || !first.EmailVerified || first.Name != "Alice Archer" || !slices.Equal(first.Groups, []string{"acme", "acme-admins"}) {
		t.Errorf("got %v, want alice", fields(first))
	}
	second, err := rp.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if second.Subject != first.Subject || !slices.Equal(second.Groups, first.Groups) || second.RefreshToken == first.RefreshToken {
		t.Errorf("got %v, want alice with another token", fields(second))
	}
	_, err = rp.Refresh(t.Context(), first.RefreshToken) // Dex says invalid_request where others say invalid_grant
	refused(t, err, signon.ErrRefused)
	_, err = rp.LogoutURL(t.Context(), second.IDToken, bye, "")
	refused(t, err, signon.ErrNoLogout)
}

// Two providers in one program, behind one address of ours: what one says never counts as the other's word.
func areNotMixedUp(t *testing.T, node, dex *realidp.Server) { // RFC 9700 section 4.4
	one, other := realParty(t, node.Issuer, consenting), realParty(t, dex.Issuer)
	to, pending, err := one.Begin(t.Context(), signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := node.NewBrowser().SignIn(t.Context(), to, "alice")
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Finish(t.Context(), pending, answer)
	refused(t, err, signon.ErrMixUp)
	// Begun at Dex, and led by it to the other provider's answer: RFC 9207 tells them apart.
	_, begun, err := other.Begin(t.Context(), signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Finish(t.Context(), begun, url.Values{"state": {begun.State}, "code": {answer.Get("code")}, "iss": {answer.Get("iss")}})
	refused(t, err, signon.ErrMixUp)
	claims, err := one.Finish(t.Context(), pending, answer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Refresh(t.Context(), claims.RefreshToken)
	refused(t, err, signon.ErrMixUp)
	machines, err := signon.NewIssuer(signon.IssuerConfig{Issuer: dex.Issuer, InsecureLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := machines.Verify(t.Context(), claims.IDToken); !errors.Is(err, signon.ErrKey) {
		t.Errorf("got %v, want one provider's token to be a stranger to the other's verifier", err)
	}
	if err := signon.Distinct(one, other); err == nil {
		t.Error("two providers share an address, and one sends no iss")
	}
}

func vouchesForMachines(t *testing.T, idp *realidp.Server, person string, change ...func(*signon.Config)) { // SYSTEM I9 I10
	claims, err := realSignIn(t, realParty(t, idp.Issuer, change...), idp.NewBrowser(), person, signon.BeginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	machines, err := signon.NewIssuer(signon.IssuerConfig{Issuer: idp.Issuer, Audiences: []string{"shop"}, InsecureLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := machines.Verify(t.Context(), claims.IDToken)
	if err != nil || got.Subject != claims.Subject || !slices.Contains(got.Audience, "shop") || got.Claims["email"] != "alice@acme.example" {
		t.Errorf("got %q for %q, %v", got.Subject, got.Audience, err)
	}
}
