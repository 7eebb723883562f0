// Package transport stands between the wire and the application, so that no handler, however careless, can send a page without
// its protective headers, answer a request that another site made the browser send, or be held by a slow or endless client.
//
// # What it assumes has failed
//
// The edge has let everything through: any header, any size, any speed. Handlers forget headers, delete them, set weaker ones,
// panic half way, redirect to where the query says. Input validation and template escaping have been beaten, so a page holds an
// attacker's markup. Of the three defences against cross-site request forgery, two are gone.
//
// # What it stops
//
// Lost or weakened security headers, on errors, redirects and panics too; injected scripts, inline handlers, javascript: links
// and eval (content security policy with a nonce per response, Trusted Types); framing; forged requests from other sites and
// from sibling subdomains; cookies that a script, a plain connection or another host could read or set; redirects to other
// sites; bodies, header fields, addresses and waits without end.
//
// # What it does not stop
//
// A caller who is allowed to ask and asks for what is not theirs: that is for the gates and for row-level security. Floods:
// each request is bounded, their number is not. A browser that ignores the policies. Markup injected without script can still
// show a false page to its reader, though it cannot send a form anywhere else. A handler that ignores its context keeps its
// goroutine; only its connection is cut.
//
// # How it is knocked out in a drill
//
// The drill serves the application's handler bare, without Handler around it, and, one at a time, without the cross-site check,
// with a CheckToken that always agrees, or from a client that sends cookies as a browser without SameSite would.
//
// # Example
//
//	t, err := transport.New(transport.Config{
//		Origin:   "https://app.example.com",
//		TokenKey: key,
//		Refuse:   func(w http.ResponseWriter, r *http.Request, why *layer.Refusal) { http.Error(w, why.Public, 403) },
//	})
//	if err != nil {
//		return err
//	}
//	mux := http.NewServeMux()
//	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
//		if err := t.CheckToken(sessionOf(r), r.PostFormValue(transport.TokenField)); err != nil {
//			http.Error(w, "Forbidden", http.StatusForbidden)
//			return
//		}
//		place(w, r)
//	})
//	server.Handler = t.Handler(mux)
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// A Config says how New builds a Transport.
type Config struct {
	Origin       string   // the one public origin, "https://app.example.com", with the port if it is not 443; required
	FormAction   []string // other origins that forms and redirects may go to, such as the identity provider's; nil for none
	Callers      []string // other origins whose scripts may call with a bearer token, never with cookies; nil closes CORS (SYSTEM T4)
	TrustedTypes string   // the one Trusted Types policy that page scripts may create; empty for none at all
	TokenKey     []byte   // keys the synchroniser tokens; at least 32 bytes, required

	Bounds Bounds                     // what one request may take; each zero field means its default
	Wider  func(*http.Request) Bounds // other bounds for some requests, such as uploads; nil, or a zero field, means Bounds

	Refuse    func(http.ResponseWriter, *http.Request, *layer.Refusal) // renders a refusal; required
	Report    func(context.Context, Report)                            // is given content security policy violations; nil discards them
	RequestID func(context.Context) string                             // names the request in the log; nil for no name
	Log       *slog.Logger                                             // hears of panics and of what was taken out of a response; nil means slog.Default()
	Now       func() time.Time                                         // dates reports; nil means time.Now. Deadlines are always the machine's
}

// Bounds limit one request in size and time (SYSTEM T6).
type Bounds struct {
	MaxBody        int64         // bytes of body; zero means 1 MiB
	BodyTimeout    time.Duration // without one byte from a client that still owes its body; zero means 30 s
	WriteTimeout   time.Duration // without a client taking what is being written; zero means 30 s
	HandlerTimeout time.Duration // for the whole request: then its context ends, and soon after its connection; zero means 60 s
}

var usual = Bounds{MaxBody: 1 << 20, BodyTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, HandlerTimeout: 60 * time.Second}

