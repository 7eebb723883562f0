package signon

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	keysLife    = time.Hour        // a key that the provider withdraws is believed no longer than this
	keyPatience = 10 * time.Second // between fetches that strangers can cause
	maxKeys     = 64
	maxKeyID    = 255
)

// asymmetric are all algorithms that Config.Algorithms may name. With any of the others, who verifies could also sign.
var asymmetric = []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}

type keyList []jose.JSONWebKey

// fetchKeys is RFC 7517 section 5. Keys that are not for us are left out; they are not an error.
func (a *authority) fetchKeys(ctx context.Context) (keyList, error) {
	meta, err := a.metadata.get(ctx, metadataLife)
	if err != nil {
		return nil, err
	}
	body, err := a.fetch(ctx, "keys", meta.Keys)
	if err != nil {
		return nil, err
	}
	keys, ok := readKeys(body)
	if !ok {
		return nil, fmt.Errorf("%w: keys: not a key set of at most %d keys", ErrUnreachable, maxKeys)
	}
	return keys, nil
}

// readKeys reads a set strictly, and of its keys those that it can use.
func readKeys(body []byte) (keys keyList, ok bool) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || len(set.Keys) > maxKeys {
		return nil, false
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	return keys, true
}

// usable refuses secrets that pose as keys, keys for encryption, and keys too short to believe or too long to compute with.
func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" || len(key.KeyID) > maxKeyID {
		return false
	}
	public, isRSA := key.Key.(*rsa.PublicKey)
	return !isRSA || public.N.BitLen() >= 2048 && public.N.BitLen() <= 8192 && public.E >= 3
}

// fits reports whether a key may verify an algorithm, so that one kind of key, or one curve, is never used as another (RFC 7518
// section 3.4).
func fits(key jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm[0] == 'R' || algorithm[0] == 'P'
	case *ecdsa.PublicKey:
		return public.Curve == map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
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
	of       *authority
	patience time.Duration
}

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	t, err := parse(raw, k.of.algorithms)
	if err != nil {
		return nil, err
	}
	return k.verify(ctx, t)
}

func (k keySet) verify(ctx context.Context, t token) ([]byte, error) {
	keys, err := k.of.keys.get(ctx, keysLife)
	if err != nil {
		return nil, err
	}
	key, found := keys.pick(t)
	if !found {
		if keys, err = k.of.keys.get(ctx, k.patience); err != nil {
			return nil, err
		}
		if key, found = keys.pick(t); !found {
			return nil, ErrKey
		}
	}
	payload, err := t.signed.Verify(key)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// pick finds the one key that a header means. Without an identifier there must be but one that fits (OpenID Connect Core 1.0
// section 10.1); with one, too.
func (keys keyList) pick(t token) (jose.JSONWebKey, bool) {
	match := slices.DeleteFunc(slices.Clone(keys), func(key jose.JSONWebKey) bool {
		return t.keyID != "" && key.KeyID != t.keyID || !fits(key, t.algorithm)
	})
	if len(match) != 1 {
		return jose.JSONWebKey{}, false
	}
	return match[0], true
}
