package signon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxToken = 128 << 10 // 200 groups of 255 bytes, encoded, and room

// parse reads a compact token with a pinned algorithm. The JSON serialization of RFC 7515 has headers that nobody signed, and a
// JSON Web Token may not use it (RFC 7519 section 7).
func (p *Provider) parse(raw string) (*jose.JSONWebSignature, error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 || strings.Trim(raw, compactAlphabet) != "" {
		return nil, ErrMalformed
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range p.cfg.Algorithms {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(raw, algorithms)
	var other *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &other):
		return nil, ErrAlgorithm
	case err != nil || len(signed.Signatures) != 1:
		return nil, ErrMalformed
	}
	return signed, nil
}

const compactAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// open verifies a token's signature and type, and reads its payload strictly: a member given twice is refused, because two
// readers could choose differently.
func (p *Provider) open(ctx context.Context, raw string, keys keySet, types ...string) (*members, error) {
	signed, err := p.parse(raw)
	if err != nil {
		return nil, err
	}
	// RFC 8725 section 3.11. An absent type is the common case of older providers.
	typ, given := signed.Signatures[0].Header.ExtraHeaders["typ"]
	if text, _ := typ.(string); given && !slices.Contains(types, strings.TrimPrefix(strings.ToLower(text), "application/")) {
		return nil, ErrType
	}
	payload, err := keys.verify(ctx, signed)
	if err != nil {
		return nil, err
	}
	m := &members{}
	if json.Unmarshal(payload, &m.all) != nil || m.all == nil {
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
	value, ok := m.all[name]
	return ok && value.Kind() != 'n'
}

func (m *members) read(name string, to any, wrong error) bool {
	if !m.has(name) {
		return false
	}
	if json.Unmarshal(m.all[name], to) != nil {
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
	if value := m.all[name]; value.Kind() == '"' {
		return m.text(name, 5, fmt.Errorf("%w: %s", ErrMalformed, name)) == "true"
	}
	m.read(name, &b, fmt.Errorf("%w: %s", ErrMalformed, name))
	return b
}

// addressed checks what ID tokens and logout tokens have in common: from whom, for whom, and from when to when.
func (p *Provider) addressed(m *members) (issued time.Time, err error) {
	now := p.cfg.Now()
	audience := m.audience()
	azp := m.text("azp", 1024, ErrAuthorizedParty)
	issued = m.instant("iat", ErrIssuedAt)
	expires, begins := m.instant("exp", ErrExpired), m.instant("nbf", ErrNotYet)
	switch {
	case m.err != nil:
		return issued, m.err
	case m.text("iss", 2048, ErrIssuer) != p.cfg.Issuer:
		return issued, ErrIssuer
	case !slices.Contains(audience, p.cfg.ClientID):
		return issued, ErrAudience
	case m.has("azp") && azp != p.cfg.ClientID, len(audience) > 1 && azp != p.cfg.ClientID:
		return issued, ErrAuthorizedParty
	case expires.IsZero() || expires.Add(skew).Before(now):
		return issued, ErrExpired
	case begins.After(now.Add(skew)):
		return issued, ErrNotYet
	case issued.IsZero() || issued.After(now.Add(skew)):
		return issued, ErrIssuedAt
	}
	return issued, m.err
}
