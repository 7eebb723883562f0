package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	pollEvery  = 500 * time.Millisecond
	staleAfter = 10 * time.Second // without a look into the folder, after which no session counts
	sweepEvery = 10 * time.Minute
	maxEnded   = 50_000
	maxWatched = 100_000 // sessions whose end somebody may be told of
)

var errStale = errors.New("which sessions have ended cannot be known: the edge's folder is not read")

// endings are the sessions that have ended before their time, as entries of a drawer that the edges share: "s." names one session,
// "p." all of one session at a provider, "u." all of a person's that began until a moment. An entry lives as long as a session could.
type endings struct {
	now func() time.Time

	polling sync.Mutex // held while looking and while adding, so that neither overlooks the other
	shelf   *shelf

	mu      sync.RWMutex
	fresh   time.Time // of the last look
	entries map[string]bool
	people  map[string]time.Time // "u." entries without their moment
	watched map[string]*ending   // by the session's name
}

type ending struct {
	session *session
	over    chan struct{}
}

func newEndings(s *shelf, now func() time.Time) *endings {
	return &endings{shelf: s, now: now, entries: map[string]bool{}, people: map[string]time.Time{}, watched: map[string]*ending{}}
}

func bySession(sid string) string { return "s." + sid }

// names are digests: a file's name is no place for what a provider calls somebody, and has a bound.
func byProviderSession(provider, psid string) string { return "p." + digest(provider, psid) }
func byPerson(provider, subject string) string       { return "u." + digest(provider, subject) }

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:20])
}

// ended reports whether s has ended. It looks into the folder itself if nobody has of late, and says so if it cannot: a session that
// may have ended does not count. One looks at a time, and nobody waits, so that a folder that hangs does not take the edge with it.
func (e *endings) ended(s *session) (bool, error) {
	e.mu.RLock()
	since, over := e.now().Sub(e.fresh).Abs(), e.endedLocked(s)
	e.mu.RUnlock()
	if over || since < staleAfter {
		return over, nil
	}
	if !e.polling.TryLock() {
		return true, errStale
	}
	defer e.polling.Unlock()
	if err := e.look(); err != nil {
		return true, fmt.Errorf("%w: %w", errStale, err)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.endedLocked(s), nil
}

func (e *endings) endedLocked(s *session) bool {
	if len(e.entries) == 0 {
		return false
	}
	if e.entries[bySession(s.Who.Session)] || s.Provider != "" && e.entries[byProviderSession(s.Who.Provider, s.Provider)] {
		return true
	}
	until, ok := e.people[byPerson(s.Who.Provider, s.Who.Subject)]
	return ok && !s.Issued.After(until)
}

// poll learns what has ended.
func (e *endings) poll() error {
	e.polling.Lock()
	defer e.polling.Unlock()
	return e.look()
}

func (e *endings) look() error {
	now := e.now()
	keys, same, err := e.shelf.look()
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fresh = now
	if same {
		return nil
	}
	e.entries, e.people = make(map[string]bool, len(keys)), map[string]time.Time{}
	for _, key := range keys {
		e.add(key)
	}
	e.tell()
	return nil
}

func (e *endings) add(key string) {
	e.entries[key] = true
	if person, moment, ok := cutMoment(key); ok && moment.After(e.people[person]) {
		e.people[person] = moment
	}
}

// tell closes the channels of sessions that have ended.
func (e *endings) tell() {
	for id, w := range e.watched {
		if e.endedLocked(w.session) {
			delete(e.watched, id)
			close(w.over)
		}
	}
}

// over is closed when s ends; all requests of a session share it. Nil, beyond the bound, leaves it to asking again.
func (e *endings) over(s *session) <-chan struct{} {
	e.mu.RLock()
	w := e.watched[s.Who.Session]
	e.mu.RUnlock()
	if w != nil {
		return w.over
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.watched[s.Who.Session]; w != nil {
		return w.over
	}
	if len(e.watched) >= maxWatched {
		return nil
	}
	w = &ending{session: s, over: make(chan struct{})}
	if e.endedLocked(s) {
		close(w.over)
	} else {
		e.watched[s.Who.Session] = w
	}
	return w.over
}

// forget drops the channels of sessions that are over by their time: who waits for one asks every minute besides.
func (e *endings) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, w := range e.watched {
		if !e.now().Before(w.session.Expires) {
			delete(e.watched, id)
			close(w.over)
		}
	}
}

// end ends what key names, here at once and at the other edges as soon as they look.
func (e *endings) end(key string, life time.Duration) error {
	e.polling.Lock()
	defer e.polling.Unlock()
	if err := e.shelf.drawer.Put(key, nil, time.Now().Add(life)); err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(key)
	e.tell()
	return nil
}

func personUntil(provider, subject string, until time.Time) string {
	return withMoment(byPerson(provider, subject), until)
}

// EndSession ends one session, named as in assertions and logs, at every edge within a second (SYSTEM M3).
func (g *Guard) EndSession(sid string) error {
	if sid == "" || len(sid) > 32 {
		return errors.New("ending a session: that is no session's name")
	}
	return g.endings.end(bySession(sid), g.config.SessionLife)
}

// EndPerson ends all sessions that a person has at any edge. The provider is empty for people who signed on by a mailed link; their
// subject is their address (SYSTEM M3).
func (g *Guard) EndPerson(provider, subject string) error {
	return g.endings.end(personUntil(provider, subject, g.now()), g.config.SessionLife)
}
