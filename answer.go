package redoubt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// statuses is the one table from a refusal's reason to HTTP (RFC 9110) and to a problem's title (RFC 9457).
var statuses = map[layer.Reason]struct {
	status int
	title  string
}{
	layer.Unauthenticated: {http.StatusUnauthorized, "Not signed in"},
	layer.Unproven:        {http.StatusUnauthorized, "Please confirm that it is you"},
	layer.Forbidden:       {http.StatusForbidden, "Not allowed"},
	layer.NotFound:        {http.StatusNotFound, "Not found"},
	layer.Invalid:         {http.StatusUnprocessableEntity, "Some fields need attention"},
	layer.Malformed:       {http.StatusBadRequest, "Not readable"},
	layer.Unsupported:     {http.StatusUnsupportedMediaType, "Not taken here"},
	layer.TooLarge:        {http.StatusRequestEntityTooLarge, "Too large"},
	layer.Conflict:        {http.StatusConflict, "In conflict"},
	layer.Limited:         {http.StatusTooManyRequests, "Too many requests"},
	layer.Unavailable:     {http.StatusServiceUnavailable, "Not available"},
}

// asRefusal gives every error an author and a reason. What is not a refusal is our own fault, and says nothing outside.
func asRefusal(err error) *layer.Refusal {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &layer.Refusal{Cause: err}
}

func (s *Server) problem(r *http.Request, refusal *layer.Refusal) *Problem {
	known, ok := statuses[refusal.Reason]
	if !ok {
		return &Problem{Type: "about:blank", Title: "Something went wrong", Status: http.StatusInternalServerError,
			Detail: "This is our fault and has been recorded. Please try again later.", RequestID: layer.VisitFrom(r.Context()).RequestID}
	}
	status := known.status
	if errors.Is(refusal.Cause, errMethod) {
		status = http.StatusMethodNotAllowed
	}
	p := &Problem{Type: "urn:redoubt:problem:" + string(refusal.Reason), Title: known.title, Status: status, Detail: refusal.Public,
		RequestID: layer.VisitFrom(r.Context()).RequestID, RefusedBy: refusal.By, Errors: refusal.Fields}
	if unmet := unmetBy(refusal); unmet != nil {
		p.challenge = s.challenge(unmet.Needs)
	}
	return p
}

// unmetBy is what the person has to prove, if that would lift the refusal.
func unmetBy(refusal *layer.Refusal) (unmet *layer.Unmet) {
	if refusal.Reason != layer.Unproven || !errors.As(refusal.Cause, &unmet) {
		return nil
	}
	return unmet
}

// record writes a refusal to the log: who refused and why, never what was submitted (SYSTEM M1).
func (s *Server) record(r *http.Request, who layer.Principal, p *Problem, refusal *layer.Refusal) {
	level := slog.LevelInfo
	if p.Status >= 500 {
		level = slog.LevelError
	}
	s.log.LogAttrs(r.Context(), level, "refused", slog.Int("status", p.Status), slog.String("by", string(refusal.By)), slog.String("reason", string(refusal.Reason)),
		slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Any("who", who), slog.String("request", p.RequestID), slog.Any("cause", refusal.Cause))
}

// refuse answers a request that a layer has turned away before a route was found; transport calls it too.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, refusal *layer.Refusal) {
	(&call{s: s, w: w, r: r, route: s.unrouted(r)}).refuse(refusal)
}

// refuseBare answers what came past the edge: without pages, cookies or anything else of the application's.
func (s *Server) refuseBare(w http.ResponseWriter, r *http.Request, refusal *layer.Refusal) {
	p := s.problem(r, refusal)
	s.record(r, layer.Principal{}, p, refusal)
	w.Header().Set("Cache-Control", "no-store")
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"status":500}`) // a Problem is strings and numbers; it marshals
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", cmp.Or(p.challenge, "Bearer"))
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}

// refuse answers err in the form that suits who asked: problem details for programs, a page for people.
func (c *call) refuse(err error) {
	if errors.Is(err, context.Canceled) && c.r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	refusal := asRefusal(err)
	p := c.s.problem(c.r, refusal)
	c.s.record(c.r, c.who, p, refusal)
	switch {
	case c.route.refused != nil:
		c.route.refused(c, p, refusal)
	case c.wantsJSON():
		writeProblem(c.w, p)
	case unmetBy(refusal) != nil && c.who.Interactive():
		c.proveAgain(unmetBy(refusal))
	case c.mayReturn(refusal):
		http.Redirect(c.w, c.r, signInPath+"?"+url.Values{"return": {c.r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
	case c.route.back != "" && goesBack(refusal):
		c.again(p)
	default:
		c.problemPage(p)
	}
}

// goesBack tells what somebody can mend, or try again in a while: the form is shown once more, with what they typed.
func goesBack(refusal *layer.Refusal) bool {
	return refusal.Reason == layer.Invalid || refusal.Reason == layer.Conflict || len(refusal.Fields) > 0 ||
		refusal.By == layer.Input && (refusal.Reason == layer.Unavailable || refusal.Reason == layer.Limited)
}

// wantsJSON reports whether a program asked.
func (c *call) wantsJSON() bool {
	return c.route.kind == api && c.route.run != nil || strings.HasPrefix(c.r.URL.Path, "/api/") || c.s.pages == nil ||
		strings.HasPrefix(c.r.Header.Get("Accept"), "application/json") || strings.HasPrefix(c.r.Header.Get("Accept"), "application/problem+json")
}

// mayReturn reports whether signing in would help: a person asked for a page without a living session.
func (c *call) mayReturn(refusal *layer.Refusal) bool {
	page := (c.route.kind == page_ || c.route.kind == download_) && c.route.run != nil || c.route.Pattern == "GET "+stepUpPath
	if refusal.Reason != layer.Unauthenticated || !page {
		return false
	}
	_, local := transport.LocalPath(c.r.URL.RequestURI())
	return local && refusal.By != layer.Perimeter
}

// again shows the page of a refused form once more, with what was typed and what is wrong beside the fields.
func (c *call) again(p *Problem) {
	back := c.s.routes[c.route.back]
	r := c.r.Clone(c.r.Context())
	r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, http.NoBody, 0, ""
	r.Header.Del("Content-Type")
	in := reflect.New(back.in)
	shown := &call{s: c.s, w: c.w, r: r, route: back, who: c.who}
	err := c.s.gate.Check(back.Pattern, c.who)
	if err == nil {
		err = back.schema.Bind(r, input.Limits{}, shown.target(in))
	}
	var out any
	if err == nil {
		out, err = back.run(r.Context(), c.who, in.Interface())
	}
	if err != nil {
		c.problemPage(p)
		return
	}
	c.problem = p
	if err := c.page(out.(View), p.Status); err != nil {
		c.problemPage(p)
	}
}

// problemPage shows a problem to a person. If that fails too, a program's answer is better than none.
func (c *call) problemPage(p *Problem) {
	c.problem = nil
	v := View{Page: "problem", Title: p.Title, Data: *p}
	err := c.page(v, p.Status)
	if err != nil && !c.who.Nobody() { // the second gate refuses them: show it as to a stranger
		c.who = layer.Principal{}
		err = c.page(v, p.Status)
	}
	if err != nil {
		c.s.log.Error("showing a problem", "cause", err)
		writeProblem(c.w, p)
	}
}

// report writes a violation of the content security policy to the log (SYSTEM T2).
func (s *Server) report(ctx context.Context, v transport.Report) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "content security policy violated", slog.Any("report", v), slog.String("request", layer.VisitFrom(ctx).RequestID))
}
