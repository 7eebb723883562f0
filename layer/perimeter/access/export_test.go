package access

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// What tests outside look at, and nobody else.

var (
	BackTo       = backTo
	MailAddress  = mailAddress
	ServiceName  = serviceName
	TokenInQuery = tokenInQuery
	ClientKey    = clientKey
	Style        = func() string { content, _ := pageFiles.ReadFile("pages/style.css"); return string(content) }
)

const (
	CookiePrefix = cookiePrefix
	MaxTable     = maxTable
	FullTable    = fullTable
	MaxKnown     = maxKnown
	MaxWatched   = maxWatched
)

// TakeCookies returns how many of ours there were.
func TakeCookies(h http.Header) int { return len(takeCookies(h)) }

// A Box is one alone.
type Box struct{ b *box }

// NewBox keeps its keys in d.
func NewBox(d *state.Drawer) Box { return Box{newBox(d, time.Now)} }

// Seal and Open are the box's.
func (b Box) Seal(purpose, host string, content []byte) (string, error) {
	return b.b.seal(purpose, host, content)
}

func (b Box) Open(purpose, host, sealed string) ([]byte, error) {
	return b.b.open(purpose, host, sealed)
}

// A Table is one alone.
type Table struct{ t *table }

// NewTable lets burst pass in ten minutes.
func NewTable(burst int) Table { return Table{newTable(burst)} }

// Allow counts a try.
func (t Table) Allow(key string, now time.Time) bool { _, ok := t.t.allow(key, now); return ok }

// Len is how many keys it counts.
func (t Table) Len() int { return len(t.t.all) }

// Hang has nobody learn what has ended, as a folder that does not answer would, until release.
func (g *Guard) Hang() (release func()) {
	g.endings.polling.Lock()
	return g.endings.polling.Unlock
}

// KnownAfter is how many sessions need not be unsealed again, after n.
func KnownAfter(n int) int {
	k := newKnown()
	for i := range n {
		k.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, new(session), time.Now())
	}
	return len(k.all)
}

// WatchedAfter is how many sessions are watched after n, and what the last got.
func WatchedAfter(n int) (kept int, last <-chan struct{}) {
	e := &endings{now: time.Now, watched: map[string]*ending{}}
	for i := range n {
		last = e.over(&session{Who: assertion.SignOn{Session: strconv.Itoa(i)}})
	}
	return len(e.watched), last
}

// Client is a shorthand.
func Client(s string) netip.Addr { return netip.MustParseAddr(s) }
