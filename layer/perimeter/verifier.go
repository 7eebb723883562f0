package perimeter

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/redoubt-dev/redoubt/layer"
)

// VerifierConfig says whose assertions an application believes.
type VerifierConfig struct {
	// Keys are the edge's, current and next. At least one is required.
	Keys []VerifyKey
	// Audience is this application's name at the edge. Required.
	Audience string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Refuse answers a request that was turned away. Required: the outermost ring alone renders refusals.
	Refuse func(http.ResponseWriter, *http.Request, *layer.Refusal)
	// Replays is how many assertions are remembered at once; zero means DefaultReplays. When so many are alive, further
	// requests are refused: an assertion that cannot be remembered could be used twice.
	Replays int
}

// A Verifier believes the edge about one request at a time (SYSTEM P5). It may be used concurrently.
type Verifier struct {
	config VerifierConfig
	keys   map[string]ed25519.PublicKey
	seen   *memory
}

// A Visit is what the edge knows about a request, once verified. It says nothing about who asks.
type Visit struct {
	ClientIP  netip.Addr // of the client's connection to the edge
	RequestID string     // in the edge's log; "-2" is appended when the edge tried a second link
	Scheme    string     // by which the client reached the edge: always "https"
	Host      string     // that the client asked for: the edge's canonical one
	Issued    time.Time  // when the edge let the request in, to the second
}

type visitKey struct{}

// From returns the verified facts about the request that ctx belongs to; false outside of a Verifier's Handler.
func From(ctx context.Context) (Visit, bool) {
	v, ok := ctx.Value(visitKey{}).(Visit)
	return v, ok
}

// NewVerifier checks the configuration and reports every problem at once.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	var problems []error
	v := &Verifier{config: c, keys: map[string]ed25519.PublicKey{}}
	for _, k := range c.Keys {
		if k.ID == "" || len(k.Public) != ed25519.PublicKeySize {
			problems = append(problems, errors.New("a key is incomplete"))
		}
		v.keys[k.ID] = k.Public
	}
	if len(c.Keys) == 0 {
		problems = append(problems, errors.New("no key is given: every request would be refused"))
	}
	if c.Audience == "" {
		problems = append(problems, errors.New("the audience is missing"))
	}
	if c.Refuse == nil {
		problems = append(problems, errors.New("nothing is given to answer refused requests"))
	}
	if c.Replays < 0 {
		problems = append(problems, errors.New("the number of remembered assertions is negative"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring assertion verifier: %w", errors.Join(problems...))
	}
	if c.Now == nil {
		v.config.Now = time.Now
	}
	if c.Replays == 0 {
		v.config.Replays = DefaultReplays
	}
	v.seen = newMemory(v.config.Replays, AssertionLife+2*AssertionSkew)
	return v, nil
}

// Handler lets a request through to next only with the edge's assertion for this very request, which next does not see.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit, refusal := v.verify(r)
		if refusal != nil {
			v.config.Refuse(w, r, refusal)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, visit))
		r.Header.Del(AssertionHeader)
		next.ServeHTTP(w, r)
	})
}

func (v *Verifier) verify(r *http.Request) (Visit, *layer.Refusal) {
	values := r.Header[AssertionHeader]
	if len(values) != 1 {
		return Visit{}, unproven(fmt.Errorf("%d assertions instead of one", len(values)))
	}
	c, err := v.open(values[0])
	if err != nil {
		return Visit{}, unproven(err)
	}
	if err := v.check(c, r); err != nil {
		return Visit{}, unproven(err)
	}
	ip, err := netip.ParseAddr(c.Client)
	if err != nil {
		return Visit{}, unproven(errors.New("the client's address is unreadable"))
	}
	// Last, so that only assertions that are good in every other way take up memory.
	if err := v.seen.once(c.ID, v.config.Now()); err != nil {
		if errors.Is(err, errFull) {
			return Visit{}, &layer.Refusal{By: layer.Perimeter, Reason: layer.Unavailable, Public: "Too many requests at once; try again shortly.", Cause: err}
		}
		return Visit{}, unproven(err)
	}
	return Visit{ClientIP: ip, RequestID: c.ID, Scheme: "https", Host: c.Host, Issued: time.Unix(c.Issued, 0)}, nil
}

// open returns the claims of a token that one of the edge's keys signed.
func (v *Verifier) open(token string) (c claims, err error) {
	if len(token) > MaxAssertion {
		return c, errors.New("the assertion is too large")
	}
	if strings.Count(token, ".") != 2 {
		return c, errors.New("the assertion is not in compact form")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA}) // RFC 8725 section 3.1
	if err != nil {
		return c, errors.New("the assertion cannot be read, or is not signed with EdDSA") // the parser's words may quote it
	}
	header := jws.Signatures[0].Protected
	key, known := v.keys[header.KeyID]
	if !known {
		return c, errors.New("the assertion's key is unknown")
	}
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != assertionType {
		return c, errors.New("the token is not an assertion")
	}
	if header.JSONWebKey != nil || header.ExtraHeaders["crit"] != nil {
		return c, errors.New("the assertion's header asks for more than it may")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return c, errors.New("the assertion's signature is wrong")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || d.More() {
		return c, errors.New("the assertion's claims are unreadable")
	}
	if c.Issuer != issuerPrefix+header.KeyID {
		return c, errors.New("the assertion's issuer does not own its key")
	}
	return c, nil
}

// check holds the claims against this application, this moment and this request, exactly as it was received.
func (v *Verifier) check(c claims, r *http.Request) error {
	now := v.config.Now()
	notBefore, expires := time.Unix(c.NotBefore, 0), time.Unix(c.Expires, 0)
	switch {
	case c.Audience != v.config.Audience:
		return errors.New("the assertion is for another application")
	case !now.Before(expires.Add(AssertionSkew)):
		return errors.New("the assertion has expired")
	case now.Before(notBefore.Add(-AssertionSkew)) || now.Before(time.Unix(c.Issued, 0).Add(-AssertionSkew)):
		return errors.New("the assertion is from the future")
	case expires.Sub(notBefore) > AssertionLife:
		return errors.New("the assertion lives too long")
	case c.Method != r.Method:
		return errors.New("the assertion is for another method")
	case c.Host != r.Host:
		return errors.New("the assertion is for another host")
	case c.Target != targetClaim(r.RequestURI):
		return errors.New("the assertion is for another path or query")
	case c.ID == "" || len(c.ID) > 64:
		return errors.New("the assertion has no usable identifier")
	}
	return nil
}

// unproven refuses a request that the edge does not vouch for. Why is for the log alone: it would help only a forger.
func unproven(cause error) *layer.Refusal {
	return &layer.Refusal{By: layer.Perimeter, Reason: layer.Unauthenticated, Public: "This request did not come through the edge.", Cause: cause}
}
