// Package access is the gate of the edge: it knows who asks, by a sign-on of its own, and lets nothing pass to an application that
// the application's policies do not allow (SYSTEM P4). It exists so that an application that knows nothing of identity, or has a
// hole in what it knows, is not within a stranger's reach.
//
// People sign on with an OpenID Connect provider or by a link that is mailed to them; programs present a token. The session is a
// sealed cookie of one host, which the application never sees. Every request is judged anew, by the policies of that moment.
//
// # What it assumes has failed
//
// The application and its own sign-on: nothing here shares code, keys or cookies with them. The client: every header, cookie and
// parameter may be forged. The mail: it is read by scanners, forwarded and kept. The provider: it may be down, and it may say too
// much, so that what it says is bounded and counts for its own groups alone.
//
// # What it stops
//
// Requests of people and programs whom no policy lets in, before one byte reaches the application. Forged, expired, foreign and
// ended sessions; sign-ons that somebody else began; links that are used twice, late, elsewhere or by a machine that reads mail.
//
// # What it does not stop
//
// Somebody who uses a browser in which another is signed on. A script of the application itself: it is of the same origin as these
// pages, and may press their buttons. What the people who are let in do inside.
//
// # How it is knocked out in a drill
//
// With a policy that permits everything to everybody: the application's own sign-on, gates and database have to hold by themselves.
//
// # Example
//
//	gate, err := access.New(access.Config{
//		Applications: []access.Application{{Name: "wiki", Origin: "https://wiki.example"}},
//		Policies:     func(string) *policy.Set { return store.Set() },
//		Providers:    []access.Provider{{Name: "okta", Issuer: "https://acme.okta.com", ClientID: "edge", ClientSecret: secret}},
//		Folder:       folder,
//	})
//	go gate.Run(ctx)
//	admission, answered := gate.Admit(w, r, access.Visitor{Application: "wiki", Client: client, ID: id})
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// Reserved begins the paths of every host that are the edge's own: no request for them is forwarded.
const Reserved = "/.redoubt/"

// Limits.
const (
	DefaultSessionLife = 8 * time.Hour
	MaxSessionLife     = 7 * 24 * time.Hour
	MaxProviders       = 16
	MaxServices        = 1000

	signOnLife = 10 * time.Minute // from the click to the answer of the provider
	linkLife   = 10 * time.Minute // of a mailed link
	formLife   = 12 * time.Hour   // of a form that lies open
	maxForm    = 64 << 10         // bytes of a form that is sent to us
	maxLinks   = 10_000           // mailed links that wait
	maxUsed    = 50_000           // sign-ons of the last minutes, each of which counts once
)

// An Application is what the gate stands before.
type Application struct {
	// Name is what the edge calls it; required. Several entries of one name are one application with several hosts.
	Name string
	// Origin is its address, such as "https://wiki.example" or "https://localhost:8443". Required, and there once.
	Origin string
	// Title is what people call it; zero is the host.
	Title string
}

// Config says what the gate stands before, and who may sign on.
type Config struct {
	// Applications are all that the edge serves. At least one is required.
	Applications []Application
	// Policies gives an application's policies of this moment; nil of it denies everything. Required.
	Policies func(application string) *policy.Set
	// Providers are where people sign on; zero means that none can by a provider.
	Providers []Provider
	// Mail sends plain text to one address; nil means that there are no mailed links.
	Mail func(ctx context.Context, to, subject, text string) error
	// Services are the programs that have tokens; zero means none. SetServices replaces them.
	Services []Service
	// Folder is what the edges of one deployment share: keys of sessions, links that wait, sessions that have ended. Required.
	Folder *state.Folder
	// SessionLife is for how long a sign-on counts, whatever happens; zero means DefaultSessionLife, and MaxSessionLife is the most.
	SessionLife time.Duration
	// Rates bound how often signing on may be tried.
	Rates Rates
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Log receives sign-ons, sign-outs and what goes wrong with them, without secrets; nil discards it.
	Log *slog.Logger
}

// A Guard is the gate. It may be used concurrently.
type Guard struct {
	config       Config
	now          func() time.Time
	log          *slog.Logger
	applications map[string]*application // by host
	providers    []*provider
	services     atomic.Pointer[[]Service]
	box          *box
	endings      *endings
	blocks       *blocks
	known        *known
	links, used  *state.Drawer
	limits       *limits
	mail         chan letter
	rooms        map[string]map[string]func(*visit) // path, method
}

