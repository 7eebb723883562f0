// Package redoubt wires the layers around an application, outermost first, and holds the few words in which an application
// declares itself: App, Route, Access, View. Everything else is in the packages under layer, which can also be used alone.
package redoubt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/page"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/egress"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/rls"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// An App is an application, as it declares itself.
type App struct {
	Name    string // as people read it
	Version string // of its API
	// Schema is the application's tables: lines of migrations, in order, applied under the guard.
	Schema []migrate.Line
	// Scopes says what members and administrators may do, by the application's word; its schema says so to the database.
	Scopes identity.Scopes
	// Start makes the application's parts and returns its routes and pages. It is called once.
	Start func(Parts) (Routes, error)
	// Onboarding is the path of the page that a person sees until they have completed a profile; "" for none.
	Onboarding string
	// Example fills an organization with content for `redoubt up`; nil for none. It runs with each person's own Principal, so
	// it can do nothing that they could not.
	Example func(ctx context.Context, p Parts, people []Person) error
	// ExampleAge is SQL that spreads the example over the days before, so that its pages look lived in; "" leaves everything new.
	// `redoubt up` runs it once, as the superuser and without triggers: no caller could move time.
	ExampleAge string
}

// A Person is one of the people of an example.
type Person struct {
	Name, Email  string
	Organization Organization
	Principal    layer.Principal
}

// Parts is what an application builds on.
type Parts struct {
	DB       *rls.DB
	Identity *identity.Service
	Provider string         // the identity provider's name, as people read it
	Origin   string         // the public origin, for links that leave it, as in mail
	Mail     mail.Sender    // nil where no mail server is configured
	Files    *file.Files    // nil where Config.Files is
	Links    *egress.Client // asks at addresses that people give (SYSTEM N5); nil asks nowhere
}

// Routes is what an application answers.
type Routes struct {
	Routes []Route
	Pages  Renderer
	Assets http.Handler // serves /assets/; must need no caller
}

// LayerSchema is the schema of the layers themselves, to be applied before an application's.
func LayerSchema() []migrate.Line {
	return []migrate.Line{
		{Name: "rls", Files: rls.Schema},
		{Name: "identity", Files: identity.Schema},
		{Name: "audit", Files: audit.Schema},
		{Name: "file", Files: file.Schema, Application: true},
	}
}

// LoginRoles are the database's roles that somebody can log in as; layer/rls/schema/0001_roles.sql says what for. Whoever provisions gives
// those a password that are used, and leaves the others without one: nobody can log in as them.
func LoginRoles() []string {
	return []string{"redoubt_migrator", "redoubt_app", "redoubt_worker", "redoubt_webhook", "redoubt_analytics", "redoubt_identity", "redoubt_auditor", "redoubt_backup"}
}

// Isolated is SQL that fails unless every tenant table is isolated, by the catalogs' word. Migrations assert it after each file.
const Isolated = `select guard.check_all()`

// A Config is what a running application is given.
type Config struct {
	App         App
	Origin      string                       // the public origin, "https://app.example.com"; required
	DB          *rls.DB                      // required
	Identity    *identity.Service            // required
	Deliveries  *rls.DB                      // opened as redoubt_webhook, for what presents an endpoint's credential; nil leaves SCIM out
	ClaimsKey   []byte                       // the key that authenticates claims, for the page gate's own check; required
	TokenKey    []byte                       // keys the synchroniser tokens; at least 32 bytes; required
	Edge        func() []assertion.VerifyKey // whose word on who was let in is believed, at this moment; required behind an edge
	Audience    string                       // this application's name at the edge
	Log         *slog.Logger                 // zero is slog.Default
	Mail        mail.Sender                  // sends the application's mail; nil sends none
	Files       store.Store                  // keeps uploaded files; nil keeps none, and an application with routes about files does not start
	Links       *egress.Client               // asks at addresses that people give; nil asks nowhere
	Spool       string                       // where a file lies, without a name, while it is received; zero is the system's folder for such
	ProviderTag string                       // the provider's name, as people read it; zero is "your provider"

	// InsecureWithoutPerimeter serves requests that came down no link. It is for measuring and for tests of the
	// layers inside; nothing that faces a network may set it.
	InsecureWithoutPerimeter bool
}

// A Server is an application inside its layers: an http.Handler. It may be used concurrently.
type Server struct {
	cfg       Config
	log       *slog.Logger
	routes    map[string]Route // by pattern
	machines  map[string]bool  // paths that programs alone call
	notices   map[string]string
	gate      route.Gate
	page      *page.Gate
	transport *transport.Transport
	pages     Renderer
	mux       *http.ServeMux
	files     *file.Files
	spool     *input.Spool
	uploading turnstile
	wide      map[string]transport.Bounds // by pattern, of routes that need more than the usual
	openapi   []byte
	handler   http.Handler
}

// New wires the layers around cfg.App. It reports every fault of the declarations at once, and serves nothing if there is one.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.ProviderTag == "" {
		cfg.ProviderTag = "your provider"
	}
	if cfg.DB == nil || cfg.Identity == nil || cfg.App.Start == nil {
		return nil, errors.New("redoubt: DB, Identity and App.Start are required")
	}
	s := &Server{cfg: cfg, log: cfg.Log, routes: map[string]Route{}, machines: map[string]bool{}, notices: map[string]string{}, mux: http.NewServeMux(),
		wide: map[string]transport.Bounds{}, uploading: turnstile{count: map[string]int{}}}
	var err error
	if s.page, err = page.New(page.Config{Key: cfg.ClaimsKey, Administers: cfg.Identity.Administers}); err != nil {
		return nil, err
	}
	s.transport, err = transport.New(transport.Config{
		Origin: cfg.Origin, FormAction: origins(cfg.Identity.Providers()), TokenKey: cfg.TokenKey,
		Refuse: s.refuse, Report: s.report, Log: cfg.Log, Wider: s.wider,
		RequestID: func(ctx context.Context) string { return layer.VisitFrom(ctx).RequestID },
	})
	if err != nil {
		return nil, err
	}
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	app, err := cfg.App.Start(Parts{DB: cfg.DB, Identity: cfg.Identity, Provider: cfg.ProviderTag, Origin: cfg.Origin, Mail: cfg.Mail, Files: s.files, Links: cfg.Links})
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cfg.App.Name, err)
	}
	s.pages = app.Pages
	if err := s.mount(app); err != nil {
		return nil, err
	}
	return s, s.perimeter()
}

// origins are where forms and redirects may go besides here: the providers at which people sign in.
func origins(providers []identity.Provider) []string {
	var all []string
	for _, p := range providers {
		if o := identity.Origin(p.SignOn.Issuer()); !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return all
}

// perimeter puts the outermost layer around the others.
func (s *Server) perimeter() error {
	s.handler = s.visit(s.split())
	if s.cfg.InsecureWithoutPerimeter {
		return nil
	}
	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{Keys: s.cfg.Edge, Audience: s.cfg.Audience, Refuse: s.refuseBare})
	if err != nil {
		return err
	}
	s.handler = verifier.Handler(s.handler)
	return nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
