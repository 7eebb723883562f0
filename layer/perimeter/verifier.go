package perimeter

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// MaxVerified is how many verified tokens a Verifier remembers. A further one pushes out another, which is then verified anew.
const MaxVerified = 8192

// VerifierConfig says whose word an application believes.
type VerifierConfig struct {
	// Keys are the edge's at this moment, current and next: a token whose key is no longer among them is not believed, even if it
	// was before. It is asked for each request. Required, and at least one key at the beginning.
	Keys func() []assertion.VerifyKey
	// Audience is this application's name at the edge. Required.
	Audience string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Refuse answers a request that was turned away. Required: the outermost ring alone renders refusals.
	Refuse func(http.ResponseWriter, *http.Request, *layer.Refusal)
	// Foreign leaves the edge's header for this one request to the handler, which is the way to an application that verifies it by
	// itself. Here it is verified as well, and a request that lacks it is refused. False drops it.
	Foreign bool
}

// A Verifier believes the edge about one request at a time (SYSTEM P5). It may be used concurrently.
//
// What it believes has two parts. The link authenticated the request's exact head with a key that its two ends alone derived, under
// an identifier that only increases: a request cannot be changed, moved to another link or sent again. The token says who was let in,
// and is signed with a key that no link has: who stands in the middle of a link can still say nothing about who somebody is. So no
// memory of what was seen before is kept, and none can be filled.
type Verifier struct {
	config VerifierConfig

	mu       sync.RWMutex
	verified map[string]verified // by token
}

// A verified token is believed until it expires, on its link, and while its key is one of the edge's.
type verified struct {
	link  string
	token assertion.Token
	key   ed25519.PublicKey
}

// A Visit is what the edge knows about a request, once verified. Who it let in decides nothing here: identity finds out for itself.
type Visit struct {
	ClientIP  netip.Addr // of the client's connection to the edge
	RequestID string     // in the edge's log
	Scheme    string     // by which the client reached the edge: "https"
	Host      string     // that the client asked for: the edge's canonical one
	Issued    time.Time  // when the edge signed its word on Who, to the second: at most five minutes ago
	Who       assertion.SignOn
}

var errNoLink = errors.New("the request did not come over a link")

type visitKey struct{}

// A visited context belongs to a verified request. It is one value instead of three, because one is made for each request.
type visited struct {
	context.Context
	visit Visit
}

// Value implements context.Context.
func (v *visited) Value(key any) any {
	if key == (visitKey{}) {
		return v
	}
	return v.Context.Value(key)
}

// From returns the verified facts about the request that ctx belongs to; false outside of a Verifier's Handler.
func From(ctx context.Context) (Visit, bool) {
	v, ok := ctx.Value(visitKey{}).(*visited)
	if !ok {
		return Visit{}, false
	}
	visit := v.visit
	visit.Who = visit.Who.Clone() // what is remembered must not be changed by a handler
	return visit, true
}

// NewVerifier checks the configuration and reports every problem at once.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	var problems []error
	if c.Keys == nil || len(c.Keys()) == 0 {
		problems = append(problems, errors.New("no key is given: every request would be refused"))
	} else {
		for _, k := range c.Keys() {
			if k.ID == "" || len(k.Public) != ed25519.PublicKeySize {
				problems = append(problems, errors.New("a key is incomplete"))
			}
		}
	}
	if c.Audience == "" {
		problems = append(problems, errors.New("the audience is missing"))
	}
	if c.Refuse == nil {
		problems = append(problems, errors.New("nothing is given to answer refused requests"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring assertion verifier: %w", errors.Join(problems...))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{config: c, verified: map[string]verified{}}, nil
}

// Handler lets a request through to next only if it came over a link, with the edge's token for that link.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrival, ok := link.From(r.Context())
		v.serve(w, r, arrival, ok, next)
	})
}

func (v *Verifier) serve(w http.ResponseWriter, r *http.Request, a link.Arrival, arrived bool, next http.Handler) {
	visit, err := Visit{}, errNoLink
	if arrived {
		visit, err = v.verify(r, a)
	}
	if err != nil {
		v.config.Refuse(w, r, unproven(err))
		return
	}
	next.ServeHTTP(w, r.WithContext(&visited{r.Context(), visit}))
}

