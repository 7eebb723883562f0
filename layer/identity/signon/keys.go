package signon

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keysLife    = time.Hour        // a key that the provider withdraws is believed no longer than this
	keyPatience = 10 * time.Second // between fetches that strangers can cause
	maxKeys     = 64
)

// asymmetric are all algorithms that Config.Algorithms may name. With any of the others, who verifies could also sign.
var asymmetric = []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}

type keyList []jose.JSONWebKey

// fetchKeys is RFC 7517 section 5. Keys that are not for us are left out; they are not an error.
func (p *Provider) fetchKeys(ctx context.Context) (keyList, error) {
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return nil, err
	}
	body, err := p.read(ctx, meta.Keys)
	if err != nil {
		return nil, fmt.Errorf("%w: fetching keys: %w", ErrUnreachable, err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%w: fetching keys: not a key set of at most %d keys", ErrUnreachable, maxKeys)
	}
	var keys keyList
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (p *Provider) read(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answers %d", resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// usable refuses secrets that pose as keys, keys for encryption, and keys too short to believe.
func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	public, isRSA := key.Key.(*rsa.PublicKey)
	return !isRSA || public.N.BitLen() >= 2048
}

// fits reports whether a key may verify an algorithm, so that one kind of key is never used as another.
func fits(key jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm[0] == 'R' || algorithm[0] == 'P'
	case *ecdsa.PublicKey:
		return algorithm[:2] == "ES"
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	default:
		return false
	}
}

// A keySet is the provider's keys as go-oidc wants them. An identifier that is not known makes it fetch the keys anew, if they
// are older than patience: OpenID Connect Core 1.0 section 10.1.1 wants that, and without patience anybody could make us hammer
// the provider with made-up logout tokens.
type keySet struct {
	p        *Provider
	patience time.Duration
}

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	signed, err := k.p.parse(raw)
	if err != nil {
		return nil, err
	}
	return k.verify(ctx, signed)
}

func (k keySet) verify(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	header := signed.Signatures[0].Header
	keys, err := k.p.keys.get(ctx, keysLife)
	if err != nil {
		return nil, err
	}
	key, found := keys.pick(header)
	if !found {
		if keys, err = k.p.keys.get(ctx, k.patience); err != nil {
			return nil, err
		}
		if key, found = keys.pick(header); !found {
			return nil, ErrKey
		}
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// pick finds the one key that a header means. Without an identifier there must be but one that fits (OpenID Connect Core 1.0
// section 10.1); with one, too.
func (keys keyList) pick(header jose.Header) (jose.JSONWebKey, bool) {
	match := slices.DeleteFunc(slices.Clone(keys), func(key jose.JSONWebKey) bool {
		return header.KeyID != "" && key.KeyID != header.KeyID || !fits(key, header.Algorithm)
	})
	if len(match) != 1 {
		return jose.JSONWebKey{}, false
	}
	return match[0], true
}
