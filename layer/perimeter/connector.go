package perimeter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// The limits of a connector (SYSTEM P6).
const (
	DefaultLinks = 2  // to each edge
	MaxLinks     = 16 // to each edge

	DrainTimeout = 30 * time.Second       // for requests in flight when the connector stops
	DialTimeout  = 5 * time.Second        // for one attempt, TLS included
	DialAgain    = time.Second            // after which a further attempt is made beside those that hang
	DialLimit    = 10 * time.Second       // for all of them, before it counts as a failure
	MaxDials     = 6                      // attempts at once, for one link
	AcceptLimit  = 10 * time.Second       // for the edge's first answer on a new link
	MinBackoff   = 100 * time.Millisecond // before the first attempt to link again, at most
	QuickBackoff = time.Second            // before a later one, at most, to an edge that may be back at any moment
	MaxBackoff   = 20 * time.Second       // before any attempt, at most, to an edge that has refused for RefusedAfter
	RefusedAfter = 10 * time.Minute
	SteadyAfter  = 10 * time.Second // of life, after which a link's loss starts again at MinBackoff

	maxDraining = 2               // of a link's predecessors at once; one more cuts the oldest
	controlTick = time.Second     // between two looks at the credential
	repeatLog   = 1 * time.Minute // between two complaints of the same
)

// ConnectorConfig says what an application serves, and as whom.
type ConnectorConfig struct {
	// Credential is the connector's, from package enrol. It is renewed here. Required.
	Credential *enrol.Credential
	// Handler serves the requests that come down the links: usually a Verifier's. Required.
	Handler http.Handler
	// Links is how many connections are kept to each edge; zero means DefaultLinks.
	Links int
	// Edges are addresses to dial, "host:port", instead of the credential's; none means the credential's, which change with it.
	Edges []string
	// Budget bounds the memory for what arrives, for all links together; nil means one of link.DefaultBudget.
	Budget *link.Budget
	// Log receives the coming and going of links; nil discards it.
	Log *slog.Logger
}

// A Connector serves an application without listening: it opens no socket but those that it dials (SYSTEM P1).
type Connector struct {
	config  ConnectorConfig
	drain   time.Duration
	ready   chan struct{}
	isReady sync.Once

	mu       sync.Mutex
	edges    []*edge // that links are kept to, in the order of their addresses
	reviving atomic.Bool
	renewed  chan struct{} // closed when the credential has another certificate
	answer   complaint     // about the last answer that was of no use
	next     int           // which link is asked next to carry a message
}

// NewConnector checks the configuration and reports every problem at once.
func NewConnector(c ConnectorConfig) (*Connector, error) {
	var problems []error
	if c.Credential == nil || c.Credential.ID() == "" {
		problems = append(problems, errors.New("no credential is given, or an empty one"))
	}
	if c.Handler == nil {
		problems = append(problems, errors.New("no handler is given"))
	}
	if c.Links < 0 || c.Links > MaxLinks {
		problems = append(problems, fmt.Errorf("the number of links is not between 0 and %d", MaxLinks))
	}
	if len(c.Edges) > enrol.MaxEdges {
		problems = append(problems, fmt.Errorf("there are more than %d edges", enrol.MaxEdges))
	}
	for _, e := range c.Edges {
		problems = append(problems, enrol.CheckAddress(e))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("configuring connector: %w", err)
	}
	if c.Links == 0 {
		c.Links = DefaultLinks
	}
	if c.Budget == nil {
		c.Budget = link.NewBudget(link.DefaultBudget)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Connector{config: c, drain: DrainTimeout, ready: make(chan struct{}), renewed: make(chan struct{})}, nil
}

// Ready is closed when an edge has accepted the first link.
func (c *Connector) Ready() <-chan struct{} { return c.ready }

// An EdgeStatus says how a connector stands with one edge.
type EdgeStatus struct {
	Edge  string `json:"edge"`
	Links int    `json:"links"`           // that the edge has accepted, without those that drain
	Error string `json:"error,omitempty"` // of the last attempt, if it failed
}

// Status says how the connector stands with each edge. It is ready for work as long as it has a link to any.
func (c *Connector) Status() []EdgeStatus {
	var all []EdgeStatus
	for _, e := range c.kept() {
		e.mu.Lock()
		all = append(all, EdgeStatus{Edge: e.address, Links: len(e.up), Error: e.problem.text})
		e.mu.Unlock()
	}
	return all
}

func (c *Connector) kept() []*edge {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.edges)
}

