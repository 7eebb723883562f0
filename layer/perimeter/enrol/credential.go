package enrol

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// Errors of a connector's. Each says what to do.
var (
	// ErrRefused means that the edge would not enrol the connector, or renew its certificate. It never says why.
	ErrRefused = errors.New("the edge refused: the invitation is wrong, used or older than 15 minutes, or the connector was revoked or off for too long; make a new invitation at the edge")
	// ErrLater means that the edge could not at the moment.
	ErrLater = errors.New("the edge cannot enrol at the moment; try again in a minute")
)

// A Credential is what a connector has: its key and certificate, the edges' addresses, the pins of their authority, the assertions'
// keys. It changes while its connector runs. It may be used concurrently, but by one process: two that share one would each renew it, and
// a rotation could leave one of them behind.
type Credential struct {
	file string
	now  func() time.Time
	keys atomic.Pointer[[]assertion.VerifyKey] // of s: asked for with each request

	mu      sync.Mutex
	s       saved
	pair    *tls.Certificate
	pending *ecdsa.PrivateKey // of a renewal under way: asked again, it is for the same key
	asked   time.Time         // the last Renewal
	waiting bool              // for its answer
	wanted  bool              // the edge wants a renewal at once
	trouble bool              // the last answer was of no use
}

// saved is a credential as it is kept.
type saved struct {
	ID          string      `json:"id"`
	Deployment  string      `json:"deployment"`
	Application string      `json:"application"`
	Certificate []byte      `json:"certificate"`
	Key         []byte      `json:"key"` // PKCS #8
	Authorities []Pin       `json:"authorities"`
	Keys        []publicKey `json:"keys"`
	Edges       []string    `json:"edges"`
}

