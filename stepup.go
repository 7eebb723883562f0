package redoubt

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Fresh asks that the person has proved who they are to the identity provider within d (SYSTEM I6): for what cannot be undone, or
// gives lasting power. Who has not is led to prove it, and back, with what they typed. A mutation asks for it a second time, of the
// database, by action.DoAssured.
func (r Route) Fresh(d time.Duration) Route { r.needs.Within = d; return r }

// Assured asks that the person has proved who they are at a level, such as "mfa": a name in identity.Config.Levels, or a value of the
// provider's acr or amr.
func (r Route) Assured(level string) Route { r.needs.Level = level; return r }

// KeysToo lets API keys pass that the route's access admits, although a key cannot prove anything again. Without it, what Fresh or
// Assured asks for needs a person at a browser.
func (r Route) KeysToo() Route { r.needs.Keys = true; return r }

// Needs is what the route asks for beyond its access.
func (r Route) Needs() layer.Assurance { return r.needs }

// stepUpPath is the page that explains why somebody has to prove who they are, and the form that leads them to it.
const stepUpPath = "/step-up"

// stepUpRoutes are Redoubt's own routes for it.
func (s *Server) stepUpRoutes() []Route {
	return []Route{
		own[stepUpFor]("GET "+stepUpPath, Members, s.stepUpPage),
		own[comeBackTo]("POST "+stepUpPath, Members, s.stepUp),
	}
}

type (
	stepUpFor struct {
		Return string `query:"return,omitempty" maxLength:"1024" doc:"the path of the page that asks for it; without one it is a form that is kept"`
	}
	comeBackTo struct {
		Return string `json:"return,omitempty" maxLength:"1024"`
	}
)

// A StepUp is what the page "step-up" shows: why somebody has to prove who they are, and what becomes of what they were doing.
type StepUp struct {
	Return   string // the page to come back to, for the form; empty if a form of theirs is kept, which says so itself
	Kept     bool   // what they typed is kept
	Lost     bool   // what they typed was too long to be kept
	Second   bool   // it needs a stronger sign-in than usual, such as one with a second factor
	Minutes  int    // how long a form is kept
	Provider string // the identity provider's name, as people read it
}

// An errand is why somebody steps up: where they come back to, how strong their proof has to be, and what is kept of what they typed.
type errand struct {
	page, level string
	kept, lost  bool
}

var errNoErrand = errors.New("nothing waits for this person to prove who they are")

// errand finds out why who is here: for a page of ours that asks for a proof, or for a form that is kept. What has to be proved
// follows from the declarations, and from nothing that the browser says.
func (c *call) errand(page string) (errand, error) {
	why := errand{}
	if page == "" {
		form, kept, err := c.s.cfg.Identity.KeptForm(c.r.Context(), c.who)
		if err != nil {
			return why, err
		}
		page, why.level, why.kept, why.lost = form.Page, form.Level, kept && !form.Lost, form.Lost
	} else {
		why.level = c.s.needsOf(page).Level
	}
	path, ok := transport.LocalPath(page)
	if !ok {
		return why, &layer.Refusal{By: layer.GateRoute, Reason: layer.NotFound, Public: "There is nothing here.", Cause: errNoErrand}
	}
	why.page = path
	return why, nil
}

// needsOf is what the page at a local path asks for.
func (s *Server) needsOf(path string) layer.Assurance {
	r, err := http.NewRequest(http.MethodGet, s.cfg.Origin+path, nil)
	if err != nil {
		return layer.Assurance{}
	}
	_, pattern := s.mux.Handler(r)
	return s.gate.Needs(pattern)
}

func (s *Server) stepUpPage(c *call) error {
	back := c.r.URL.Query().Get("return")
	why, err := c.errand(back)
	if err != nil {
		return err
	}
	if back != "" {
		back = why.page
	}
	return c.page(View{Page: "step-up", Title: "Confirm that it is you", Data: StepUp{Return: back, Kept: why.kept, Lost: why.lost,
		Second: why.level != "", Minutes: int(identity.PendingFormTime.Minutes()), Provider: s.cfg.ProviderTag}}, http.StatusOK)
}

func (s *Server) stepUp(c *call) error {
	why, err := c.errand(c.r.PostFormValue("return"))
	if err != nil {
		return err
	}
	return s.cfg.Identity.StepUp(c.w, c.r, c.who, why.level, why.page)
}

