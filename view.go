package redoubt

import (
	"io"

	"github.com/redoubt-dev/redoubt/layer"
)

// A View is what a page handler returns: which template, and the data it shows.
type View struct {
	Page  string // the template's name, a folder of the application's web pages: "feed", "orders"
	Title string // the document's title, without the application's name
	Data  any    // the template's own type
}

// A Renderer turns a View into HTML. The application supplies it; Redoubt calls it after the page gate has passed.
// It must not write anything that it has not escaped, nor inline scripts or styles without Frame.Nonce.
type Renderer interface {
	Render(w io.Writer, f Frame, v View) error
}

// A Frame is what surrounds every page: who is looking, and what a form on it needs.
type Frame struct {
	Application string  // the application's name
	Path        string  // the path asked for, without the query
	Nonce       string  // of this response's content security policy (SYSTEM T2)
	Token       string  // the synchroniser token: every form carries it as "_token" (SYSTEM T3); empty when signed out
	Viewer      *Viewer // nil when signed out
	Notice      string  // one sentence about what has just been done; empty for none

	// A form on this page that was refused: what was typed, and what is wrong, by field name. Both nil otherwise.
	Typed   map[string]string
	Problem *Problem
	Kept    bool // Typed is what the viewer typed before they were sent to prove who they are; nothing is wrong with it
}

// A Viewer is who looks at a page, as the session store says at the moment of rendering (SYSTEM A2).
type Viewer struct {
	Name          string // from the identity provider
	Email         string
	Profile       layer.ProfileID
	Organization  Organization
	Organizations []Organization // all that the person may switch to, the current one included
	Administrator bool
	Onboarded     bool                    // has completed a profile in this organization
	Role          string                  // in this organization: "owner", "admin", "member" or "guest"
	Creator       bool                    // may make organizations
	May           func(scope string) bool // what their session allows, to spare them dead ends; nil for nothing
}

// An Organization is one tenant, as its members see it.
type Organization struct {
	ID   layer.OrgID `json:"id"`
	Name string      `json:"name"`
}

// A Problem is an error as people and programs outside may see it: problem details, RFC 9457.
type Problem struct {
	Type      string        `json:"type"`                 // a stable address of this kind of problem
	Title     string        `json:"title"`                // the kind, in words
	Status    int           `json:"status"`               // the HTTP status
	Detail    string        `json:"detail,omitempty"`     // one sentence about this one
	RequestID string        `json:"instance,omitempty"`   // to quote when asking for help
	RefusedBy layer.Layer   `json:"refused_by,omitempty"` // which layer said no
	Errors    []layer.Field `json:"errors,omitempty"`     // every wrong field at once

	challenge string // for WWW-Authenticate, if a better proof of who the person is would lift it (RFC 9470)
}

// Field returns what is wrong with the named field, for showing beside it; empty for nothing. It accepts a nil Problem.
func (p *Problem) Field(name string) string {
	if p == nil {
		return ""
	}
	for _, f := range p.Errors {
		if f.Name == name {
			return f.Detail
		}
	}
	return ""
}