func newPair(key crypto.PrivateKey, chain ...[]byte) (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, errors.New("the certificate cannot be read")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// newCredential is of a connector that has just been enrolled.
func newCredential(file string, key *ecdsa.PrivateKey, a answer, now func() time.Time) (*Credential, error) {
	c := &Credential{file: file, now: now}
	s := saved{Application: a.Application, Authorities: a.Authorities, Keys: a.Keys, Edges: a.Edges}
	if err := s.certify(key, a.Certificate); err != nil {
		return nil, err
	}
	return c, c.adopt(s)
}

// certify puts a certificate for this key in s, with the name that is in it.
func (s *saved) certify(key *ecdsa.PrivateKey, certificate []byte) error {
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil {
		return errors.New("the certificate cannot be read")
	}
	if !key.PublicKey.Equal(leaf.PublicKey) || len(leaf.URIs) != 1 {
		return errors.New("the certificate is for another key, or has another number of names than one")
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	id := leaf.URIs[0].Path
	if len(id) != len("/"+connectorPart+"/")+32 {
		return errors.New("the certificate is not a connector's")
	}
	s.Certificate, s.Key, s.Deployment, s.ID = certificate, encoded, leaf.URIs[0].Host, id[len(id)-32:]
	return nil
}

// check reads s, and holds its parts against each other.
func (s saved) check() (*tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	private, is := key.(*ecdsa.PrivateKey)
	if err != nil || !is {
		return nil, errors.New("the key cannot be read")
	}
	pair, err := newPair(private, s.Certificate)
	if err != nil {
		return nil, err
	}
	leaf := pair.Leaf
	if !private.PublicKey.Equal(leaf.PublicKey) || len(leaf.URIs) != 1 || !isID(s.ID) ||
		leaf.URIs[0].String() != name(s.Deployment, connectorPart, s.ID).String() {
		return nil, errors.New("certificate, key and name do not belong together")
	}
	return pair, errors.Join(checkApplication(s.Application), checkTrust(s.Authorities, s.Keys, s.Edges))
}

// adopt keeps s and then uses it. If it cannot be kept the credential stays as it was: a connector that went on with a key which its
// next start does not know would be taken for a copy of itself.
func (c *Credential) adopt(s saved) error {
	pair, err := s.check()
	if err != nil {
		return fmt.Errorf("reading a credential: %w", err)
	}
	if c.file != "" {
		content, err := json.MarshalIndent(s, "", "\t")
		if err == nil {
			err = save(c.file, content)
		}
		if err != nil {
			return fmt.Errorf("keeping the credential: %w", err)
		}
	}
	c.use(s, pair)
	return nil
}

func (c *Credential) use(s saved, pair *tls.Certificate) {
	keys := fromPublic(s.Keys)
	c.s, c.pair = s, pair
	c.keys.Store(&keys)
}

// Load reads a kept credential.
func Load(file string) (*Credential, error) {
	content, err := load(file)
	if err != nil {
		return nil, fmt.Errorf("reading the credential: %w", err)
	}
	c := &Credential{file: file}
	if err := c.UnmarshalJSON(content); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// MarshalJSON hands the credential to another process. The text is a secret.
func (c *Credential) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(c.s)
}

// UnmarshalJSON takes a credential over. It is not kept in a file.
func (c *Credential) UnmarshalJSON(b []byte) error {
	var s saved
	if len(b) > MaxCredential {
		return errors.New("reading a credential: it is too large")
	}
	if err := strictly(b, &s); err != nil {
		return errors.New("reading a credential: it is not one")
	}
	pair, err := s.check()
	if err != nil {
		return fmt.Errorf("reading a credential: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use(s, pair)
	if c.now == nil {
		c.now = time.Now
	}
	return nil
}

// String names the connector without any secret, and so do GoString and LogValue.
func (c *Credential) String() string { return "connector " + c.ID() + " of " + c.Application() }

// GoString keeps the key out of %#v.
func (c *Credential) GoString() string { return "enrol.Credential(" + c.String() + ")" }

// LogValue implements slog.LogValuer.
func (c *Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Format keeps the key out of every verb.
func (c *Credential) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

func (c *Credential) get() saved {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s
}

// ID is the connector's name in the deployment.
func (c *Credential) ID() string { return c.get().ID }

// Application is whose requests the connector takes.
func (c *Credential) Application() string { return c.get().Application }

// Edges are the addresses to dial. They change with a renewal.
func (c *Credential) Edges() []string { return slices.Clone(c.get().Edges) }

// Keys are those by which the edges' assertions are verified. They change with a renewal; the slice itself is not to be changed.
func (c *Credential) Keys() []assertion.VerifyKey {
	if keys := c.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// Expires is when the certificate ends, unless it is renewed.
func (c *Credential) Expires() time.Time { return c.current().Leaf.NotAfter }

// Pin is of the key at present: it changes with each certificate.
func (c *Credential) Pin() Pin { return PinOf(c.current().Leaf) }

func (c *Credential) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair
}

// TLS is the configuration for dialling a link. It gets key and pins anew for each handshake.
func (c *Credential) TLS() *tls.Config { return c.tls(link.Protocol) }

func (c *Credential) tls(protocol string) *tls.Config {
	t := base(protocol)
	t.InsecureSkipVerify = true // no public authority is asked, nor a host's name; VerifyConnection compares the pinned key
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.current(), nil }
	t.VerifyConnection = func(s tls.ConnectionState) error {
		is := c.get()
		_, err := edgeOf(s, protocol, is.Authorities, is.Deployment, c.now())
		return err
	}
	return t
}

// life is how long the certificate is good in all.
func (c *Credential) life() time.Duration {
	return c.pair.Leaf.NotAfter.Sub(c.pair.Leaf.NotBefore) - ClockSkew
}

// Due reports whether Renewal is to be sent: for a new certificate, once two thirds of this one's life are over or the edge wants it,
// and otherwise for news every minute or so. What was not answered, or of no use, is tried again sooner.
func (c *Credential) Due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := pace(c.life())
	if c.waiting || c.trouble {
		wait = min(wait, 5*time.Second)
	} else if c.old(now) {
		return true
	}
	since := now.Sub(c.asked)
	return c.asked.IsZero() || since < 0 || since >= wait
}

// old reports whether the certificate is to be renewed.
func (c *Credential) old(now time.Time) bool {
	return c.wanted || !now.Before(c.pair.Leaf.NotAfter.Add(-c.life()/3))
}

// Renewal makes the message to send over the link, and Control takes the answer.
func (c *Credential) Renewal() (message []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.asked, c.waiting = now, true
	if !c.old(now) {
		return json.Marshal(request{Ask: askNews})
	}
	q, err := c.renewal([]byte(c.s.ID))
	if err != nil {
		return nil, fmt.Errorf("asking for a renewal: %w", err)
	}
	return json.Marshal(q)
}

// renewal asks for a certificate for the next key, bound to what the edge knows too: the connector's name on a link, the connection
// otherwise.
func (c *Credential) renewal(bound []byte) (q request, err error) {
	if c.pending == nil {
		if c.pending, err = newKey(); err != nil {
			return q, err
		}
	}
	q.Ask = askRenew
	if q.Key, err = spki(c.pending.Public()); err != nil {
		return q, err
	}
	q.Proof, err = ecdsa.SignASN1(rand.Reader, c.pending, proof(askRenew, bound, q.Key))
	return q, err
}

// Control takes an edge's answer. With an error the credential is what it was.
func (c *Credential) Control(message []byte) error {
	a, err := parseAnswer(message)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting, c.trouble = false, true
	switch {
	case err != nil:
		return fmt.Errorf("reading the edge's answer: %w", err)
	case a.Is == isRefused:
		return ErrRefused
	case a.Is == isLater:
		return ErrLater
	}
	if err := c.take(a); err != nil {
		return fmt.Errorf("taking the edge's answer: %w", err)
	}
	c.trouble, c.wanted = false, a.Renew
	return nil
}

func (c *Credential) take(a answer) error {
	if a.Application != c.s.Application {
		return errors.New("it is for another application")
	}
	s := c.s
	s.Authorities, s.Keys, s.Edges = a.Authorities, a.Keys, a.Edges
	before, again := c.s, c.pending == nil && c.forUs(a.Certificate) // it was asked for over two links
	if len(a.Certificate) > 0 && !again {
		if err := c.replace(&s, a.Certificate); err != nil {
			return err
		}
	}
	if same(s, c.s) {
		return nil
	}
	if err := c.adopt(s); err != nil {
		return err
	}
	if !slices.Equal(before.Certificate, s.Certificate) {
		c.pending = nil
	}
	return nil
}

// forUs reports whether a certificate is for the key in use.
func (c *Credential) forUs(certificate []byte) bool {
	leaf, err := x509.ParseCertificate(certificate)
	return err == nil && PinOf(leaf) == PinOf(c.pair.Leaf)
}

// replace puts the next certificate in s: for the key that was asked for, in the same name, and good at this moment. One that is not
// comes from an edge whose clock is wrong, or this one is.
func (c *Credential) replace(s *saved, certificate []byte) error {
	if c.pending == nil {
		return errors.New("it brings a certificate that nobody asked for")
	}
	if err := s.certify(c.pending, certificate); err != nil {
		return err
	}
	if s.ID != c.s.ID || s.Deployment != c.s.Deployment {
		return errors.New("its certificate is in another name")
	}
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil {
		return err
	}
	if now := c.now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return ErrClock
	}
	return nil
}

func same(x, y saved) bool {
	return slices.Equal(x.Certificate, y.Certificate) && slices.Equal(x.Authorities, y.Authorities) && slices.Equal(x.Edges, y.Edges) &&
		slices.EqualFunc(x.Keys, y.Keys, func(a, b publicKey) bool { return a.ID == b.ID && slices.Equal(a.Public, b.Public) })
}