// Run keeps the links up until ctx ends, whatever happens to the edges meanwhile. Then it takes no new request, finishes those in
// flight within DrainTimeout, and returns nil, or an error if some had to be cut. It may be called once.
func (c *Connector) Run(ctx context.Context) error {
	var all sync.WaitGroup
	tick := time.NewTicker(controlTick)
	defer tick.Stop()
	var cut errorList
	for {
		c.reconcile(ctx, &all, &cut)
		c.refresh(ctx, &all)
		select {
		case <-ctx.Done():
			all.Wait()
			if err := cut.join(); err != nil {
				return fmt.Errorf("finishing requests in flight: %w", err)
			}
			return nil
		case <-tick.C:
		}
	}
}

// reconcile begins to keep links to edges that are new, and lets those go that are not named any more.
func (c *Connector) reconcile(ctx context.Context, all *sync.WaitGroup, cut *errorList) {
	wanted := c.config.Edges
	if len(wanted) == 0 {
		wanted = c.config.Credential.Edges()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edges = slices.DeleteFunc(c.edges, func(e *edge) bool {
		gone := !slices.Contains(wanted, e.address)
		if gone {
			e.leave()
		}
		return gone
	})
	for _, address := range wanted {
		if ctx.Err() != nil || slices.ContainsFunc(c.edges, func(e *edge) bool { return e.address == address }) {
			continue
		}
		e := &edge{address: address, changed: make(chan struct{})}
		var here context.Context
		here, e.leave = context.WithCancel(ctx)
		c.edges = append(c.edges, e)
		for i := range c.config.Links {
			all.Go(func() { (&keeper{Connector: c, edge: e, scout: i == 0, cut: cut}).run(here) })
		}
	}
}

// refresh sends what the credential has to say over one link, or, if it has ended and no link is up, over a connection of its own.
// Looked at each time anew, so that a clock that was put right is seen.
func (c *Connector) refresh(ctx context.Context, all *sync.WaitGroup) {
	links := c.accepted()
	if len(links) == 0 && time.Now().After(c.config.Credential.Expires()) && c.reviving.CompareAndSwap(false, true) {
		all.Go(func() {
			defer c.reviving.Store(false)
			c.revive(ctx)
		})
	}
	if len(links) > 0 && c.config.Credential.Due(time.Now()) {
		c.ask(links)
	}
}

// revive renews a certificate that ended while every edge was away.
func (c *Connector) revive(ctx context.Context) {
	wait, before := backoff{}, c.config.Credential.Pin()
	for last := ""; ctx.Err() == nil; {
		err := c.config.Credential.Renew(ctx)
		if err == nil {
			c.told(before)
			return
		}
		if last != err.Error() {
			last = err.Error()
			c.config.Log.Error("the certificate has ended, and cannot be renewed", "error", last)
		}
		wait.sleep(ctx, err)
	}
}

func (c *Connector) accepted() (links []*link.Conn) {
	for _, e := range c.kept() {
		e.mu.Lock()
		links = append(links, e.up...)
		e.mu.Unlock()
	}
	return links
}

// ask takes the links in turn, so that one that hangs is not asked again.
func (c *Connector) ask(links []*link.Conn) {
	message, err := c.config.Credential.Renewal()
	if err != nil {
		c.config.Log.Error("asking for a renewal", "error", err.Error())
		return
	}
	for range links {
		c.mu.Lock()
		c.next++
		l := links[c.next%len(links)]
		c.mu.Unlock()
		if l.Control(message) == nil {
			return
		}
	}
}

// heard takes what an edge answered.
func (c *Connector) heard(message []byte) {
	before := c.config.Credential.Pin()
	err := c.config.Credential.Control(message)
	if err == nil {
		c.told(before)
		return
	}
	c.mu.Lock()
	fresh := c.answer.fresh(err.Error())
	c.mu.Unlock()
	if fresh {
		c.config.Log.Warn("an edge's answer is of no use", "error", err.Error())
	}
}

// told lets the links be opened anew if the certificate has changed: the edge ends those of the old one when that ends.
func (c *Connector) told(before enrol.Pin) {
	if c.config.Credential.Pin() == before {
		return
	}
	c.config.Log.Info("certificate renewed", "until", c.config.Credential.Expires())
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.renewed)
	c.renewed = make(chan struct{})
}

func (c *Connector) renewal() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.renewed
}

// An errorList is filled by several.
type errorList struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorList) join() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}