// keptCookie says that a form may be kept for this browser: look. It gives no right.
const keptCookie = "redoubt-kept"

// proveAgain leads somebody whose proof does not suffice to where they can renew it. A page is come back to. A form is kept until
// then, and shown again: it was refused, and only its sender can send it again. That must be a second press of the button, or a
// stolen link or a sign-in that somebody else has begun could make it happen.
func (c *call) proveAgain(unmet *layer.Unmet) {
	if c.route.kind == page_ {
		c.explain(c.r.URL.RequestURI())
		return
	}
	if err := c.keep(unmet.Needs.Level); err != nil {
		c.refuse(err)
		return
	}
	http.SetCookie(c.w, transport.Cookie(keptCookie, "1", identity.PendingFormTime))
	c.explain("")
}

// keep keeps what was typed; of what is too long, only where it was typed.
func (c *call) keep(level string) error {
	if err := c.fitting(); err != nil {
		return err
	}
	form := identity.PendingForm{Route: c.route.Pattern, Page: c.typedAt(), Level: level, Fields: c.typed()}
	kept, err := c.s.cfg.Identity.KeepForm(c.r.Context(), c.who, form)
	if err == nil && !kept {
		form.Fields, form.Lost = nil, true
		_, err = c.s.cfg.Identity.KeepForm(c.r.Context(), c.who, form)
	}
	return err
}

func (c *call) explain(back string) {
	to := stepUpPath
	if path, ok := transport.LocalPath(back); ok {
		to += "?" + url.Values{"return": {path}}.Encode()
	}
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
}

// fitting asks what has not been asked of c: whether it fits its route, and whether a page of ours has sent it. The first gate refuses
// before that. What is shown to somebody as their own must not be another site's.
func (c *call) fitting() error {
	if c.fits {
		return nil
	}
	_, release, err := c.bind(c.r)
	if err != nil {
		return err
	}
	defer release() // a file has to be chosen again
	return c.token()
}

// typedAt is the page that the form is on.
func (c *call) typedAt() string {
	back, ok := c.s.routes[c.route.back]
	if !ok {
		return c.cameFrom()
	}
	return wildcard.ReplaceAllStringFunc(strings.TrimSuffix(back.Path(), "{$}"), func(name string) string {
		return url.PathEscape(c.r.PathValue(strings.Trim(name, "{}")))
	})
}

var wildcard = regexp.MustCompile(`\{[^}]+\}`)

// restore puts what was typed before into the page that it was typed on.
func (c *call) restore() error {
	if _, err := c.r.Cookie(transport.CookieName(keptCookie)); err != nil || c.problem != nil || c.route.kind != page_ || !c.who.Interactive() {
		return nil
	}
	form, ok, err := c.s.cfg.Identity.KeptForm(c.r.Context(), c.who)
	if err != nil {
		return err
	}
	if page, _, _ := strings.Cut(form.Page, "?"); !ok || page != c.r.URL.Path {
		return nil
	}
	c.frame.Typed, c.frame.Kept = form.Fields, true
	if c.frame.Notice == "" {
		c.frame.Notice = "Nothing has been done yet. Your form is here as you left it: look at it once more, and press its button again."
	}
	return nil
}

// forget forgets a kept form once it has been sent and accepted.
func (c *call) forget() error {
	if _, err := c.r.Cookie(transport.CookieName(keptCookie)); err != nil || c.route.kind != form || !c.who.Interactive() {
		return nil
	}
	kept, ok, err := c.s.cfg.Identity.KeptForm(c.r.Context(), c.who)
	if err != nil || !ok || kept.Route != c.route.Pattern {
		return err
	}
	http.SetCookie(c.w, transport.Expired(keptCookie))
	return c.s.cfg.Identity.DropForm(c.r.Context(), c.who)
}

// challenge is what a program is told that has to bring a better proof (RFC 9470 section 3).
func (s *Server) challenge(needs layer.Assurance) string {
	text := `Bearer error="insufficient_user_authentication", error_description="The person has to prove again who they are"`
	if values := s.cfg.Identity.ACRValues(needs.Level); len(values) > 0 {
		text += `, acr_values="` + strings.Join(values, " ") + `"`
	}
	if needs.Within > 0 {
		text += `, max_age="` + strconv.Itoa(int(needs.Within.Seconds())) + `"`
	}
	return text
}
