package devidp

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// offer shows the people to choose from, and remembers the ask until somebody is chosen.
func (p *Provider) offer(w http.ResponseWriter, r *http.Request, a ask, current session) {
	id := random()
	one := pending{ask: a, token: random(), browser: p.browser(w, r), begun: p.cfg.Now()}
	p.mu.Lock()
	p.pending.put(id, one)
	view := choosePage{Base: p.base, Request: id, Token: one.token, Client: a.client, People: p.faces(), Again: slices.Contains(a.prompt, "login")}
	if current.id != "" {
		view.Continue = p.face(current.subject)
		view.People = slices.DeleteFunc(view.People, func(f *face) bool { return f.Subject == current.subject })
	}
	p.mu.Unlock()
	p.render(w, http.StatusOK, "choose", view)
}

// choose is the click. It is taken once, with the token of the form and from the browser to which the form was shown, so that
// no other page can sign somebody in as a person of its choice.
func (p *Provider) choose(w http.ResponseWriter, r *http.Request) {
	q, err := params(r)
	if err != nil || repeated(q) != "" {
		p.notice(w, http.StatusBadRequest, "This form is broken", "It cannot be read. Please start again in the application.")
		return
	}
	one, ok := p.claim(q.Get("request"), q.Get("token"), p.cookie(r, "browser"))
	if !ok {
		p.notice(w, http.StatusForbidden, "This sign-in is over",
			"It was used already, is too old, or was opened in another browser. Please start again in the application.")
		return
	}
	if q.Has("cancel") {
		p.answer(w, r, one.ask, url.Values{"error": {"access_denied"}, "error_description": {"The person cancelled."}})
		return
	}
	s, ok := p.signIn(w, r, q.Get("subject"), q.Has("second_factor"))
	if !ok {
		p.notice(w, http.StatusBadRequest, "There is no such person", "Please start again in the application.")
		return
	}
	p.answer(w, r, one.ask, url.Values{"code": {p.newCode(s, one.ask)}})
}

// claim takes a pending ask away. A wrong token or browser leaves it to its owner.
func (p *Provider) claim(id, token, browser string) (pending, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.pending.get(id)
	if !ok || browser == "" || !same(one.token, token) || !same(one.browser, browser) {
		return pending{}, false
	}
	p.pending.drop(id)
	return one, p.cfg.Now().Sub(one.begun) <= pendingLife
}

// signIn starts a session, or refreshes the one that the same person has in this browser. Somebody else's ends: one browser
// holds one person.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request, subject string, secondFactor bool) (session, bool) {
	before := p.current(r)
	p.mu.Lock()
	_, known := p.people[subject]
	p.mu.Unlock()
	if !known {
		return session{}, false
	}
	s := session{id: random(), subject: subject}
	switch {
	case before.id != "" && before.subject == subject:
		s = before
	case before.id != "":
		p.end(r.Context(), before.id)
	}
	old := s.cookie
	s.cookie, s.authTime, s.acr = random(), p.cfg.Now(), ACROneFactor
	if secondFactor {
		s.acr = ACRTwoFactor
	}
	p.remember(s, old)
	p.setCookie(w, "session", s.cookie)
	p.cfg.Log.Info("signed in", "subject", subject, "sid", s.id)
	return s, true
}

func (p *Provider) remember(s session, oldCookie string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cookies.drop(oldCookie)
	p.cookies.put(s.cookie, s.id)
	p.sessions.put(s.id, s)
}

// current is the session of a browser; its id is empty when there is none.
func (p *Provider) current(r *http.Request) session {
	p.mu.Lock()
	defer p.mu.Unlock()
	sid, _ := p.cookies.get(p.cookie(r, "session"))
	s, _ := p.alive(sid)
	return s
}

// alive returns a session that has neither ended nor expired. The caller holds the lock.
func (p *Provider) alive(sid string) (session, bool) {
	s, ok := p.sessions.get(sid)
	if !ok || p.cfg.Now().Sub(s.authTime) >= sessionLife {
		return session{}, false
	}
	return s, true
}

// browser names the browser to which a form is shown, with a cookie of its own, so that several tabs can wait at once.
func (p *Provider) browser(w http.ResponseWriter, r *http.Request) string {
	if name := p.cookie(r, "browser"); len(name) == len(random()) {
		return name
	}
	name := random()
	p.setCookie(w, "browser", name)
	return name
}

// cookieName binds a cookie to this host and to https where there is https (RFC 6265bis, section 4.1.3.2).
func (p *Provider) cookieName(name string) string {
	if p.secure {
		return "__Host-devidp-" + name
	}
	return "devidp-" + name
}

func (p *Provider) cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(p.cookieName(name)); err == nil {
		return c.Value
	}
	return ""
}

// setCookie sets a cookie that ends with the browser. An empty value removes it. Lax lets it come along when an
// application sends its people here.
func (p *Provider) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{Name: p.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge, c.Expires = -1, time.Unix(1, 0)
	}
	http.SetCookie(w, c)
}
