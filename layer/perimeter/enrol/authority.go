package enrol

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// Config says where a deployment's authority is kept, and how long what it issues is good.
type Config struct {
	// Folder is the one that the deployment's edges share. Required.
	Folder *state.Folder
	// Edge names this edge among them: lower-case letters, digits, hyphens and dots. Required.
	Edge string
	// Life is how long a certificate is good, a connector's or an edge's; zero means CertificateLife. At least two seconds, since a
	// certificate counts in seconds.
	Life time.Duration
	// Log receives who was enrolled, and who was not and why, without secrets; nil discards it.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// An Authority is the deployment's: what its edges share. It may be used concurrently, and by several processes.
type Authority struct {
	config      Config
	log         *slog.Logger
	now         func() time.Time
	records     *state.Drawer // the authority itself: the last generation counts
	connectors  *state.Drawer // id: who is enrolled. An entry is never written again, so that nothing undoes its removal
	keys        *state.Drawer // id and key: what the connectors' certificates hold
	invitations *state.Drawer
	attempts    *attempts // of connections to be enrolled, by address
	messages    *attempts // over links, by connector
	places      chan struct{}
	patience    time.Duration

	last    atomic.Pointer[record] // as it was read
	began   time.Time
	read    atomic.Int64 // when it was read, since began: the clock may be set
	reading sync.Mutex   // held by who reads it
	behind  atomic.Bool  // somebody does so for known

	mu    sync.Mutex
	leaf  *tls.Certificate
	peers map[string]int // that Watch asks about, and how often it tells that one is gone
}

// Open reads the authority in the folder, and makes it if it is missing. edge names this edge among several.
func Open(folder *state.Folder, edge string) (*Authority, error) {
	return New(Config{Folder: folder, Edge: edge})
}

// New is Open with more to choose. It reports every problem at once.
func New(c Config) (*Authority, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuring the authority: %w", err)
	}
	a := &Authority{config: c.withDefaults(), peers: map[string]int{}, began: time.Now(), places: make(chan struct{}, enrolments), patience: Conversation}
	a.log, a.now = a.config.Log, a.config.Now
	a.attempts, a.messages = newAttempts(every, burst), newAttempts(pace(a.config.Life)/12, burst)
	for _, d := range []struct {
		drawer **state.Drawer
		name   string
		limit  int
	}{
		{&a.records, "authority", 16},
		{&a.connectors, "connectors", MaxConnectors},
		{&a.keys, "connector-keys", 2 * keysEach * MaxConnectors},
		{&a.invitations, "invitations", MaxInvitations},
	} {
		var err error
		if *d.drawer, err = c.Folder.Drawer(d.name, d.limit); err != nil {
			return nil, fmt.Errorf("opening the authority: %w", err)
		}
	}
	if err := a.found(); err != nil {
		return nil, fmt.Errorf("opening the authority: %w", err)
	}
	return a, nil
}

func (c Config) check() error {
	var problems []error
	if c.Folder == nil {
		problems = append(problems, errors.New("no folder is given"))
	}
	if c.Edge == "" || len(c.Edge) > 63 || strings.Trim(c.Edge, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		problems = append(problems, errors.New("the edge's name is not 1 to 63 lower-case letters, digits, hyphens and dots"))
	}
	if c.Life != 0 && (c.Life < 2*time.Second || c.Life > 30*24*time.Hour) {
		problems = append(problems, errors.New("the life of a certificate is not between two seconds and thirty days"))
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.Life == 0 {
		c.Life = CertificateLife
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// found reads the deployment, or makes it if it is not there. Of several processes that do so at once, one is first and the others use
// its own.
func (a *Authority) found() error {
	r, err := readRecord(a.records)
	if err != nil {
		return err
	}
	if r != nil {
		a.learn(r)
		return clean(a.records, r.generation) // what a process that was killed has left
	}
	fresh, err := newRecord()
	if err != nil {
		return err
	}
	if err := writeRecord(a.records, fresh); err != nil && !errors.Is(err, errBehind) {
		return err
	}
	_, err = a.record()
	return err
}

// record returns what the folder said no longer than reload ago. If it cannot be read, what was known stays in force: an edge goes on
// with a full or a broken disk.
func (a *Authority) record() (*record, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	last := a.last.Load()
	if last != nil && a.fresh() {
		return last, nil
	}
	r, err := readRecord(a.records)
	if err == nil && r == nil {
		err = errors.New("reading the authority: it is gone from its folder")
	}
	if err != nil && last == nil {
		return nil, err
	}
	if err != nil {
		a.log.Error("the authority cannot be read; what was known of it stays in force", "error", err.Error())
		r = last
	}
	a.learn(r)
	return r, nil
}

func (a *Authority) fresh() bool {
	return time.Since(a.began)-time.Duration(a.read.Load()) < reload
}

func (a *Authority) learn(r *record) {
	a.last.Store(r)
	a.read.Store(int64(time.Since(a.began)))
}

// known is what was read last, for those who ask with each request: they do not wait for the disk. It is read anew behind their backs.
func (a *Authority) known() *record {
	if !a.fresh() && a.behind.CompareAndSwap(false, true) {
		go func() {
			defer a.behind.Store(false)
			a.record()
		}()
	}
	return a.last.Load()
}

// change writes the next generation, made by edit from the last one, as it is in the folder at this moment.
func (a *Authority) change(edit func(r *record) error) error {
	last, err := readRecord(a.records)
	if err != nil {
		return err
	}
	if last == nil {
		return errors.New("reading the authority: it is gone from its folder")
	}
	r := *last
	if err := edit(&r); err != nil {
		return err
	}
	if err := writeRecord(a.records, &r); err != nil {
		return err
	}
	a.reading.Lock()
	defer a.reading.Unlock()
	a.learn(&r)
	return nil
}

// Deployment names the deployment; it is in every certificate, and not a secret.
func (a *Authority) Deployment() string { return a.known().deployment }

// Signer is the assertions' signing key that is current.
func (a *Authority) Signer() assertion.SigningKey { return a.known().signing }

// Keys are those for assertions to believe: current, next, and for a moment the former.
func (a *Authority) Keys() []assertion.VerifyKey { return a.known().keys(a.now()) }

// Announce says at which addresses connectors are to find the edges from now on, instead of those of their invitations; none leaves
// them those again. Connectors that are linked hear of it within a minute.
func (a *Authority) Announce(edges []string) error {
	if len(edges) > 0 {
		if err := checkEdges(edges); err != nil {
			return fmt.Errorf("announcing edges: %w", err)
		}
	}
	return a.change(func(r *record) error {
		r.edges = edges
		return nil
	})
}

// pace is how often a connector asks for news: often against the life of a certificate, and not more than once a minute. An edge answers
// twelve times as many questions, for one who has to ask again.
func pace(life time.Duration) time.Duration { return min(life/48, time.Minute) }
