package access

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// A visit is one request, with what the gate has found out about it.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	of      Visitor
	at      *application
	own     own
	session *session
	service *Service
	who     assertion.SignOn
	refused *layer.Refusal
}

var (
	errNoHost     = refusal(layer.NotFound, "This server does not serve that host.")
	errToken      = refusal(layer.Unauthenticated, "The service token is not valid.")
	errQueryToken = refusal(layer.Malformed, "A service token belongs in the header "+ServiceHeader+", never into an address: have it replaced.")
	errUnknown    = refusal(layer.Unauthenticated, "Sign in to go on.")
	errForbidden  = refusal(layer.Forbidden, "You may not do this here.")
	errBlocked    = refusal(layer.Forbidden, "You are shut out at the moment. If that is a mistake, tell those who run this.")
	errBusy       = refusal(layer.Unavailable, "Who you are cannot be established at the moment. Try again soon.")
)

func refusal(reason layer.Reason, public string) *layer.Refusal {
	return &layer.Refusal{By: layer.Perimeter, Reason: reason, Public: public}
}

func because(r *layer.Refusal, cause error) *layer.Refusal {
	with := *r
	with.Cause = cause
	return &with
}

// Admit decides about r (SYSTEM P4). What is the gate's own leaves r first, whatever is decided then.
func (g *Guard) Admit(w http.ResponseWriter, r *http.Request, v Visitor) (Admission, bool) {
	x := &visit{w: w, r: r, of: v, own: takeCookies(r.Header)}
	token, given := takeToken(r.Header)
	if x.at = g.application(r, v); x.at == nil {
		return x.refuse(errNoHost), true
	}
	if g.blocks.network(v.Client) {
		return x.refuse(errBlocked), true
	}
	if strings.HasPrefix(r.URL.Path, Reserved) || r.URL.Path == strings.TrimSuffix(Reserved, "/") {
		g.room(x)
		return Admission{Who: x.who, Refused: x.refused}, true
	}
	if r.URL.RawQuery != "" && tokenInQuery(r.URL.RawQuery) {
		return x.refuse(errQueryToken), true
	}
	if why := g.identify(x, token, given); why != nil {
		return x.refuse(why), true
	}
	return g.judge(x)
}

// identify finds out who asks. A credential that is wrong is refused even where anybody may pass: whoever sent it meant to be somebody.
func (g *Guard) identify(x *visit, token string, given bool) *layer.Refusal {
	x.who = assertion.SignOn{By: assertion.ByNobody}
	if given {
		s, ok := g.service(token)
		if !ok {
			return errToken
		}
		x.service, x.who = &s, s.signOn()
		return nil
	}
	s, err := g.session(x.at, x.own)
	if err != nil {
		return because(errBusy, err)
	}
	if s != nil {
		x.session, x.who = s, s.Who
	}
	if g.blocks.person(x.who) {
		return errBlocked
	}
	return nil
}

func (x *visit) question() policy.Request {
	return policy.Request{Host: x.at.host, Path: x.r.URL.EscapedPath(), Method: x.r.Method, Client: x.of.Client, Who: x.who}
}

func (g *Guard) judge(x *visit) (Admission, bool) {
	q := x.question()
	d := g.decide(x.at, q)
	if !d.Allow {
		return g.deny(x, q, d)
	}
	a := Admission{Who: x.who, Rule: d.Rule}
	s, service, at := x.session, x.service, x.at // and not x: a request may last for days, and its answer's writer with it
	if s != nil {
		a.Ended = g.endings.over(s)
	}
	a.Again = func() bool { return g.still(s, service) && !g.blocks.either(q.Client, q.Who) && g.decide(at, q).Allow }
	return a, false
}

// decide asks the policies of this moment. Without any, nothing is allowed.
func (g *Guard) decide(at *application, q policy.Request) policy.Decision {
	p := g.config.Policies(at.Name)
	if p == nil {
		return policy.Decision{Why: "there is no policy"}
	}
	return p.Decide(q)
}

// still reports whether the credential of a request that lasts is as good as it was.
func (g *Guard) still(s *session, service *Service) bool {
	if s != nil {
		lives, err := g.lives(s)
		return lives && err == nil
	}
	return service == nil || slices.Contains(*g.services.Load(), *service)
}

// deny answers who may not pass: strangers at a browser are led to the sign-on if it could help them. The answer depends on policies
// and on who asks, and on nothing that the application has.
func (g *Guard) deny(x *visit, q policy.Request, d policy.Decision) (Admission, bool) {
	cause := errors.New(d.Why)
	nobody := x.who.By == assertion.ByNobody
	var a Admission
	switch p := g.config.Policies(x.at.Name); {
	case !nobody || p == nil || !p.Hopeful(q):
		a = x.refuse(because(errForbidden, cause))
	case x.r.Method == http.MethodGet && x.navigates():
		x.move(g.signOnPath(x.r.URL.RequestURI()))
		a = Admission{Who: x.who, Refused: because(errUnknown, cause)}
	default:
		a = x.refuse(because(errUnknown, cause))
	}
	a.Rule = d.Rule
	return a, true
}

// navigates reports whether a person looks at what comes back. Browsers say so (Fetch Metadata); of what does not, Accept is believed:
// nothing but the form of an answer depends on it.
func (x *visit) navigates() bool {
	if mode := x.r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(x.r.Header.Get("Accept"), "text/html")
}