// or fills b's zero fields from other, so that nobody can ask for "no limit" by saying nothing.
func (b Bounds) or(other Bounds) Bounds {
	return Bounds{
		MaxBody:        pick(b.MaxBody, other.MaxBody),
		BodyTimeout:    pick(b.BodyTimeout, other.BodyTimeout),
		WriteTimeout:   pick(b.WriteTimeout, other.WriteTimeout),
		HandlerTimeout: pick(b.HandlerTimeout, other.HandlerTimeout),
	}
}

// pick returns a if it is a limit. Negative numbers are none, and would mean "at once" to some and "never" to others.
func pick[T int64 | time.Duration](a, b T) T {
	if a > 0 {
		return a
	}
	return b
}

func (b Bounds) negative() bool {
	return b.MaxBody < 0 || b.BodyTimeout < 0 || b.WriteTimeout < 0 || b.HandlerTimeout < 0
}

// A Transport guards every response and every request of one origin. It is safe for concurrent use.
type Transport struct {
	cfg     Config
	sites   []string // Origin and FormAction: where a redirect may lead
	reports collector
}

var policyName = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)

// New checks cfg and reports all its problems at once.
func New(cfg Config) (*Transport, error) {
	var problems []error
	problem := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("transport: "+format, args...))
		}
	}
	problem(!isOrigin(cfg.Origin, false), "Origin %q is not an https origin such as https://app.example.com", cfg.Origin)
	for _, o := range cfg.FormAction {
		problem(!isOrigin(o, true), "FormAction %q is not an https origin", o)
	}
	for _, o := range cfg.Callers {
		problem(!isOrigin(o, true), "Callers %q is not an https origin", o)
	}
	problem(!policyName.MatchString(cfg.TrustedTypes), "TrustedTypes is not a name of letters, digits and hyphens")
	problem(len(cfg.TokenKey) < 32, "TokenKey has %d bytes, needs at least 32", len(cfg.TokenKey))
	problem(cfg.Refuse == nil, "Refuse is required")
	problem(cfg.Bounds.negative(), "Bounds has a negative limit")
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return build(cfg), nil
}

// build fills in what zero means. It copies what the caller could still change.
func build(cfg Config) *Transport {
	cfg.TokenKey = slices.Clone(cfg.TokenKey)
	cfg.FormAction, cfg.Callers = slices.Clone(cfg.FormAction), slices.Clone(cfg.Callers)
	cfg.Bounds = cfg.Bounds.or(usual)
	if cfg.Report == nil {
		cfg.Report = func(context.Context, Report) {}
	}
	if cfg.RequestID == nil {
		cfg.RequestID = func(context.Context) string { return "" }
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Transport{cfg: cfg, sites: append([]string{cfg.Origin}, cfg.FormAction...)}
}

// Handler guards next, which serves browsers and API clients. It also serves ReportPath.
func (t *Transport) Handler(next http.Handler) http.Handler {
	return t.around(func(g *guard) {
		g.caller = t.callerOf(g.r)
		if isReport(g.r) {
			t.collect(g, g.r)
		} else if g.caller != "" && isPreflight(g.r) {
			g.preflight()
		} else if refused := t.crossSite(g.r); refused != nil {
			g.refuse(refused)
		} else {
			next.ServeHTTP(g, g.r)
		}
	})
}

// Machines guards next, which only programs call: webhooks, back-channel logout. Instead of proof that a request comes from this
// site it demands that the request carry nothing that a browser sends, so nobody's browser can be made to send it.
func (t *Transport) Machines(next http.Handler) http.Handler {
	return t.around(func(g *guard) {
		if refused := machinesOnly(g.r); refused != nil {
			g.refuse(refused)
		} else {
			next.ServeHTTP(g, g.r)
		}
	})
}

// around bounds a request before anything else is asked of it, and sees to it that the response leaves sealed.
func (t *Transport) around(serve func(*guard)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, end := t.begin(w, r)
		defer end()
		defer g.finish()
		if refused := outOfBounds(g.r, g.bounds); refused != nil {
			g.refuse(refused)
		} else {
			serve(g)
		}
	})
}

func refusal(reason layer.Reason, public string, cause error) *layer.Refusal {
	return &layer.Refusal{By: layer.Transport, Reason: reason, Public: public, Cause: cause}
}
