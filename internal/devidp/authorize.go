package devidp

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An ask is one authorization request that has passed every check.
type ask struct {
	client    string
	redirect  string
	state     string
	nonce     string
	challenge string
	scope     []string
	prompt    []string
	acr       []string
	maxAge    time.Duration // negative when it was not given
}

// A pending ask waits for somebody to choose a person, in the browser that brought it.
type pending struct {
	ask
	token   string // the form's, against forged posts
	browser string
	begun   time.Time
}

// A session is a browser in which somebody has signed in.
type session struct {
	id       string // the sid claim; not a secret
	cookie   string // the secret that the browser holds
	subject  string
	authTime time.Time
	acr      string
	clients  []string // who must hear of the end
}

// A protocolError is an error of RFC 6749 section 4.1.2.1 or 5.2, or of OpenID Connect Core 1.0 section 3.1.2.6.
type protocolError struct{ code, description string }

func (e *protocolError) Error() string { return e.code + ": " + e.description }

// authorize is the authorization endpoint. Until the client and its address are known to belong together nothing is
// redirected, so that the provider cannot be used to send people elsewhere (RFC 9700 section 4.11).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q, err := params(r)
	client, known := p.clients[q.Get("client_id")]
	switch {
	case err != nil:
		p.notice(w, http.StatusBadRequest, "This sign-in link is broken", "The request cannot be read.")
		return
	case !known || len(q["client_id"]) != 1:
		p.notice(w, http.StatusBadRequest, "This application is not known", "Its client_id is not registered here.")
		return
	case len(q["redirect_uri"]) != 1 || !slices.Contains(client.RedirectURIs, q.Get("redirect_uri")):
		p.notice(w, http.StatusBadRequest, "This sign-in link leads elsewhere",
			"Its redirect_uri is not exactly one that the application registered, so nothing is sent there.")
		return
	}
	a, refused := readAsk(q)
	if refused != nil {
		p.answer(w, r, a, url.Values{"error": {refused.code}, "error_description": {refused.description}})
		return
	}
	p.decide(w, r, a)
}

// decide answers at once when the browser's session suffices, and shows the people otherwise.
func (p *Provider) decide(w http.ResponseWriter, r *http.Request, a ask) {
	current := p.current(r)
	switch {
	case current.id != "" && p.suffices(current, a):
		p.answer(w, r, a, url.Values{"code": {p.newCode(current, a)}})
	case slices.Contains(a.prompt, "none"):
		p.answer(w, r, a, url.Values{"error": {"login_required"}, "error_description": {"Nobody has signed in here, or not well enough."}})
	default:
		p.offer(w, r, a, current)
	}
}

// suffices reports whether a session answers an ask without a page.
func (p *Provider) suffices(s session, a ask) bool {
	asked := slices.ContainsFunc(a.prompt, func(prompt string) bool { return prompt != "none" })
	fresh := a.maxAge < 0 || a.maxAge > 0 && p.cfg.Now().Sub(s.authTime) <= a.maxAge
	strong := len(a.acr) == 0 || slices.Contains(a.acr, s.acr)
	return !asked && fresh && strong
}

// readAsk checks the parameters. The ask that it returns with an error is good enough to send the error back with.
func readAsk(q url.Values) (ask, *protocolError) {
	a := ask{client: q.Get("client_id"), redirect: q.Get("redirect_uri"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"),
		scope: strings.Fields(q.Get("scope")), prompt: strings.Fields(q.Get("prompt")), acr: strings.Fields(q.Get("acr_values")), maxAge: -1}
	if len(q["state"]) == 1 {
		a.state = q.Get("state")
	}
	for _, check := range []func(url.Values, *ask) *protocolError{checkShape, checkPKCE, checkPrompt, checkMaxAge} {
		if refused := check(q, &a); refused != nil {
			return a, refused
		}
	}
	return a, nil
}

func checkShape(q url.Values, a *ask) *protocolError {
	switch {
	case repeated(q) != "":
		return &protocolError{"invalid_request", "A parameter is given twice."}
	case q.Has("request"):
		return &protocolError{"request_not_supported", "Request objects are not taken."}
	case q.Has("request_uri"):
		return &protocolError{"request_uri_not_supported", "Request objects are not taken."}
	case q.Get("response_type") != "code":
		return &protocolError{"unsupported_response_type", "Only the code flow is spoken here."}
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return &protocolError{"invalid_request", "The answer comes in the query only."}
	case !slices.Contains(a.scope, "openid"):
		return &protocolError{"invalid_scope", "The scope must contain openid."}
	case len(a.nonce) > 512 || len(a.state) > 2048:
		return &protocolError{"invalid_request", "The nonce or the state is too long."}
	}
	return nil
}

// checkPKCE insists on S256: RFC 7636 section 4.2 and RFC 9700 section 2.1.1. The plain method proves nothing to somebody who
// has seen the request, and leaving the method out means plain.
func checkPKCE(q url.Values, a *ask) *protocolError {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(a.challenge)
	if q.Get("code_challenge_method") != "S256" || err != nil || len(sum) != 32 {
		return &protocolError{"invalid_request", "PKCE with S256 is required."}
	}
	return nil
}

func checkPrompt(_ url.Values, a *ask) *protocolError {
	known := []string{"none", "login", "consent", "select_account"}
	for _, prompt := range a.prompt {
		if !slices.Contains(known, prompt) || prompt == "none" && len(a.prompt) > 1 {
			return &protocolError{"invalid_request", "The prompt is not known, or contradicts itself."}
		}
	}
	return nil
}

func checkMaxAge(q url.Values, a *ask) *protocolError {
	if !q.Has("max_age") {
		return nil
	}
	seconds, err := strconv.ParseUint(q.Get("max_age"), 10, 31)
	if err != nil {
		return &protocolError{"invalid_request", "The max_age is not a number of seconds."}
	}
	a.maxAge = time.Duration(seconds) * time.Second
	return nil
}

// answer sends the browser back to the client's registered address, with state and with iss (RFC 9207).
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, a ask, values url.Values) {
	if a.state != "" {
		values.Set("state", a.state)
	}
	values.Set("iss", p.cfg.Issuer)
	redirect(w, r, a.redirect, values)
}

// redirect sends the browser to a registered address with more parameters. 303 turns a POST into a GET, so that a form is
// never posted on (RFC 9700 section 4.12).
func redirect(w http.ResponseWriter, r *http.Request, to string, values url.Values) {
	u, err := url.Parse(to)
	if err != nil { // New has parsed every registered address
		http.Error(w, "the registered address cannot be read", http.StatusInternalServerError)
		return
	}
	q := u.Query()
	for name, v := range values {
		q[name] = v
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// newCode makes a code for a session and remembers that the client takes part in it.
func (p *Provider) newCode(s session, a ask) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, ok := p.alive(s.id); ok && !slices.Contains(now.clients, a.client) {
		now.clients = append(slices.Clone(now.clients), a.client) // at most maxClients
		p.sessions.put(now.id, now)
	}
	g := &grant{client: a.client, subject: s.subject, sid: s.id, scope: a.scope, authTime: s.authTime, acr: s.acr}
	value := random()
	p.codes.put(value, &code{grant: g, redirect: a.redirect, challenge: a.challenge, nonce: a.nonce, issued: p.cfg.Now()})
	return value
}
