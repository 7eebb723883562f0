package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"
)

// The parsers, for fuzzing: each says whether it took the text, and what it wrote again.
var (
	ParseRequest = func(b []byte) (any, error) { return parseRequest(b) }
	ParseAnswer  = func(b []byte) (any, error) { return parseAnswer(b) }
)

// ParseToken reads a token and writes it again.
func ParseToken(token string) (again string, err error) {
	i, err := parseToken(token)
	if err != nil {
		return "", err
	}
	return i.token(), nil
}

// JoinAt is Join with a clock.
func JoinAt(ctx context.Context, token, file string, now func() time.Time) (*Credential, error) {
	return join(ctx, token, file, now)
}

// SetClock changes a credential's clock.
func (c *Credential) SetClock(now func() time.Time) { c.now = now }

// A Forger is a thief of the authority's key.
type Forger struct{ signer *signer }

// Thief returns who has stolen the authority's key; a Stranger has an authority of his own.
func (a *Authority) Thief() Forger { return Forger{a.known().issuer()} }

// Stranger has an authority that looks like ours.
func Stranger() Forger {
	s, err := newSigner()
	if err != nil {
		panic(err)
	}
	return Forger{s}
}

// Forge makes a certificate of any kind.
func (f Forger) Forge(key *ecdsa.PrivateKey, deployment, part, id string, now time.Time, life time.Duration) tls.Certificate {
	if key == nil {
		var err error
		if key, err = newKey(); err != nil {
			panic(err)
		}
	}
	der, err := f.signer.issue(key.Public(), deployment, part, id, now, life)
	if err != nil {
		panic(err)
	}
	pair, err := newPair(key, der)
	if err != nil {
		panic(err)
	}
	if part == edgePart {
		pair.Certificate = append(pair.Certificate, f.signer.cert.Raw)
	}
	return *pair
}

// Certificate is what the credential shows.
func (c *Credential) Certificate() tls.Certificate { return *c.current() }

// EdgeCertificate is what the edge shows.
func (a *Authority) EdgeCertificate() *tls.Certificate {
	pair, err := a.certificate()
	if err != nil {
		panic(err)
	}
	return pair
}

// CA is the current authority's certificate.
func (a *Authority) CA() *x509.Certificate { return a.known().current.cert }

// Secrets are what no log and no text may hold.
func (c *Credential) Secrets() []byte { return c.get().Key }

// LargestAnswer is as large as one can become.
func LargestAnswer(certificate []byte) ([]byte, error) {
	a := answer{Is: isDone, Application: text(MaxApplication), Certificate: certificate, Authorities: make([]Pin, 2), Renew: true}
	for range maxKeys {
		a.Keys = append(a.Keys, publicKey{text(64), make([]byte, 32)})
	}
	for i := range MaxEdges {
		a.Edges = append(a.Edges, string(rune('a'+i))+text(MaxAddress-7)+":65535")
	}
	b, err := json.Marshal(a)
	if err == nil {
		_, err = parseAnswer(b)
	}
	return b, err
}

func text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

// Redeem makes the message that redeems a token on some connection, in the way in which one that stole it would.
func Redeem(token string, bound []byte) []byte {
	i, err := parseToken(token)
	if err != nil {
		panic(err)
	}
	key, err := newKey()
	if err != nil {
		panic(err)
	}
	q, err := i.redeem(key, bound)
	if err != nil {
		panic(err)
	}
	b, err := json.Marshal(q)
	if err != nil {
		panic(err)
	}
	return b
}

// Session is what a message on a connection is bound to.
func Session(s tls.ConnectionState) []byte {
	b, err := session(s)
	if err != nil {
		panic(err)
	}
	return b
}

// KeyOf returns the key of a certificate.
func KeyOf(pair tls.Certificate) *ecdsa.PrivateKey { return pair.PrivateKey.(*ecdsa.PrivateKey) }

// Redirect writes a token that has the secret of one and all else of another.
func Redirect(secret, rest string) string {
	s, err := parseToken(secret)
	if err != nil {
		panic(err)
	}
	r, err := parseToken(rest)
	if err != nil {
		panic(err)
	}
	r.secret = s.secret
	return r.token()
}

