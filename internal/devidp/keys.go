package devidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

type signingKey struct {
	id      string
	private crypto.Signer
}

// A Token is what is about to be signed. A hook set by Misbehave may change all of it.
type Token struct {
	Header    map[string]any // "kid" and "typ"; the rest at will
	Claims    map[string]any
	Algorithm string           // also "none", or "HS256" with Key a []byte
	Key       any              // the private key, or the secret
	Public    crypto.PublicKey // what the JWKS shows, for those who confuse keys and secrets
	Raw       string           // sent as it is, when not empty
}

// The kinds of tokens that are signed.
const (
	idToken     = "JWT"
	logoutToken = "logout+jwt" // Back-Channel Logout 1.0, section 2.4
)

// Misbehave lets f alter the next ID token, once. It exists for attack tests, and nothing reaches it over HTTP. f must not call
// the provider.
func (p *Provider) Misbehave(f func(*Token)) { p.hook(idToken, f) }

// MisbehaveLogout lets f alter the next logout token, once.
func (p *Provider) MisbehaveLogout(f func(*Token)) { p.hook(logoutToken, f) }

func (p *Provider) hook(kind string, f func(*Token)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks[kind] = f
}

// RotateKeys signs with a new key from now on. The old keys stay in the JWKS if keep is true, and are withdrawn otherwise.
func (p *Provider) RotateKeys(keep bool) error {
	private, err := newKey(p.cfg.Algorithm)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !keep {
		p.keys = nil
	}
	// Four keys are more than any rotation needs; the oldest goes.
	p.keys = append(p.keys[max(0, len(p.keys)-3):], signingKey{random()[:16], private})
	return nil
}

func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}

func (p *Provider) publicKeys() jose.JSONWebKeySet {
	p.mu.Lock()
	defer p.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Use: "sig", Algorithm: p.cfg.Algorithm})
	}
	return set
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, p.publicKeys())
}

// sign makes a token of a kind. The caller holds the lock.
func (p *Provider) sign(kind string, claims map[string]any) (string, error) {
	key := p.keys[len(p.keys)-1]
	t := &Token{
		Header: map[string]any{"kid": key.id, "typ": kind}, Claims: claims,
		Algorithm: p.cfg.Algorithm, Key: key.private, Public: key.private.Public(),
	}
	if hook := p.hooks[kind]; hook != nil {
		delete(p.hooks, kind)
		hook(t)
	}
	if t.Raw != "" {
		return t.Raw, nil
	}
	return t.serialize()
}

func (t *Token) serialize() (string, error) {
	payload, err := json.Marshal(t.Claims)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	if t.Algorithm == "none" { // RFC 7519 section 6; only a hook asks for it
		return t.unsigned(payload)
	}
	options := &jose.SignerOptions{}
	for name, value := range t.Header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(t.Algorithm), Key: t.Key}, options)
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed.CompactSerialize()
}

func (t *Token) unsigned(payload []byte) (string, error) {
	t.Header["alg"] = "none"
	header, err := json.Marshal(t.Header)
	if err != nil {
		return "", fmt.Errorf("encoding a header: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return strings.Join([]string{encode(header), encode(payload), ""}, "."), nil
}

// atHash is the left half of the hash that belongs to the algorithm, OpenID Connect Core 1.0 section 3.1.3.6.
func atHash(algorithm, accessToken string) string {
	if algorithm == "EdDSA" {
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// hinted verifies an ID token that a client hands back as a hint. It may have expired: it says who is meant, and allows nothing.
func (p *Provider) hinted(raw string) (claims struct{ Aud, Sid string }, ok bool) {
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.cfg.Algorithm)})
	if err != nil {
		return claims, false
	}
	set := p.publicKeys()
	for _, key := range set.Key(signed.Signatures[0].Header.KeyID) {
		if payload, err := signed.Verify(key); err == nil {
			return claims, json.Unmarshal(payload, &claims) == nil
		}
	}
	return claims, false
}
