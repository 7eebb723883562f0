package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// What a sign-on may say. More is refused and never cut: a group that is left out may be one that a policy shuts out.
const (
	MaxGroups     = 200
	MaxGroupBytes = 4 << 10 // all of a person's groups together
	maxSubject    = 255     // OpenID Connect Core 1.0 section 2
	maxKnown      = 4096    // sessions that need not be unsealed again
)

var errTooMuch = errors.New("the provider says more about the person than a session holds: have it send the groups alone that policies name")

var errControl = errors.New("a group's name has a control character")

var errEnded = errors.New("the person was signed out just now")

// A session is what a browser keeps of a sign-on, sealed. It does not change.
type session struct {
	Who      assertion.SignOn `json:"who"`
	Provider string           `json:"psid,omitempty"` // the provider's name of its own session, by which it may end this one
	Issued   time.Time        `json:"iat"`
	Expires  time.Time        `json:"exp"`
}

// begin makes a session of who and gives it to the browser.
func (g *Guard) begin(w http.ResponseWriter, a *application, ours own, who assertion.SignOn, psid string) error {
	now := g.now().Truncate(time.Second)
	who.Session = rand.Text()
	if who.At.IsZero() || who.At.After(now) {
		who.At = now
	}
	if err := bounded(who, psid); err != nil {
		return err
	}
	s := session{who, psid, now, now.Add(g.config.SessionLife)}
	if ended, err := g.endings.ended(&s); ended || err != nil {
		return errors.Join(errEnded, err) // as a page: to be sent back and forth without end helps nobody
	}
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("sealing a session: %w", err)
	}
	sealed, err := g.box.seal(forSession, a.host, content)
	if err != nil {
		return err
	}
	if !setSession(w, ours, sealed, g.config.SessionLife) {
		return errTooMuch
	}
	return nil
}

func bounded(who assertion.SignOn, psid string) error {
	bytes := 0
	for _, group := range who.Groups {
		bytes += len(group)
		if strings.ContainsFunc(group, isControl) {
			return errControl
		}
	}
	if len(who.Groups) > MaxGroups || bytes > MaxGroupBytes || len(who.Subject) > maxSubject || len(psid) > maxSubject || len(who.Email) > maxAddress {
		return errTooMuch
	}
	return nil
}

// session reads a request's session: nil if there is none that is ours, of this host, of living age and not ended. The error means
// that it cannot be known.
func (g *Guard) session(a *application, ours own) (*session, error) {
	sealed := ours.sealedSession()
	if sealed == "" {
		return nil, nil
	}
	s, err := g.unseal(a, sealed)
	if s == nil || err != nil {
		return nil, err
	}
	lives, err := g.lives(s)
	if !lives || err != nil {
		return nil, err
	}
	return s, nil
}

// lives asks again about a session: its time is absolute, whatever the cookie's is, and what has ended stays ended.
func (g *Guard) lives(s *session) (bool, error) {
	now := g.now()
	if !now.Before(s.Expires) || s.Issued.After(now.Add(time.Minute)) || s.Expires.Sub(s.Issued) > g.config.SessionLife {
		return false, nil
	}
	ended, err := g.endings.ended(s)
	return !ended && err == nil, err
}

func (g *Guard) unseal(a *application, sealed string) (*session, error) {
	if len(sealed) > maxSealed {
		return nil, nil
	}
	id := sha256.Sum256([]byte(a.host + "\x00" + sealed))
	if s := g.known.get(id, g.now()); s != nil {
		return s, nil
	}
	content, err := g.box.open(forSession, a.host, sealed)
	if errors.Is(err, errSealed) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := new(session)
	if err := json.Unmarshal(content, s); err != nil || s.Who.Session == "" {
		return nil, nil
	}
	g.known.put(id, s, g.now())
	return s, nil
}

// known spares unsealing the same session for every request of a page. An entry is by the digest of host and cookie, and short-lived,
// so that a key that is taken out of the folder ends what it sealed; whether the session has ended is asked every time.
type known struct {
	mu  sync.RWMutex
	all map[[sha256.Size]byte]knownSession
}

type knownSession struct {
	*session
	until time.Time
}

func newKnown() *known { return &known{all: map[[sha256.Size]byte]knownSession{}} }

func (k *known) get(id [sha256.Size]byte, now time.Time) *session {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if e, ok := k.all[id]; ok && now.Before(e.until) && !now.Before(e.until.Add(-keyReread)) {
		return e.session
	}
	return nil
}

func (k *known) put(id [sha256.Size]byte, s *session, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) >= maxKnown {
		clear(k.all) // a burst of unsealing, once in a while, costs less than keeping an order
	}
	k.all[id] = knownSession{s, now.Add(keyReread)}
}