// MoveTo writes a token that names another edge.
func MoveTo(token, edge string) string {
	i, err := parseToken(token)
	if err != nil {
		panic(err)
	}
	i.edges = []string{edge}
	return i.token()
}

// Want lets the next Renewal ask for a certificate.
func (c *Credential) Want() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
}

// RenewSame asks for a certificate for the key that is in use.
func RenewSame(c *Credential) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = c.pair.PrivateKey.(*ecdsa.PrivateKey)
	defer func() { c.pending = nil }()
	q, err := c.renewal([]byte(c.s.ID))
	if err != nil {
		panic(err)
	}
	b, err := json.Marshal(q)
	if err != nil {
		panic(err)
	}
	return b
}

// Generation is how often the authority was changed, its making included.
func (a *Authority) Generation() uint64 { return a.known().generation }

// Generations are those that the folder holds.
func (a *Authority) Generations() int {
	all, err := a.records.List()
	if err != nil {
		panic(err)
	}
	return len(all)
}

// SetConnectors bounds how many may be enrolled.
func (a *Authority) SetConnectors(t interface{ Fatal(...any) }, limit int) {
	d, err := a.config.Folder.Drawer("connectors", limit)
	if err != nil {
		t.Fatal(err)
	}
	a.connectors = d
}

// KeysOnRecord counts the connectors' keys.
func (a *Authority) KeysOnRecord() int {
	all, err := a.keys.List()
	if err != nil {
		panic(err)
	}
	return len(all)
}

// Token writes bytes as a token, with a right checksum.
func Token(b []byte) string {
	sum := sha256.Sum256(b)
	return invitationPrefix + base64.RawURLEncoding.EncodeToString(append(slices.Clone(b), sum[:checkSize]...))
}

// Enrolments is how many are served at once.
const Enrolments = enrolments

// SetPatience changes how long one may take.
func (a *Authority) SetPatience(d time.Duration) { a.patience = d }

// ForgeWith makes a connector's certificate that is odd in one way.
func (f Forger) ForgeWith(key *ecdsa.PrivateKey, deployment, part, id string, change func(*x509.Certificate)) tls.Certificate {
	t, err := template(deployment, part, id, time.Now(), time.Hour)
	if err != nil {
		panic(err)
	}
	change(t)
	der, err := x509.CreateCertificate(rand.Reader, t, f.signer.cert, key.Public(), f.signer.key)
	if err != nil {
		panic(err)
	}
	pair, err := newPair(key, der)
	if err != nil {
		panic(err)
	}
	return *pair
}

// Pending is the key that a renewal is under way for.
func (c *Credential) Pending() *ecdsa.PrivateKey { return c.pending }

// Swap changes the key on record whose name begins like this one's.
func (a *Authority) Swap(id string, p Pin) {
	k, err := a.key(id, p)
	if err != nil {
		panic(err)
	}
	k.Pin[31]++ // beyond what the entry's name holds
	if err := a.putKey(id, k); err != nil {
		panic(err)
	}
}

// AnswerAs answers whoever wants to join, in a way of its own.
func (a *Authority) AnswerAs(conn io.ReadWriter, trusts *Authority, application, deployment, edge string) {
	b, err := receive(conn)
	if err != nil {
		return
	}
	q, err := parseRequest(b)
	if err != nil {
		return
	}
	public, err := parseSPKI(q.Key)
	if err != nil {
		return
	}
	r := trusts.known()
	der, err := r.current.issue(public, deployment, connectorPart, text32, time.Now(), time.Hour)
	if err != nil {
		return
	}
	send(conn, trusts.news(r, connectorEntry{application, []string{edge}}, der))
}

const text32 = "0123456789abcdef0123456789abcdef"

// Remembered is how many of so many callers are counted apart.
func Remembered(callers int) int {
	a := newAttempts(time.Hour, 1)
	for i := range callers {
		a.allow(strconv.Itoa(i))
	}
	return len(a.of)
}
