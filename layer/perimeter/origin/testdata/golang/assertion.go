package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Assertions believes the edge about one request at a time. It may be used concurrently.
type Assertions struct {
	KeysURL, Application, Host string

	mu    sync.Mutex
	keys  map[string]ed25519.PublicKey
	asked time.Time
}

// Claims are what the edge says about a request.
type Claims struct {
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	NotBefore int64    `json:"nbf"`
	Issued    int64    `json:"iat"`
	Expires   int64    `json:"exp"`
	ID        string   `json:"jti"`
	Method    string   `json:"htm"`
	Host      string   `json:"hth"`
	Target    string   `json:"htu"`
	Client    string   `json:"ip"`
	By        string   `json:"by"`
	Subject   string   `json:"sub"`
	Provider  string   `json:"idp"`
	Email     string   `json:"email"`
	Groups    []string `json:"groups"`
	Omitted   bool     `json:"groups_omitted"`
	Session   string   `json:"sid"`
	AuthTime  int64    `json:"auth_time"`
}

// WhoAsks verifies the assertion of a request as it was received.
func (a *Assertions) WhoAsks(r *http.Request) (c Claims, err error) {
	values := r.Header.Values("Redoubt-Assertion")
	if len(values) != 1 || len(values[0]) > 4096 || strings.Count(values[0], ".") != 2 {
		return c, errors.New("there is no assertion, or more than one")
	}
	jws, err := jose.ParseSignedCompact(values[0], []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return c, errors.New("the assertion cannot be read")
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "redoubt-assertion+jwt" || header.ExtraHeaders["crit"] != nil {
		return c, errors.New("that is not an assertion")
	}
	key, err := a.key(header.KeyID)
	if err != nil {
		return c, err
	}
	body, err := jws.Verify(key)
	if err != nil {
		return c, errors.New("the signature is wrong")
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, errors.New("the claims cannot be read")
	}
	now, hash := time.Now().Unix(), sha256.Sum256([]byte(r.RequestURI))
	switch {
	case c.Issuer != "redoubt-edge/"+header.KeyID || c.Audience != a.Application:
		return c, errors.New("it is for another application")
	case max(c.NotBefore, c.Issued)-5 > now || now >= c.Expires+5 || c.Expires-c.NotBefore > 30:
		return c, errors.New("it is out of time")
	case c.Method != r.Method || c.Host != a.Host || c.Target != r.RequestURI && c.Target != "sha256:"+base64.RawURLEncoding.EncodeToString(hash[:]):
		return c, errors.New("it is for another request")
	}
	return c, nil
}

func (a *Assertions) key(kid string) (ed25519.PublicKey, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	age := time.Since(a.asked)
	if age > 10*time.Minute || a.keys[kid] == nil && age > time.Minute {
		a.asked = time.Now()
		if keys, err := a.fetch(); err == nil {
			a.keys = keys
		}
	}
	if key := a.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("the key is unknown")
}

func (a *Assertions) fetch() (map[string]ed25519.PublicKey, error) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(a.KeysURL)
	if err != nil {
		return nil, fmt.Errorf("asking for the edge's keys: %w", err)
	}
	defer answer.Body.Close()
	var set jose.JSONWebKeySet
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for the edge's keys: %s", answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading the edge's keys: %w", err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		if public, ok := k.Key.(ed25519.PublicKey); ok {
			keys[k.KeyID] = public
		}
	}
	return keys, nil
}