type application struct {
	Application
	host string
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// New checks the configuration and reports every problem at once.
func New(c Config) (*Guard, error) {
	g := &Guard{config: c, now: c.Now, log: c.Log, applications: map[string]*application{}, limits: newLimits(c.Rates), known: newKnown(),
		mail: make(chan letter, maxLetters)}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if c.SessionLife == 0 {
		g.config.SessionLife = DefaultSessionLife
	}
	problems := append(c.check(), g.addApplications()...)
	problems = append(problems, g.addProviders()...)
	if err := g.SetServices(c.Services); err != nil {
		problems = append(problems, err)
	}
	if c.Folder != nil {
		problems = append(problems, g.openFolder(c.Folder)...)
	}
	if len(problems) == 0 {
		problems = g.look()
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring the edge's gate: %w", errors.Join(problems...))
	}
	g.furnish()
	return g, nil
}

func (c Config) check() (problems []error) {
	if len(c.Applications) == 0 {
		problems = append(problems, errors.New("no application is given"))
	}
	if c.Policies == nil {
		problems = append(problems, errors.New("no policies are given: without them nobody could be let in"))
	}
	if c.Folder == nil {
		problems = append(problems, errors.New("no folder is given, in which keys of sessions are kept"))
	}
	if c.SessionLife < 0 || c.SessionLife > MaxSessionLife {
		problems = append(problems, fmt.Errorf("a session may last from a moment to %d hours", int(MaxSessionLife.Hours())))
	}
	if c.Rates.Address < 0 || c.Rates.Client < 0 || c.Rates.Overall < 0 {
		problems = append(problems, errors.New("a rate is negative"))
	}
	return problems
}

func (g *Guard) addApplications() (problems []error) {
	for _, a := range g.config.Applications {
		u, err := url.Parse(a.Origin)
		switch {
		case a.Name == "" || len(a.Name) > 64:
			problems = append(problems, errors.New("an application has no name, or one of more than 64 bytes"))
		case err != nil || u.Hostname() == "" || a.Origin != "https://"+u.Host || u.Host != bareHost(u.Host):
			problems = append(problems, fmt.Errorf("the origin of application %s is not of the form https://host or https://host:port in lower case", a.Name))
		case g.applications[u.Host] != nil:
			problems = append(problems, fmt.Errorf("the origin of application %s is given twice", a.Name))
		default:
			if a.Title == "" {
				a.Title = u.Host
			}
			if strings.ContainsFunc(a.Title, isControl) || len(a.Title) > 100 {
				problems = append(problems, fmt.Errorf("the title of application %s is longer than 100 bytes or has control characters", a.Name))
			}
			g.applications[u.Host] = &application{a, u.Host}
		}
	}
	return problems
}

func (g *Guard) openFolder(folder *state.Folder) (problems []error) {
	drawer := func(name string, limit int) *state.Drawer {
		d, err := folder.Drawer(name, limit)
		if err != nil {
			problems = append(problems, err)
		}
		return d
	}
	g.links, g.used = drawer("links", maxLinks), drawer("signed-on", maxUsed)
	g.box = newBox(drawer("session-keys", maxKeys), g.now)
	g.endings = newEndings(&shelf{drawer: drawer("ended", maxEnded)}, g.now)
	g.blocks = newBlocks(&shelf{drawer: drawer("blocked", maxBlocks)}, g.now)
	return problems
}

// Run sends mail, and learns which sessions other edges have ended and whom they have blocked, until ctx ends. Without it no session counts for longer than
// staleAfter: what has ended could not be known.
func (g *Guard) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range postmen {
		all.Go(func() { g.deliver(ctx) })
	}
	all.Go(func() { g.sweep(ctx) })
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := errors.Join(g.look()...); err != nil {
			g.log.Error("learning what has ended", "cause", err)
		}
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-tick.C:
		}
	}
}

// look learns what has ended and who is blocked.
func (g *Guard) look() (problems []error) {
	for _, err := range []error{g.blocks.poll(), g.endings.poll()} {
		if err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// sweep keeps the folder small: what is over goes.
func (g *Guard) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, d := range []*state.Drawer{g.links, g.used, g.endings.shelf.drawer, g.blocks.shelf.drawer, g.box.drawer} {
			if err := d.Sweep(time.Now()); err != nil {
				g.log.Warn("clearing the edge's folder", "cause", err)
			}
		}
		g.endings.forget()
	}
}

// application is whom a request is for. The edge has compared the host already; nothing is built on that here.
func (g *Guard) application(r *http.Request, v Visitor) *application {
	a := g.applications[bareHost(r.Host)]
	if a == nil || a.Name != v.Application {
		return nil
	}
	return a
}

// bareHost is the one spelling of a host with its port: lower case, without the port that https implies.
func bareHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

func isControl(c rune) bool { return c < ' ' || c == 0x7f }
