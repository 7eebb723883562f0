package redoubt

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// document writes the OpenAPI document once, from the same declarations that check requests (SYSTEM N1).
func (s *Server) document() (err error) {
	var ops []input.Operation
	for _, pattern := range slices.Sorted(maps.Keys(s.routes)) {
		if r := s.routes[pattern]; r.kind == api || r.kind == download_ && strings.HasPrefix(r.Path(), APIPrefix+"/") {
			ops = append(ops, operation(r))
		}
	}
	s.openapi, err = input.OpenAPI(input.Info{
		Title: s.cfg.App.Name, Version: s.cfg.App.Version, Servers: []string{s.cfg.Origin},
		Security: []input.SecurityScheme{
			{Name: "key", Format: "Redoubt API key", Description: "An API key, made by a person under API keys, or a machine's access token from " + TokenPath + ". Its scopes bound what it may do."},
			{Name: "session", Cookie: "__Host-redoubt", Description: "A browser's session, from signing in. Requests that change something also carry the page's token in X-Redoubt-Token."},
		},
	}, ops)
	return err
}

func operation(r Route) input.Operation {
	op := input.Operation{Method: r.Method(), Path: r.Path(), ID: operationID(r), Summary: r.summary, In: r.schema, Tag: tag(r.Path())}
	if op.Summary == "" {
		op.Summary = r.Pattern
	}
	switch {
	case r.kind == download_:
		op.File = true
	case r.out.Kind() != reflect.Struct || r.out.NumField() > 0:
		op.Out = r.out
	}
	if r.Method() == "POST" && r.out.Implements(reflect.TypeFor[locator]()) {
		op.Status = http.StatusCreated
	}
	if r.needs.Asks() {
		op.Description = proof(r.needs)
	}
	if r.Access != route.Public {
		var scopes []string
		if name, ok := strings.CutPrefix(r.Access.String(), "scope "); ok {
			scopes = []string{name}
		}
		op.Security = []input.Requirement{{Scheme: "key", Scopes: scopes}, {Scheme: "session"}}
		op.Refusals = []int{http.StatusUnauthorized, http.StatusForbidden}
	}
	return op
}

// proof says what a caller of a session must have proved, and what becomes of one who has not.
func proof(needs layer.Assurance) string {
	text := "A person must have signed in"
	if needs.Level != "" {
		text += " at the level " + needs.Level
	}
	if needs.Within != 0 {
		text += fmt.Sprintf(" within the last %g minutes", needs.Within.Minutes())
	}
	text += ", else this is answered 401 with the error insufficient_user_authentication (RFC 9470)."
	if needs.Keys {
		return text + " API keys need no more than their scopes."
	}
	return text + " API keys are refused."
}

// operationID names an operation after its method and path: "getApiV1OrdersId".
func operationID(r Route) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(r.Method()))
	up := false
	for _, c := range r.Path() {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(c))
			up = false
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// tag is the noun that a path is about: "orders" for /api/v1/orders/{id}.
func tag(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 2 {
		return parts[2]
	}
	return ""
}

func (s *Server) serveDocument(c *call) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Write(s.openapi)
	return nil
}
