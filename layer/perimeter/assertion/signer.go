package assertion

import (
	"bytes"
	"container/list"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// DefaultTokens is how many tokens a Signer keeps.
const DefaultTokens = 8192

// SignerConfig says with which key the edge signs.
type SignerConfig struct {
	// Key is the current signing key, asked for each signature. Required.
	Key func() SigningKey
	// Keys are those that JWKS publishes, current and next. Required.
	Keys func() []VerifyKey
	// Tokens is how many tokens are kept, so that one is not signed again for each request; zero means DefaultTokens.
	Tokens int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Signer signs for the edge. It may be used concurrently.
type Signer struct {
	config SignerConfig

	mu     sync.Mutex
	with   keyed
	tokens map[subject]*list.Element
	recent *list.List // of *kept, the most recently used first
}

// keyed is the means of signing with one key, of one type each.
type keyed struct {
	id            string
	token, header jose.Signer
}

// A subject tells one token from another. It is compared for each request, so that it holds no text put together for it.
type subject struct{ application, link, by, provider, name, session string }

type kept struct {
	subject subject
	who     SignOn
	kid     string
	text    string
	renew   time.Time // from then on a new one is signed, so that none is sent that is about to end
	made    time.Time // a clock that was set back signs anew
}

// NewSigner checks the configuration and reports every problem at once.
func NewSigner(c SignerConfig) (*Signer, error) {
	var problems []error
	if c.Key == nil {
		problems = append(problems, errors.New("the assertion key is missing"))
	} else if _, err := newKeyed(c.Key()); err != nil {
		problems = append(problems, err)
	}
	if c.Keys == nil {
		problems = append(problems, errors.New("the keys to publish are missing"))
	}
	if c.Tokens < 0 {
		problems = append(problems, errors.New("the number of kept tokens is negative"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring assertion signer: %w", errors.Join(problems...))
	}
	if c.Tokens == 0 {
		c.Tokens = DefaultTokens
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Signer{config: c, tokens: map[subject]*list.Element{}, recent: list.New()}, nil
}

func newKeyed(key SigningKey) (keyed, error) {
	if len(key.Private) != ed25519.PrivateKeySize || key.ID == "" {
		return keyed{}, errors.New("the assertion key is missing")
	}
	k := keyed{id: key.ID}
	for typ, to := range map[jose.ContentType]*jose.Signer{tokenType: &k.token, headerType: &k.header} {
		options := (&jose.SignerOptions{}).WithType(typ).WithHeader("kid", key.ID)
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key.Private}, options)
		if err != nil {
			return keyed{}, fmt.Errorf("making the assertion signer: %w", err)
		}
		*to = s
	}
	return k, nil
}

// current returns the means of signing with the key of this moment.
func (s *Signer) current() (keyed, error) {
	key := s.config.Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.with.id == key.ID && key.ID != "" {
		return s.with, nil
	}
	k, err := newKeyed(key)
	if err == nil {
		s.with = k
	}
	return k, err
}

// Token is the word on who was let in, for one link of an application. The same token is returned for half its life, so that a link
// sends it once (SYSTEM P5).
func (s *Signer) Token(application, link string, who SignOn) (string, error) {
	if application == "" || link == "" {
		return "", errors.New("signing token: the application or its link has no name")
	}
	with, err := s.current()
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	now := s.config.Now()
	about := subject{application, link, who.By, who.Provider, who.Subject, who.Session}
	if text := s.known(about, who, with.id, now); text != "" {
		return text, nil
	}
	c := tokenClaims{words: newWords(with.id, application, who, now, TokenLife), Link: link}
	text, err := sign(with.token, &c.words, &c, MaxToken)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	who = who.Clone()
	s.keep(&kept{subject: about, who: who, kid: with.id, text: text, made: now, renew: now.Add(TokenLife / 2)})
	return text, nil
}

func (s *Signer) known(about subject, who SignOn, kid string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.tokens[about]
	if e == nil {
		return ""
	}
	k := e.Value.(*kept)
	if k.kid != kid || !now.Before(k.renew) || now.Before(k.made) || !k.who.Equal(who) {
		return ""
	}
	s.recent.MoveToFront(e)
	return k.text
}

// keep replaces what was known, and forgets what was not used for longest when there is no room.
func (s *Signer) keep(k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.tokens[k.subject]; e != nil {
		e.Value = k
		s.recent.MoveToFront(e)
		return
	}
	for len(s.tokens) >= s.config.Tokens {
		last := s.recent.Back()
		delete(s.tokens, last.Value.(*kept).subject)
		s.recent.Remove(last)
	}
	s.tokens[k.subject] = s.recent.PushFront(k)
}

// RequestFacts are what a header is bound to.
type RequestFacts struct {
	Method string
	Host   string // as the client asked for it
	Target string // path and query, exactly as forwarded
	ID     string // in the edge's log
	Client netip.Addr
}

// Header is the value of HeaderName for one request to an application that verifies it by itself (SYSTEM P5, P7).
func (s *Signer) Header(application string, r RequestFacts, who SignOn) (string, error) {
	if application == "" || r.Method == "" || r.Host == "" || r.Target == "" || r.ID == "" || len(r.ID) > MaxID || !r.Client.IsValid() {
		return "", errors.New("signing header: what it is to be bound to is incomplete")
	}
	with, err := s.current()
	if err != nil {
		return "", fmt.Errorf("signing header: %w", err)
	}
	c := headerClaims{
		words: newWords(with.id, application, who, s.config.Now(), HeaderLife),
		ID:    r.ID, Method: r.Method, Host: r.Host, Target: targetClaim(r.Target), Client: r.Client.String(),
	}
	text, err := sign(with.header, &c.words, &c, MaxHeader)
	if err != nil {
		return "", fmt.Errorf("signing header: %w", err)
	}
	return text, nil
}

// JWKS is what the edge publishes for those who verify headers: its public keys, current and next (RFC 7517).
func (s *Signer) JWKS() ([]byte, error) { return JWKS(s.config.Keys()) }

func newWords(kid, application string, who SignOn, now time.Time, life time.Duration) words {
	w := words{
		Issuer: issuerPrefix + kid, Audience: application,
		Issued: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(life).Unix(),
		By: who.By, Subject: who.Subject, Provider: who.Provider, Email: who.Email,
		Groups: who.Groups, Omitted: who.GroupsOmitted, Session: who.Session,
	}
	if !who.At.IsZero() {
		w.AuthTime = who.At.Unix()
	}
	return w
}

// sign signs claims, of which w is a part. What would be too large is signed without groups, and says so: somebody in three hundred
// groups is let in as the others are, and what asks for a group finds out that it was not told.
func sign(with jose.Signer, w *words, claims any, limit int) (string, error) {
	if err := w.signOn().check(); err != nil {
		return "", err
	}
	text, err := compact(with, claims)
	if err == nil && len(text) > limit && len(w.Groups) > 0 {
		w.Groups, w.Omitted = nil, true
		text, err = compact(with, claims)
	}
	if err == nil && len(text) > limit {
		err = errors.New("the assertion would be too large")
	}
	return text, err
}

func compact(with jose.Signer, claims any) (string, error) {
	var payload bytes.Buffer
	e := json.NewEncoder(&payload)
	e.SetEscapeHTML(false) // an & in a query would grow sixfold
	if err := e.Encode(claims); err != nil {
		return "", fmt.Errorf("encoding assertion: %w", err)
	}
	jws, err := with.Sign(bytes.TrimSpace(payload.Bytes()))
	if err != nil {
		return "", fmt.Errorf("signing assertion: %w", err)
	}
	return jws.CompactSerialize()
}
