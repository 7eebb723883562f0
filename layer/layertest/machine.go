package layertest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// The issuers of machines' tokens that every world's deployment trusts, each with keys of its own. Nobody listens there: they answer
// within the test.
const (
	MachineIssuer      = "https://machines.example.test"
	OtherMachineIssuer = "https://other-machines.example.test"
)

// machineAudience is what a machine's token must be for, before an organization's id.
const machineAudience = Origin + "/organizations/"

// An issuer signs tokens of machines with ES256.
type issuerOfMachines struct {
	address string
	key     *ecdsa.PrivateKey
}

var issuersOfMachines = sync.OnceValue(func() map[string]issuerOfMachines {
	all := map[string]issuerOfMachines{}
	for _, address := range []string{MachineIssuer, OtherMachineIssuer} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		all[address] = issuerOfMachines{address, key}
	}
	return all
})

func machines() identity.Machines {
	return identity.Machines{Issuers: []string{MachineIssuer, OtherMachineIssuer}, Audience: machineAudience, HTTP: &http.Client{Transport: machineKeys{}}}
}

// machineKeys answers in place of the issuers what is needed to verify their tokens.
type machineKeys struct{}

// RoundTrip implements http.RoundTripper.
func (machineKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	issuer, known := issuersOfMachines()[r.URL.Scheme+"://"+r.URL.Host]
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{"issuer": issuer.address, "authorization_endpoint": issuer.address + "/authorize", "token_endpoint": issuer.address + "/token", "jwks_uri": issuer.address + "/keys"}
	case "/keys":
		point, err := issuer.key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		encode := base64.RawURLEncoding.EncodeToString
		answer = map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": encode(point[1:33]), "y": encode(point[33:])}}}
	default:
		known = false
	}
	if !known {
		return nil, errors.New("the issuers of machines' tokens are asked for their keys, and for nothing else")
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

// A MachineToken is what an issuer says about a machine. Its signature is always the issuer's own.
type MachineToken struct {
	Issuer string // whose key signs; zero is MachineIssuer
	Header map[string]any
	Claims map[string]any
}

// MachineToken is an honest token for org, of a job of acme/web on its main branch, for a test to alter before Sign.
func (w *W) MachineToken(org string) *MachineToken {
	w.tb.Helper()
	now := time.Now()
	return &MachineToken{Header: map[string]any{"alg": "ES256", "kid": "1", "typ": "JWT"}, Claims: map[string]any{
		"iss": MachineIssuer, "sub": "repo:acme/web:ref:refs/heads/main", "aud": machineAudience + string(w.Organization(org)), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}}
}

// Sign is the token as its holder presents it.
func (m *MachineToken) Sign(tb testing.TB) string {
	tb.Helper()
	if m.Issuer == "" {
		m.Issuer = MachineIssuer
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		must(tb, "writing a token", err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(m.Header) + "." + part(m.Claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, issuersOfMachines()[m.Issuer].key, digest[:])
	must(tb, "signing a token", err)
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature[:])
}

// Trust makes the caller's organization trust the machine of W.MachineToken with these scopes. Its maker's role must have the scope
// machines:write and all of them.
func (c *Caller) Trust(scopes ...string) identity.Trust {
	c.w.tb.Helper()
	trust, err := action.Do(c.w.tb.Context(), c.w.DB, c.who, "machines:write", func(tx *action.Tx) (identity.Trust, error) {
		return c.w.Identity.AddTrust(tx.Tx, c.who, identity.NewTrust{Name: "layertest", Issuer: MachineIssuer, SubjectPattern: "repo:acme/web:ref:refs/heads/main", Scopes: scopes})
	})
	must(c.w.tb, "trusting a machine", err)
	return trust
}

// Machine is that machine, asking by an access token that it has exchanged its own for.
func (c *Caller) Machine(scopes ...string) *Caller {
	c.w.tb.Helper()
	c.Trust(scopes...)
	issued, err := c.w.Identity.Exchange(c.w.tb.Context(), identity.Exchange{Token: c.w.MachineToken(c.organization).Sign(c.w.tb), Scopes: scopes})
	must(c.w.tb, "exchanging a machine's token", err)
	r, err := http.NewRequestWithContext(c.w.tb.Context(), http.MethodGet, Origin, strings.NewReader(""))
	must(c.w.tb, "making a request", err)
	r.Header.Set("Authorization", "Bearer "+issued.Token)
	who, err := c.w.Identity.Identify(r)
	must(c.w.tb, "identifying a machine", err)
	return &Caller{w: c.w, organization: c.organization, key: issued.Token, who: who}
}
