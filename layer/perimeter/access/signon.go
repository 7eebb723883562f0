package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// A transaction is one sign-on under way, sealed into a cookie: only the browser that began it can end it (RFC 6749 section 10.12,
// RFC 9700 section 4.7).
type transaction struct {
	Provider string    `json:"idp"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE, RFC 7636
	Back     string    `json:"back"`
	Until    time.Time `json:"until"`
}

var (
	errProvider = refusal(layer.Unavailable, "The place where you sign in does not answer at the moment. Try again soon.")
	errLost     = refusal(layer.Invalid, "That sign-in took too long, was used already, or began in another browser. Please begin again.")
	errDeclined = refusal(layer.Forbidden, "The place where you sign in did not sign you in. Please begin again.")
	errSaying   = refusal(layer.Forbidden, "The place where you sign in gave an answer that cannot be relied on. Please begin again.")
)

// choose shows where one can sign on; with one provider alone, there is nothing to choose.
func (g *Guard) choose(x *visit) {
	back := backTo(one(x.r.URL.Query(), "to"))
	other := one(x.r.URL.Query(), "as") == "other"
	if len(g.providers) == 1 && g.config.Mail == nil && !other {
		g.start(x, g.providers[0], back, false)
		return
	}
	token, err := g.token(x)
	if err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	page := signOnPage{Mail: g.config.Mail != nil, Back: back, Token: token}
	for _, p := range g.providers {
		q := url.Values{"provider": {p.Name}, "to": {back}}
		if other {
			q.Set("as", "other")
		}
		page.Providers = append(page.Providers, place{p.Title, Reserved + "begin?" + q.Encode()})
	}
	x.show(http.StatusOK, "sign-on", page)
}

// leaveFor begins a sign-on with the provider that was chosen.
func (g *Guard) leaveFor(x *visit) {
	q := x.r.URL.Query()
	p := g.provider(one(q, "provider"))
	if p == nil {
		x.refuse(errNoPage)
		return
	}
	g.start(x, p, backTo(one(q, "to")), one(q, "as") == "other")
}

func (g *Guard) start(x *visit, p *provider, back string, other bool) {
	found, err := p.discover(x.r.Context())
	if err != nil {
		g.log.Warn("signing on", "provider", p.Name, "cause", err)
		x.refuse(because(errProvider, err))
		return
	}
	t := transaction{p.Name, rand.Text(), rand.Text(), oauth2.GenerateVerifier(), back, g.now().Add(signOnLife)}
	if err := g.keep(x, t); err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if other {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login")) // OpenID Connect Core 1.0 section 3.1.2.1
	}
	x.leave(p.at(found, x.at).AuthCodeURL(t.State, options...))
}

// at is the client for one application's origin.
func (p *provider) at(found *discovered, a *application) *oauth2.Config {
	c := found.oauth
	c.RedirectURL = a.Origin + RedirectPath(p.Name)
	return &c
}

// keep leaves t with the browser. One that has begun very many is rid of the others first.
func (g *Guard) keep(x *visit, t transaction) error {
	var begun []string
	for name := range x.own {
		if strings.HasPrefix(name, signOnCookie) {
			begun = append(begun, name)
		}
	}
	if len(begun) >= maxSignOnCookie {
		for _, name := range begun {
			setCookie(x.w, name, "", 0)
		}
	}
	content, err := json.Marshal(t)
	if err != nil {
		return err
	}
	sealed, err := g.box.seal(forSignOn, x.at.host, content)
	if err == nil && len(sealed) > maxCookieValue {
		err = errors.New("the way back does not fit into a cookie")
	}
	if err == nil {
		setCookie(x.w, cookieOf(t.State), sealed, signOnLife)
	}
	return err
}

func cookieOf(state string) string { return signOnCookie + state[:min(8, len(state))] }

// comeBack ends a sign-on: the provider has sent the browser back.
func (g *Guard) comeBack(x *visit, p *provider) {
	if wait, ok := g.limits.answers.allow(clientKey(x.of.Client), g.now()); !ok {
		x.later(wait)
		return
	}
	t, ok := g.transaction(x, p)
	if !ok {
		g.log.Info("sign-on refused", "provider", p.Name, "cause", "no such sign-on in this browser")
		x.refuse(errLost)
		return
	}
	setCookie(x.w, cookieOf(t.State), "", 0)
	who, psid, why := g.finish(x, p, t)
	if why == nil {
		why = g.enter(x, who, psid)
	}
	if why != nil {
		g.log.Warn("sign-on refused", "provider", p.Name, "application", x.at.Name, "cause", why.Error())
		x.refuse(why)
		return
	}
	x.move(t.Back)
}

// enter gives the browser a session.
func (g *Guard) enter(x *visit, who assertion.SignOn, psid string) *layer.Refusal {
	if g.blocks.person(who) {
		return errBlocked
	}
	switch err := g.begin(x.w, x.at, x.own, who, psid); {
	case errors.Is(err, errTooMuch), errors.Is(err, errControl):
		return because(errSaying, err)
	case errors.Is(err, errEnded) && !errors.Is(err, errStale):
		return because(errDeclined, err)
	case err != nil:
		return because(errBusy, err)
	}
	g.log.Info("signed on", "application", x.at.Name, "by", who.By, "provider", who.Provider, "subject", who.Subject, "client", x.of.Client)
	return nil
}

func (g *Guard) transaction(x *visit, p *provider) (t transaction, ok bool) {
	said := one(x.r.URL.Query(), "state")
	if said == "" {
		return t, false
	}
	content, err := g.box.open(forSignOn, x.at.host, x.own[cookieOf(said)])
	if err != nil || json.Unmarshal(content, &t) != nil {
		return t, false
	}
	return t, subtle.ConstantTimeCompare([]byte(t.State), []byte(said)) == 1 && t.Provider == p.Name && g.now().Before(t.Until)
}

// finish exchanges the code and believes what the provider then says, within bounds.
func (g *Guard) finish(x *visit, p *provider, t transaction) (who assertion.SignOn, psid string, why *layer.Refusal) {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		return who, "", because(errProvider, errors.New("too many sign-ons at once"))
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), 2*providerTime)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return who, "", because(errProvider, err)
	}
	code, why := answerOf(x.r.URL.Query(), p, found)
	if why != nil {
		return who, "", why
	}
	token, err := p.at(found, x.at).Exchange(p.context(ctx), code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		return who, "", because(errDeclined, exchangeError(err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.verifier.Verify(p.context(ctx), raw)
	if err != nil {
		return who, "", because(errSaying, err)
	}
	if err := g.check(p, id, token, t); err != nil {
		return who, "", because(errSaying, err)
	}
	if why := g.once(t.State); why != nil {
		return who, "", why
	}
	who, psid, err = g.read(ctx, p, found, id, token)
	if err != nil {
		return who, "", because(errSaying, err)
	}
	return who, psid, nil
}

// answerOf reads what the provider says by way of the browser. Its own name, if it says it or always does, is compared first: an answer
// of another's is not even tried (RFC 9207 section 2.4).
func answerOf(q url.Values, p *provider, found *discovered) (code string, why *layer.Refusal) {
	iss, said := q["iss"]
	if said && (len(iss) != 1 || iss[0] != p.Issuer) || !said && found.says {
		return "", because(errSaying, errors.New("the answer names another issuer, or none"))
	}
	if e := one(q, "error"); e != "" || len(q["error"]) > 0 {
		return "", because(errDeclined, fmt.Errorf("the provider answers %q", plain(e)))
	}
	if code = one(q, "code"); code == "" || len(code) > 4096 {
		return "", because(errSaying, errors.New("the answer has no code"))
	}
	return code, nil
}

// exchangeError keeps the provider's word and leaves out its body, which may repeat what we sent.
func exchangeError(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("exchanging the code: the provider answers %q", plain(e.ErrorCode))
	}
	return fmt.Errorf("exchanging the code: %w", err)
}

// plain is text of a stranger's, made fit for a log.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s[:min(len(s), 64)])
}

// check is what go-oidc leaves to us (OpenID Connect Core 1.0 section 3.1.3.7).
func (g *Guard) check(p *provider, id *oidc.IDToken, token *oauth2.Token, t transaction) error {
	var c struct {
		Party string `json:"azp"`
	}
	if err := id.Claims(&c); err != nil {
		return err
	}
	now := g.now()
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1:
		return errors.New("the ID token is for another sign-on")
	case c.Party != "" && c.Party != p.ClientID, c.Party == "" && len(id.Audience) > 1:
		return errors.New("the ID token is for another client")
	case id.Subject == "":
		return errors.New("the ID token names nobody")
	case id.IssuedAt.After(now.Add(5*time.Minute)) || id.IssuedAt.Before(now.Add(-signOnLife)):
		return errors.New("the ID token was not issued just now: compare the clocks")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return errors.New("the ID token belongs to another access token")
	}
	return nil
}

// once has each sign-on count once, whether or not the provider takes a code twice.
func (g *Guard) once(said string) *layer.Refusal {
	sum := sha256.Sum256([]byte(said))
	err := g.used.Create(hex.EncodeToString(sum[:]), nil, time.Now().Add(signOnLife+time.Minute))
	if errors.Is(err, state.ErrExists) {
		return because(errLost, errors.New("the sign-on was used already"))
	}
	if err != nil {
		return because(errBusy, err)
	}
	return nil
}
