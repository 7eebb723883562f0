package signon

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxToken       = 128 << 10 // 200 groups of 255 bytes, encoded, and room
	maxTokenHeader = 4 << 10
)

// A token is a compact JSON Web Token that nobody has verified yet.
type token struct {
	signed    *jose.JSONWebSignature
	algorithm string
	keyID     string
	typ       string // in lower case and short; "jwt" if it does not say, which is the common case of older providers
}

// parse reads a compact token with a pinned algorithm. The JSON serialization of RFC 7515 has headers that nobody signed, and a
// JSON Web Token may not use it (RFC 7519 section 7). Of its three parts each has one spelling: what is accepted in several could
// pass a list of what was seen before.
func parse(raw string, algorithms []string) (token, error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 || strings.Trim(raw, compactAlphabet) != "" {
		return token{}, ErrMalformed
	}
	var parts [3][]byte
	for i, part := range strings.Split(raw, ".") {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return token{}, ErrMalformed
		}
		parts[i] = decoded
	}
	t, err := readHeader(parts[0], algorithms)
	if err != nil {
		return token{}, err
	}
	if len(parts[2]) == 0 {
		return token{}, ErrSignature
	}
	t.signed, err = jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.algorithm)})
	if err != nil || len(t.signed.Signatures) != 1 {
		return token{}, ErrMalformed
	}
	return t, nil
}

const compactAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// foreign members of a header are refused rather than ignored. The first four bring or point to a key of the sender's choice
// (RFC 8725 section 3.10), the next three change how the token is to be read (RFC 7515 section 4.1.11, RFC 7797), and the last two
// belong to encrypted and nested tokens.
var foreign = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"}

// readHeader reads a header strictly: a member given twice is refused, because two readers could choose differently.
func readHeader(header []byte, algorithms []string) (t token, err error) {
	m := &members{}
	if len(header) > maxTokenHeader || json.Unmarshal(header, &m.all) != nil || m.all == nil {
		return t, ErrMalformed
	}
	t.algorithm = m.text("alg", 16, ErrAlgorithm)
	t.keyID = m.text("kid", maxKeyID, ErrKey)
	t.typ = strings.TrimPrefix(strings.ToLower(m.text("typ", 255, ErrType)), "application/")
	if t.typ == "" && !m.has("typ") {
		t.typ = "jwt"
	}
	switch {
	case m.err != nil:
		return t, m.err
	case !slices.Contains(algorithms, t.algorithm):
		return t, ErrAlgorithm
	case slices.ContainsFunc(foreign, func(name string) bool { _, there := m.all[name]; return there }):
		return t, ErrHeader
	}
	return t, nil
}

// open verifies a token's signature and type, and reads its payload strictly (RFC 8725 section 3.11).
func (a *authority) open(ctx context.Context, raw string, patience time.Duration, types ...string) (*members, error) {
	t, err := parse(raw, a.algorithms)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(types, t.typ) {
		return nil, ErrType
	}
	payload, err := keySet{a, patience}.verify(ctx, t)
	if err != nil {
		return nil, err
	}
	return readMembers(payload)
}

func readMembers(object []byte) (*members, error) {
	m := &members{}
	if json.Unmarshal(object, &m.all) != nil || m.all == nil {
		return nil, ErrMalformed
	}
	return m, nil
}

// members reads the claims of a token one by one, and remembers the first that is wrong. An absent or null member leaves its
// destination alone.
type members struct {
	all map[string]jsontext.Value
	err error
}

func (m *members) has(name string) bool {
	value, ok := m.find(name)
	return ok && value.Kind() != 'n'
}

// find looks a member up by its name, which may well be an address with dots and slashes in it, or, if the name begins with a
// slash, along the path of a JSON Pointer (RFC 6901).
func (m *members) find(name string) (jsontext.Value, bool) {
	if !strings.HasPrefix(name, "/") {
		value, ok := m.all[name]
		return value, ok
	}
	here := m.all
	steps := strings.Split(name[1:], "/")
	for i, step := range steps {
		value, ok := here[unescape.Replace(step)]
		if !ok || i == len(steps)-1 {
			return value, ok
		}
		here = nil
		if json.Unmarshal(value, &here) != nil {
			return nil, false
		}
	}
	return nil, false
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func (m *members) read(name string, to any, wrong error) bool {
	if !m.has(name) {
		return false
	}
	value, _ := m.find(name)
	if json.Unmarshal(value, to) != nil {
		m.fail(wrong)
		return false
	}
	return true
}

func (m *members) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// text reads a string of at most limit bytes without control characters.
func (m *members) text(name string, limit int, wrong error) (s string) {
	if m.read(name, &s, wrong); len(s) > limit || !printable(s) {
		m.fail(wrong)
	}
	return s
}

// texts reads a list of at most count strings.
func (m *members) texts(name string, count, limit int, wrong error) (list []string) {
	m.read(name, &list, wrong)
	if len(list) > count || slices.ContainsFunc(list, func(s string) bool { return s == "" || len(s) > limit || !printable(s) }) {
		m.fail(wrong)
	}
	return list
}

// instant reads a NumericDate, RFC 7519 section 2. The bounds keep it from overflowing into another century.
func (m *members) instant(name string, wrong error) time.Time {
	var seconds float64
	if !m.read(name, &seconds, wrong) {
		return time.Time{}
	}
	if !(seconds > 0 && seconds < 1<<38) {
		m.fail(wrong)
		return time.Time{}
	}
	return time.Unix(int64(math.Floor(seconds)), 0).UTC()
}

// audience reads aud, which is one string or a list.
func (m *members) audience() []string {
	if value := m.all["aud"]; value.Kind() == '"' {
		return []string{m.text("aud", 1024, ErrAudience)}
	}
	return m.texts("aud", 20, 1024, ErrAudience)
}

// flag reads a boolean; some providers put it into quotes.
func (m *members) flag(name string) (b bool) {
	if value, _ := m.find(name); value.Kind() == '"' {
		return m.text(name, 5, fmt.Errorf("%w: %s", ErrMalformed, name)) == "true"
	}
	m.read(name, &b, fmt.Errorf("%w: %s", ErrMalformed, name))
	return b
}

// times are the instants of a token.
type times struct{ issued, expires time.Time }

// timely checks what all tokens have in common: from whom, and from when to when.
func (a *authority) timely(m *members) (times, error) {
	now := a.now()
	t := times{m.instant("iat", ErrIssuedAt), m.instant("exp", ErrExpired)}
	begins := m.instant("nbf", ErrNotYet)
	switch {
	case m.err != nil:
		return t, m.err
	case m.text("iss", 2048, ErrIssuer) != a.issuer:
		return t, ErrIssuer
	case t.expires.IsZero() || t.expires.Add(skew).Before(now):
		return t, ErrExpired
	case begins.After(now.Add(skew)):
		return t, ErrNotYet
	case t.issued.IsZero() || t.issued.After(now.Add(skew)):
		return t, ErrIssuedAt
	}
	return t, m.err
}

// addressed checks what ID tokens and logout tokens have in common: those, and for whom they are.
func (p *Provider) addressed(m *members) (issued time.Time, err error) {
	audience := m.audience()
	azp := m.text("azp", 1024, ErrAuthorizedParty)
	t, err := p.timely(m)
	switch {
	case err != nil:
		return t.issued, err
	case !slices.Contains(audience, p.cfg.ClientID):
		return t.issued, ErrAudience
	case m.has("azp") && azp != p.cfg.ClientID, len(audience) > 1 && azp != p.cfg.ClientID:
		return t.issued, ErrAuthorizedParty
	}
	return t.issued, nil
}
