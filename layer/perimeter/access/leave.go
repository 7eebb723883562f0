package access

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

var errLogout = refusal(layer.Invalid, "The logout token is not valid.")

// askToLeave shows who is signed on, with a button.
func (g *Guard) askToLeave(x *visit) {
	s, err := g.session(x.at, x.own)
	if err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	if s == nil {
		x.show(http.StatusOK, "signed-out", signedOutPage{})
		return
	}
	token, err := g.token(x)
	if err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	x.show(http.StatusOK, "sign-out", signOutPage{Signed: signedOn(s.Who), Token: token})
}

// signOut ends the session at every edge, and takes it from the browser. What the browser has is gone even if the folder is full.
func (g *Guard) signOut(x *visit) {
	form, why := g.form(x)
	if why != nil {
		x.refuse(why)
		return
	}
	s, _ := g.session(x.at, x.own) // what cannot be known need not be ended here: it does not count anywhere either
	endSession(x.w, x.own)
	if s != nil {
		if err := g.EndSession(s.Who.Session); err != nil {
			g.log.Error("signing out", "session", s.Who.Session, "cause", err)
			x.refuse(because(errBusy, err))
			return
		}
		g.log.Info("signed out", "application", x.at.Name, "session", s.Who.Session)
	}
	if one(form, "then") == "other" {
		x.move(Reserved + "sign-on?as=other")
		return
	}
	x.move(Reserved + "signed-out")
}

func (g *Guard) signedOut(x *visit) { x.show(http.StatusOK, "signed-out", signedOutPage{}) }

// endedElsewhere takes a provider's word that a session or a person is signed out (OpenID Connect Back-Channel Logout 1.0). There is
// no cookie and no form: the signed token is what counts.
func (g *Guard) endedElsewhere(x *visit) {
	if wait, ok := g.limits.answers.allow(clientKey(x.of.Client), g.now()); !ok {
		x.later(wait)
		return
	}
	form, err := x.body()
	if err == nil {
		err = g.logOut(x, one(form, "logout_token"))
	}
	if err != nil {
		g.log.Warn("logout token refused", "client", x.of.Client, "cause", err)
		x.refuse(because(errLogout, err))
		return
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusOK)
}

func (g *Guard) logOut(x *visit, raw string) error {
	p := g.issuerOf(raw)
	if p == nil {
		return errors.New("it is of no provider of ours")
	}
	ctx := x.r.Context()
	found, err := p.discover(ctx)
	if err != nil {
		return err
	}
	t, err := found.verifier.VerifyLogout(p.context(ctx), raw)
	if err != nil {
		return err
	}
	now := g.now()
	if t.IssuedAt.After(now.Add(time.Minute)) || t.IssuedAt.Before(now.Add(-5*time.Minute)) {
		return errors.New("it was not issued just now: compare the clocks")
	}
	g.log.Info("signed out by the provider", "provider", p.Name, "subject", t.Subject)
	if t.SessionID != "" {
		return g.endings.end(byProviderSession(p.Name, t.SessionID), g.config.SessionLife)
	}
	// Until the token's own moment and no later: the same token, sent again, ends nothing that began since.
	return g.endings.end(personUntil(p.Name, t.Subject, t.IssuedAt), g.config.SessionLife)
}

// issuerOf finds whose key a token is to be verified with. Nothing else is believed of it yet.
func (g *Guard) issuerOf(raw string) *provider {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > 16<<10 {
		return nil
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
	}
	if err != nil || json.Unmarshal(content, &c) != nil {
		return nil
	}
	var many []string
	if json.Unmarshal(c.Audience, &many) != nil {
		var single string
		if json.Unmarshal(c.Audience, &single) == nil {
			many = []string{single}
		}
	}
	i := slices.IndexFunc(g.providers, func(p *provider) bool { return p.Issuer == c.Issuer && slices.Contains(many, p.ClientID) })
	if i < 0 {
		return nil
	}
	return g.providers[i]
}