func (v *Verifier) verify(r *http.Request, arrival link.Arrival) (Visit, error) {
	now, keys := v.config.Now(), v.config.Keys()
	token, err := v.open(arrival, keys, now)
	if err != nil {
		return Visit{}, err
	}
	if !arrival.Client.IsValid() || arrival.ID == "" || len(arrival.ID) > assertion.MaxID {
		return Visit{}, errors.New("the link does not say where the request came from")
	}
	if err := v.header(r, arrival, token, keys, now); err != nil {
		return Visit{}, err
	}
	return Visit{
		ClientIP: arrival.Client, RequestID: arrival.ID, Scheme: arrival.Scheme, Host: r.Host,
		Issued: token.Issued, Who: token.Who,
	}, nil
}

// open verifies a token, or finds that it did so before. What is found must still hold at this moment, on this link.
func (v *Verifier) open(a link.Arrival, keys []assertion.VerifyKey, now time.Time) (assertion.Token, error) {
	v.mu.RLock()
	known, ok := v.verified[a.Token]
	v.mu.RUnlock()
	if ok && known.link == a.Link && a.Link != "" && now.Before(known.token.Expires) && now.After(known.token.Issued.Add(-assertion.Skew)) &&
		known.key.Equal(keyOf(keys, known.token.Key)) {
		return known.token, nil
	}
	token, err := assertion.Open(a.Token, keys, v.config.Audience, a.Link, now)
	if err != nil {
		v.forget(a.Token)
		return assertion.Token{}, err
	}
	v.remember(a.Token, verified{a.Link, token, keyOf(keys, token.Key)}, now)
	return token, nil
}

func keyOf(keys []assertion.VerifyKey, id string) ed25519.PublicKey {
	for _, k := range keys {
		if k.ID == id {
			return k.Public
		}
	}
	return nil
}

func (v *Verifier) forget(token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.verified, token)
}

// remember makes room by dropping one that has expired, of a few that it looks at, or any one.
func (v *Verifier) remember(token string, known verified, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	looked := 0
	for other, k := range v.verified { // begins anywhere
		if len(v.verified) < MaxVerified {
			break
		}
		if looked++; looked > 8 || !now.Before(k.token.Expires) {
			delete(v.verified, other)
		}
	}
	v.verified[token] = known
}

// header drops every header of the name's kind, whatever its spelling: some application behind some edge believes each. What a
// foreign application is to see must be the edge's word on this very request, about the same visitor.
func (v *Verifier) header(r *http.Request, a link.Arrival, token assertion.Token, keys []assertion.VerifyKey, now time.Time) error {
	values := r.Header[assertion.HeaderName]
	dropOurs(r.Header)
	if !v.config.Foreign {
		return nil
	}
	if len(values) != 1 {
		return fmt.Errorf("%d assertions in the header instead of one", len(values))
	}
	facts := assertion.RequestFacts{Method: r.Method, Host: r.Host, Target: r.RequestURI}
	word, err := assertion.OpenHeader(values[0], keys, v.config.Audience, facts, now)
	if err != nil {
		return fmt.Errorf("opening the header: %w", err)
	}
	if word.Request.ID != a.ID || word.Request.Client != a.Client || !same(word.Who, token.Who) {
		return errors.New("the header and the token speak of different visitors")
	}
	r.Header[assertion.HeaderName] = values
	return nil
}

// same compares but for the groups, of which a header may leave some out, and the moment of signing on, which a renewed session moves.
func same(a, b assertion.SignOn) bool {
	return a.By == b.By && a.Provider == b.Provider && a.Subject == b.Subject && a.Email == b.Email && a.Session == b.Session
}

// dropOurs removes headers whose names begin as ours do.
func dropOurs(h http.Header) {
	const ours = "redoubt"
	for name := range h {
		if len(name) > len(ours) && strings.EqualFold(name[:len(ours)], ours) && (name[len(ours)] == '-' || name[len(ours)] == '_') {
			delete(h, name)
		}
	}
}

// unproven refuses a request that the edge does not vouch for. Why is for the log alone: it would help only a forger.
func unproven(cause error) *layer.Refusal {
	return &layer.Refusal{By: layer.Perimeter, Reason: layer.Unauthenticated, Public: "This request did not come through the edge.", Cause: cause}
}
