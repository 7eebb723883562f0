package perimeter

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// AssertionHeader carries the edge's word on one request. The edge drops whatever a client sends under this name.
const AssertionHeader = "Redoubt-Assertion"

const (
	assertionType = "redoubt-assertion+jwt" // RFC 8725 section 3.11: no other JWT can be taken for one of ours
	issuerPrefix  = "redoubt-edge/"
	literalTarget = 512 // bytes of path and query that an assertion spells out; a longer one is named by its hash
)

// A SigningKey is the edge's key for assertions.
type SigningKey struct {
	ID      string // names the key; made from it by NewSigningKey
	Private ed25519.PrivateKey
}

// A VerifyKey is the application's half of a SigningKey.
type VerifyKey struct {
	ID     string
	Public ed25519.PublicKey
}

// NewSigningKey names a private key by the hash of its public half.
func NewSigningKey(private ed25519.PrivateKey) SigningKey {
	hash := sha256.Sum256(private.Public().(ed25519.PublicKey))
	return SigningKey{base64.RawURLEncoding.EncodeToString(hash[:12]), private}
}

// Public returns the half that verifies.
func (k SigningKey) Public() VerifyKey {
	return VerifyKey{k.ID, k.Private.Public().(ed25519.PublicKey)}
}

// String keeps the key out of logs.
func (k SigningKey) String() string { return "assertion key " + k.ID }

// GoString keeps the key out of %#v.
func (k SigningKey) GoString() string { return k.String() }

// claims are the words of an assertion: those of RFC 7519, then the request that it is for, with the names of RFC 9449.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Expires   int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	Issued    int64  `json:"iat"`
	ID        string `json:"jti"`
	Method    string `json:"htm"`
	Host      string `json:"hth"`
	Target    string `json:"htu"`
	Client    string `json:"ip"`
}

// A signer signs assertions with one key for one application.
type signer struct {
	jose     jose.Signer
	issuer   string
	audience string
	now      func() time.Time
}

func newSigner(key SigningKey, audience string) (*signer, error) {
	if len(key.Private) != ed25519.PrivateKeySize || key.ID == "" {
		return nil, errors.New("the assertion key is missing")
	}
	options := (&jose.SignerOptions{}).WithType(assertionType).WithHeader("kid", key.ID)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key.Private}, options)
	if err != nil {
		return nil, fmt.Errorf("making the assertion signer: %w", err)
	}
	return &signer{s, issuerPrefix + key.ID, audience, time.Now}, nil
}

// sign makes the assertion for r as it will be sent, under the given identifier (SYSTEM P5).
func (s *signer) sign(r *http.Request, id, client string) (string, error) {
	now := s.now()
	var payload bytes.Buffer
	e := json.NewEncoder(&payload)
	e.SetEscapeHTML(false) // an & in a query would grow sixfold
	err := e.Encode(claims{
		Issuer: s.issuer, Audience: s.audience, ID: id, Client: client,
		Issued: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(AssertionLife).Unix(),
		Method: r.Method, Host: r.Host, Target: targetClaim(r.URL.RequestURI()),
	})
	if err != nil {
		return "", fmt.Errorf("encoding assertion: %w", err)
	}
	jws, err := s.jose.Sign(bytes.TrimSpace(payload.Bytes()))
	if err != nil {
		return "", fmt.Errorf("signing assertion: %w", err)
	}
	return jws.CompactSerialize()
}

// targetClaim names a request target. A long one, or one that JSON would lengthen, is named by its hash, so that an assertion
// never outgrows MaxAssertion. The two forms cannot be confused: a target begins with a slash.
func targetClaim(target string) string {
	if len(target) <= literalTarget && !strings.ContainsAny(target, `"\`) {
		return target
	}
	hash := sha256.Sum256([]byte(target))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(hash[:])
}
