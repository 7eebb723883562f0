package redoubt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// An Access says who may ask for a route. A route without one stops the program from starting (SYSTEM A1).
type Access = route.Access

// The declarations of access.
var (
	Public         = route.Public         // anybody, signed in or not
	Members        = route.Members        // a person with a session in an organization
	Administrators = route.Administrators // a person whom the identity provider calls an administrator of the organization
)

// Scope admits every caller whose credential allows it: a person whose role has the scope, or an API key that was given it.
func Scope(name string) Access { return route.Scope(name) }

// MembersWith admits a person with a session whose role has the scope, and no API key: for pages that not everybody has, and their forms.
func MembersWith(scope string) Access { return route.MembersWith(scope) }

type kind int

const (
	page_ kind = iota
	form
	api
	download_
	builtin // one of Redoubt's own, which needs the http.Request itself
)

// A Route is one thing that the outside may ask of an application: a pattern of net/http.ServeMux, who may ask, what they may
// say, and what answers. One declaration serves the mux, the gates, validation and the OpenAPI document.
type Route struct {
	Pattern string
	Access  Access
	needs   layer.Assurance // beyond Access; see Fresh
	kind    kind
	in      reflect.Type
	out     reflect.Type
	schema  *input.Schema
	run     func(ctx context.Context, who layer.Principal, in any) (any, error)
	serve   func(*call) error // for builtin
	outside bool              // for builtin: a layer further out answers before any route is looked for

	machines bool                                  // for builtin: programs alone call its path, without a credential, and browsers never
	endpoint bool                                  // for builtin: an endpoint's credential says who asks, and serve reads the body itself
	refused  func(*call, *Problem, *layer.Refusal) // for builtin: renders refusals in the form of a protocol; nil for ours

	back    string // the page that a refused form shows again
	then    string // where a form leads when it is done
	notice  string // what the next page says about it
	summary string
}

// Handler is what an application writes for a route: who asks is a parameter, what they say is already checked.
type Handler[In, Out any] func(ctx context.Context, who layer.Principal, in In) (Out, error)

// Page answers a GET with a rendered page.
func Page[In any](pattern string, access Access, h Handler[In, View]) Route {
	return declare(pattern, access, page_, h)
}

// Form answers the POST of an HTML form. Out may be a View, which is shown; or have a method Location() string, which is gone
// to; else Route.Then says where to go.
func Form[In, Out any](pattern string, access Access, h Handler[In, Out]) Route {
	return declare(pattern, access, form, h)
}

// APIPrefix is where programs find what people find without it: the order at /orders/1 is at /api/v1/orders/1.
const APIPrefix = "/api/v1"

// JSON answers a program: the body it takes and the one it gives are JSON. A POST whose Out has a method Location() string is
// answered 201 Created with that place under APIPrefix; an empty struct is answered 204 No Content.
func JSON[In, Out any](pattern string, access Access, h Handler[In, Out]) Route {
	return declare(pattern, access, api, h)
}

func declare[In, Out any](pattern string, access Access, k kind, h Handler[In, Out]) Route {
	return Route{Pattern: pattern, Access: access, kind: k, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		run: func(ctx context.Context, who layer.Principal, in any) (any, error) { return h(ctx, who, *in.(*In)) }}
}

// Back names the pattern of the page to show again, with what is wrong beside the fields, when the form is refused.
func (r Route) Back(page string) Route { r.back = page; return r }

// Then says where the form leads when it is done, and what the page there says about it; notice may be empty. The path ".."
// leads back to the page that the form was on.
func (r Route) Then(path, notice string) Route { r.then, r.notice = path, notice; return r }

// Doc gives the route its line in the OpenAPI document.
func (r Route) Doc(summary string) Route { r.summary = summary; return r }

// Method is the one HTTP method of the route. A GET route also answers HEAD.
func (r Route) Method() string { m, _, _ := strings.Cut(r.Pattern, " "); return m }

// Path is where the route is, with its wildcards: "/orders/{id}".
func (r Route) Path() string { _, p, _ := strings.Cut(r.Pattern, " "); return p }

