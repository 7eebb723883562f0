// Package assertion says who the edge let in, so that an application need not believe the connection it was told over. The edge
// signs (EdDSA, RFC 8037); whoever has its public key verifies. There are two forms, and neither passes for the other:
//
//   - a Token, for an application that is the end of a link: one for each sign-on and link, for five minutes. It names the link, so
//     that it is worth nothing on another one; which request it is for, the link itself proves (package link);
//   - a header, for any other application: one for each request, for thirty seconds, naming method, host, path and query.
//
// # What it assumes has failed
//
// The connection: somebody has a link's key, or stands in the middle of it, and can write any request. A token or a header was
// written down somewhere and is tried again. The application's own sign-on.
//
// # What it stops
//
//   - Saying who somebody is without the edge's signing key (SYSTEM P5).
//   - Using a token on another link, for another application, or late; a header for another request, or late.
//   - Algorithms of the sender's choice, keys that a token brings along, tokens of another kind (RFC 8725 sections 3.1 and 3.11).
//
// # What it does not stop
//
// A stolen signing key is believed until it is replaced. A header is good for its one request for thirty seconds: who captures it can
// repeat that request, unless the application remembers the identifier. What somebody may do is for the application to decide.
//
// # How it is knocked out in a drill
//
// The application's Verifier is left out: then identity and the gates stand alone, and must hold. The link's proof is left out: then
// a token still names its link.
//
// # Example
//
//	signer, err := assertion.NewSigner(assertion.SignerConfig{Key: authority.Signer, Keys: authority.Keys})
//	token, err := signer.Token("commons", conn.ID(), admission.Who)
//
//	who, err := assertion.Open(token, keys, "commons", arrival.Link, time.Now())
package assertion

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// HeaderName carries the edge's word on one request. The edge drops whatever a client sends under this name.
const HeaderName = "Redoubt-Assertion"

// Limits.
const (
	MaxToken   = 16 << 10         // bytes of a token
	MaxHeader  = 4 << 10          // bytes of a header's value: many servers take 8 KiB of headers in all
	TokenLife  = 5 * time.Minute  // of a token, from its issue
	HeaderLife = 30 * time.Second // of a header
	Skew       = 5 * time.Second  // by which the clocks of edge and application may differ
	MaxID      = 64               // bytes of a request's identifier

	literalTarget = 512 // bytes of path and query that a header spells out; a longer target is named by its hash
)

// RFC 8725 section 3.11: no other JWT can be taken for one of ours, nor one form for the other.
const (
	tokenType    = "redoubt-signon+jwt"
	headerType   = "redoubt-assertion+jwt"
	issuerPrefix = "redoubt-edge/"
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

// JWKS writes keys as a JSON Web Key Set (RFC 7517, RFC 8037), for applications that verify headers by themselves.
func JWKS(keys []VerifyKey) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding assertion keys: %w", err)
	}
	return text, nil
}

// words are the claims that both forms have: those of RFC 7519, and who was let in.
type words struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Expires   int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	Issued    int64  `json:"iat"`

	By       string   `json:"by"`
	Subject  string   `json:"sub,omitempty"`
	Provider string   `json:"idp,omitempty"`
	Email    string   `json:"email,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Omitted  bool     `json:"groups_omitted,omitempty"`
	Session  string   `json:"sid,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
}

// tokenClaims bind to a link.
type tokenClaims struct {
	words
	Link string `json:"lnk"`
}

// headerClaims bind to a request, with the names of RFC 9449 where it has any.
type headerClaims struct {
	words
	ID     string `json:"jti"`
	Method string `json:"htm"`
	Host   string `json:"hth"`
	Target string `json:"htu"`
	Client string `json:"ip"`
}

func (w *words) signOn() SignOn {
	s := SignOn{By: w.By, Subject: w.Subject, Provider: w.Provider, Email: w.Email, Groups: w.Groups, GroupsOmitted: w.Omitted, Session: w.Session}
	if w.AuthTime != 0 {
		s.At = time.Unix(w.AuthTime, 0)
	}
	return s
}

// signed returns the claims of a token of the given type that one of the edge's keys signed. Its errors never quote the token.
func signed(token, typ string, limit int, keys []VerifyKey, claims any) (kid string, err error) {
	if len(token) > limit {
		return "", errors.New("the assertion is too large")
	}
	if strings.Count(token, ".") != 2 || strings.IndexFunc(token, notCompact) >= 0 {
		return "", errors.New("the assertion is not in compact form")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA}) // RFC 8725 section 3.1
	if err != nil {
		return "", errors.New("the assertion cannot be read, or is not signed with EdDSA") // the parser's words may quote it
	}
	header := jws.Signatures[0].Protected
	key, known := find(keys, header.KeyID)
	if !known {
		return "", errors.New("the assertion's key is unknown")
	}
	if got, _ := header.ExtraHeaders[jose.HeaderType].(string); got != typ {
		return "", errors.New("the token is not an assertion of the kind that is expected here")
	}
	if header.JSONWebKey != nil || header.ExtraHeaders["crit"] != nil {
		return "", errors.New("the assertion's header asks for more than it may")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return "", errors.New("the assertion's signature is wrong")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(claims); err != nil || d.More() {
		return "", errors.New("the assertion's claims are unreadable")
	}
	return header.KeyID, nil
}

// notCompact finds what has no place in compact form (RFC 7515 section 7.1): the decoder would skip line breaks, so that one assertion had
// many spellings.
func notCompact(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

func find(keys []VerifyKey, kid string) (ed25519.PublicKey, bool) {
	for _, k := range keys {
		if k.ID == kid && kid != "" && len(k.Public) == ed25519.PublicKeySize {
			return k.Public, true
		}
	}
	return nil, false
}

// check holds the claims of either form against the application and the moment.
func (w *words) check(kid, application string, life time.Duration, now time.Time) error {
	notBefore, expires := time.Unix(w.NotBefore, 0), time.Unix(w.Expires, 0)
	switch {
	case w.Issuer != issuerPrefix+kid:
		return errors.New("the assertion's issuer does not own its key")
	case w.Audience == "" || w.Audience != application:
		return errors.New("the assertion is for another application")
	case !now.Before(expires.Add(Skew)):
		return errors.New("the assertion has expired")
	case now.Before(notBefore.Add(-Skew)) || now.Before(time.Unix(w.Issued, 0).Add(-Skew)):
		return errors.New("the assertion is from the future")
	case expires.Sub(notBefore) > life:
		return errors.New("the assertion lives too long")
	}
	return w.signOn().check()
}

// targetClaim names a request target. A long one, or one that JSON would spell differently, is named by its hash, so that a header
// never outgrows MaxHeader and two targets never share a name. The two forms cannot be confused: a target does not begin so.
func targetClaim(target string) string {
	plain := func(r rune) bool { return r > ' ' && r < 0x7f && r != '"' && r != '\\' }
	if len(target) <= literalTarget && strings.IndexFunc(target, func(r rune) bool { return !plain(r) }) < 0 {
		return target
	}
	hash := sha256.Sum256([]byte(target))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(hash[:])
}
