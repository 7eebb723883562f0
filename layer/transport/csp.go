package transport

import (
	"context"
	"strings"
)

// A source is one word on the right of a directive. Only these words and configured origins exist, so nobody can write
// 'unsafe-inline' by mistake.
type source string

const (
	none   source = "'none'"
	self   source = "'self'"
	script source = "'script'"
)

func nonced(nonce string) source { return source("'nonce-" + nonce + "'") }

// A directive is one line of a policy.
type directive struct {
	name    string
	sources []source
}

type policy []directive

// pagePolicy is for HTML (SYSTEM T2). It is stricter than default-src 'self': what is not listed is refused. There is no
// 'strict-dynamic', which would let a trusted script be tricked into loading any other; a module's own static imports inherit
// its nonce. There is no 'self' for scripts either, so an uploaded file can never run as one.
func (t *Transport) pagePolicy(nonce string) policy {
	types := none
	if t.cfg.TrustedTypes != "" {
		types = source(t.cfg.TrustedTypes)
	}
	forms := []source{self}
	for _, o := range t.cfg.FormAction {
		forms = append(forms, source(o))
	}
	return policy{
		{"default-src", []source{none}},                 // frames, media, workers, and kinds not yet invented
		{"script-src", []source{nonced(nonce)}},         // no inline script, no event handler attribute, no eval
		{"style-src", []source{self}},                   // no inline style: attribute selectors can read a page's secrets out
		{"img-src", []source{self}},                     // not data: either; and an image elsewhere is a beacon
		{"font-src", []source{self}},                    // a font elsewhere is a beacon too
		{"connect-src", []source{self}},                 // fetch and server-sent events
		{"manifest-src", []source{self}},                // the web app's own name and icons
		{"object-src", []source{none}},                  // plug-ins: said aloud for browsers that once did not fall back
		{"base-uri", []source{none}},                    // an injected <base> would move every relative script
		{"form-action", forms},                          // an injected form cannot carry a password away
		{"frame-ancestors", []source{none}},             // clickjacking; the twin of X-Frame-Options (SYSTEM T1)
		{"require-trusted-types-for", []source{script}}, // DOM sinks such as innerHTML refuse strings
		{"trusted-types", []source{types}},              // and scripts may not invent a policy that agrees to all
		{"upgrade-insecure-requests", nil},              // a forgotten http: address is not asked in the clear
		{"report-uri", []source{ReportPath}},            // the old way to report, still the only one in some browsers
		{"report-to", []source{reportGroup}},            // the new way, named by Reporting-Endpoints
	}
}

// otherPolicy is for everything that is not HTML: if a browser can be talked into showing it as a document (SVG, XML), it runs
// nothing, loads nothing and has an origin of its own.
var otherPolicy = policy{
	{"default-src", []source{none}},
	{"frame-ancestors", []source{none}},
	{"sandbox", nil},
}.String()

// String is the policy as a header value.
func (p policy) String() string {
	var b strings.Builder
	for i, d := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(d.name)
		for _, s := range d.sources {
			b.WriteByte(' ')
			b.WriteString(string(s))
		}
	}
	return b.String()
}

type nonceKey struct{}

// Nonce returns the nonce of the response to the request whose context is ctx, for the nonce attribute of its script elements.
// It is empty outside Handler, and then no script runs.
func Nonce(ctx context.Context) string {
	n, _ := ctx.Value(nonceKey{}).(string)
	return n
}