// Takes is the kind of body that the route reads.
func (r Route) Takes() input.Mode {
	switch {
	case r.kind == page_ || r.Method() == http.MethodGet || r.Method() == http.MethodDelete:
		return input.ModeNone
	case r.kind == api && content(r.in):
		return input.ModeContent
	case r.kind == api:
		return input.ModeJSON
	}
	return input.ModeForm
}

// In is the struct that says everything which may be sent to the route, by the tags of package input.
func (r Route) In() reflect.Type { return r.in }

// Asks is who may ask, and what they have to prove, as people read it: "scope members:erase, fresh 5m".
func (r Route) Asks() string {
	if r.needs == (layer.Assurance{}) {
		return r.Access.String()
	}
	return r.Access.String() + ", " + r.needs.String()
}

// ForPrograms reports whether programs alone call the route, without a credential of ours, and browsers never.
func (r Route) ForPrograms() bool { return r.machines }

// String is the route as people read it in lists.
func (r Route) String() string { return fmt.Sprintf("%-45s %s", r.Pattern, r.Asks()) }

// methods are those that a route may have. HEAD comes with GET; OPTIONS is transport's to answer.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// plain refuses patterns that would answer more than they say: without a method, also a GET that a link on another site can make;
// for one host, nothing at another; with a slash at its end, everything beneath, by an id that nobody declares (SYSTEM A5).
func (r Route) plain() error {
	switch path := r.Path(); {
	case !slices.Contains(methods, r.Method()):
		return fmt.Errorf("route %q: begin with one of the methods %s", r.Pattern, strings.Join(methods, ", "))
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("route %q: after the method comes a path", r.Pattern)
	case strings.HasSuffix(path, "/"):
		return fmt.Errorf("route %q: it would answer everything beneath; write {$} or a wildcard at its end", r.Pattern)
	}
	return nil
}

func (r *Route) compile() (err error) {
	if err := r.plain(); err != nil {
		return err
	}
	if (r.kind == page_ || r.kind == download_) && r.Method() != "GET" || r.kind == form && r.Method() != "POST" {
		return fmt.Errorf("route %q: a page or a file is asked for with GET, a form sent with POST", r.Pattern)
	}
	if r.kind == form && r.then == "" && r.out != reflect.TypeFor[View]() && !r.out.Implements(reflect.TypeFor[locator]()) {
		return fmt.Errorf("route %q: say with Then where the form leads", r.Pattern)
	}
	if r.schema, err = input.For(r.in, r.Takes()); err != nil {
		return fmt.Errorf("route %q: %w", r.Pattern, err)
	}
	if err = r.schema.Fits(r.Pattern); err != nil {
		return fmt.Errorf("route %q: %w", r.Pattern, err)
	}
	return nil
}

type locator interface{ Location() string }

// mount registers everything and reports every fault at once.
func (s *Server) mount(app Routes) error {
	var faults []error
	if app.Pages == nil {
		faults = append(faults, errors.New("the application has no Pages to render with"))
	}
	for _, r := range append(s.builtins(app), app.Routes...) {
		if err := s.gate.Declare(r.Pattern, r.Access); err != nil {
			faults = append(faults, err)
			continue
		}
		if err := s.gate.Need(r.Pattern, r.needs); err != nil {
			faults = append(faults, err)
			continue
		}
		err := r.compile()
		if err == nil {
			err = s.storable(r)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		s.widen(r)
		if r.notice != "" {
			s.notices[noticeID(r.Pattern)] = r.notice
		}
		s.routes[r.Pattern] = r
		s.machines[r.Path()] = s.machines[r.Path()] || r.machines
	}
	for _, r := range s.routes {
		if r.back != "" && s.routes[r.back].kind != page_ || r.back != "" && s.routes[r.back].run == nil {
			faults = append(faults, fmt.Errorf("route %q: Back names no page: %q", r.Pattern, r.back))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for pattern, r := range s.routes {
		if !r.outside {
			s.handle(pattern)
		}
	}
	return s.document()
}

// Routes lists everything that s answers, Redoubt's own routes included, by path and method: the registry that the mux, the gate
// and the OpenAPI document were made from, for those who hold a program to it (SYSTEM A6).
func (s *Server) Routes() []Route {
	return slices.SortedFunc(maps.Values(s.routes), func(a, b Route) int {
		return cmp.Or(strings.Compare(a.Path(), b.Path()), strings.Compare(a.Method(), b.Method()))
	})
}
