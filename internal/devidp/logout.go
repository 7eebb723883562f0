package devidp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// deliveryTime bounds the whole of a back-channel delivery, so that a client that sleeps does not hold up a sign-out.
const deliveryTime = 5 * time.Second

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// endSession is RP-Initiated Logout 1.0. An ID token as hint names the session to end. Without one the person is asked, because
// any page on the web can send a browser here. The browser is sent on only to an address that the client registered.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	q, err := params(r)
	if err != nil || repeated(q) != "" {
		p.notice(w, http.StatusBadRequest, "This sign-out link is broken", "It cannot be read.")
		return
	}
	hint, hinted := p.hinted(q.Get("id_token_hint"))
	client := q.Get("client_id")
	switch {
	case q.Has("id_token_hint") && !hinted:
		p.notice(w, http.StatusBadRequest, "This sign-out link is broken", "Its id_token_hint is not an ID token of this provider.")
		return
	case hinted && client != "" && client != hint.Aud:
		p.notice(w, http.StatusBadRequest, "This sign-out link is broken", "Its client_id is not the one of its id_token_hint.")
		return
	case hinted:
		client = hint.Aud
	}
	to := q.Get("post_logout_redirect_uri")
	if to != "" && !slices.Contains(p.clients[client].PostLogoutRedirectURIs, to) {
		p.notice(w, http.StatusBadRequest, "This sign-out link leads elsewhere",
			"Its post_logout_redirect_uri is not exactly one that the application registered, so nothing is sent there.")
		return
	}
	if !hinted {
		p.confirm(w, r, client, to, q.Get("state"))
		return
	}
	p.end(r.Context(), hint.Sid)
	p.goodbye(w, r, to, q.Get("state"))
}

// home shows who is signed in here, with a way out.
func (p *Provider) home(w http.ResponseWriter, r *http.Request) { p.confirm(w, r, "", "", "") }

func (p *Provider) confirm(w http.ResponseWriter, r *http.Request, client, to, state string) {
	s := p.current(r)
	if s.id == "" {
		p.goodbye(w, r, to, state)
		return
	}
	view := leavePage{Base: p.base, Client: client, To: to, State: state, Token: s.cookieToken()}
	p.mu.Lock()
	view.Who = p.face(s.subject)
	p.mu.Unlock()
	p.render(w, http.StatusOK, "leave", view)
}

// cookieToken is the token of the sign-out form: a digest of the session's secret, known only to who holds the cookie.
func (s session) cookieToken() string { return atHash("ES256", "sign-out form of "+s.cookie) }

// signOut is the click on "Sign out", on the provider's own page.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	q, err := params(r)
	s := p.current(r)
	to := q.Get("to")
	switch {
	case err != nil || repeated(q) != "" || s.id == "" || !same(q.Get("token"), s.cookieToken()):
		p.notice(w, http.StatusForbidden, "This form is too old", "Please open the sign-out page again.")
		return
	case to != "" && !slices.Contains(p.clients[q.Get("client")].PostLogoutRedirectURIs, to):
		p.notice(w, http.StatusBadRequest, "This sign-out link leads elsewhere", "Nothing is sent there.")
		return
	}
	p.end(r.Context(), s.id)
	p.setCookie(w, "session", "")
	p.goodbye(w, r, to, q.Get("state"))
}

// goodbye sends the browser to a registered address, or says that it is done.
func (p *Provider) goodbye(w http.ResponseWriter, r *http.Request, to, state string) {
	if to == "" {
		p.notice(w, http.StatusOK, "You are signed out", "Nobody is signed in at this provider in this browser.")
		return
	}
	values := url.Values{}
	if state != "" {
		values.Set("state", state)
	}
	redirect(w, r, to, values)
}

// end ends a session, which ends its grants, and tells every client that took part (Back-Channel Logout 1.0). All are told at
// once; one that does not answer in time is logged and left.
func (p *Provider) end(ctx context.Context, sid string) {
	p.mu.Lock()
	s, ok := p.alive(sid)
	p.sessions.drop(sid)
	p.cookies.drop(s.cookie)
	p.mu.Unlock()
	if !ok {
		return
	}
	// The person may close the page; the clients hear of it all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliveryTime)
	defer cancel()
	var all sync.WaitGroup
	for _, id := range s.clients {
		if to := p.clients[id].BackchannelLogoutURI; to != "" {
			all.Go(func() { p.tell(ctx, id, to, s) })
		}
	}
	all.Wait()
}

func (p *Provider) tell(ctx context.Context, client, to string, s session) {
	if err := p.deliver(ctx, client, to, s); err != nil {
		p.cfg.Log.Warn("back-channel logout not delivered", "client", client, "sid", s.id, "error", err)
		return
	}
	p.cfg.Log.Info("back-channel logout delivered", "client", client, "sid", s.id)
}

func (p *Provider) deliver(ctx context.Context, client, to string, s session) error {
	token, err := p.newLogoutToken(client, s)
	if err != nil {
		return err
	}
	body := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, body)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("posting: %w", err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection can be used again; the answer says nothing
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the client answered %d", resp.StatusCode)
	}
	return nil
}

// newLogoutToken is Back-Channel Logout 1.0 section 2.4.
func (p *Provider) newLogoutToken(client string, s session) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Now()
	return p.sign(logoutToken, map[string]any{
		"iss": p.cfg.Issuer, "aud": client, "sub": s.subject, "sid": s.id, "jti": random(),
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "events": map[string]any{logoutEvent: struct{}{}},
	})
}
