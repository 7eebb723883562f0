package signon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"
)

// The bounds of what an issuer may say about a machine.
const (
	maxMachineToken = 16 << 10
	maxMachineLife  = 24 * time.Hour // from iat to exp, and so the age at which a token is refused in any case
	maxClaims       = 100            // members of the token
	maxNesting      = 8              // of objects and lists within it
)

// IssuerConfig says who vouches for machines: a build service, a cloud, a cluster.
type IssuerConfig struct {
	// Issuer is the exact issuer identifier. It has no zero value, and is https. Whoever operates the deployment sets it: an
	// address that came from a request or a form would aim our requests at whatever its author likes.
	Issuer string
	// Audiences are those of which a token must name one; zero means that the caller compares Machine.Audience itself.
	Audiences []string
	// HTTP reaches the issuer, as in Config.
	HTTP *http.Client
	// Algorithms may sign tokens, as in Config.
	Algorithms []string
	// InsecureLoopback allows an http issuer on this machine, for tests; zero means https alone.
	InsecureLoopback bool
	// Now tells the time; zero means time.Now.
	Now func() time.Time
}

// An Issuer verifies the tokens by which machines say who they are (SYSTEM I9, I10). Make it with NewIssuer. It may be used
// concurrently.
type Issuer struct {
	*authority
	audiences []string
	second    *oidc.IDTokenVerifier
}

// NewIssuer returns an issuer without asking it anything, or every problem of cfg at once.
func NewIssuer(cfg IssuerConfig) (*Issuer, error) {
	if err := cfg.problems(); err != nil {
		return nil, fmt.Errorf("configuring an issuer: %w", err)
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = defaultAlgorithms
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	i := &Issuer{audiences: cfg.Audiences}
	i.authority = newAuthority(cfg.Issuer, cfg.HTTP, cfg.Algorithms, cfg.Now, func(*metadata) error { return nil })
	i.second = oidc.NewVerifier(cfg.Issuer, keySet{i.authority, keyPatience}, &oidc.Config{SkipClientIDCheck: true,
		SupportedSigningAlgs: cfg.Algorithms, Now: func() time.Time { return cfg.Now().Add(-skew) }})
	return i, nil
}

func (cfg IssuerConfig) problems() error {
	problems := checkAlgorithms(cfg.Algorithms)
	wrong := func(bad bool, what string) {
		if bad {
			problems = append(problems, errors.New(what))
		}
	}
	u, ok := webAddress(cfg.Issuer)
	wrong(!ok || u.RawQuery != "" || u.ForceQuery || u.Scheme != "https" && !(cfg.InsecureLoopback && local(u)), "Issuer is not an https address without a query")
	wrong(slices.Contains(cfg.Audiences, ""), "Audiences has an empty one")
	return errors.Join(problems...)
}

func checkAlgorithms(algorithms []string) (problems []error) {
	for _, name := range algorithms {
		if !slices.Contains(asymmetric, name) {
			problems = append(problems, errors.New("Algorithms has "+strconv.Quote(name)+", which is not an asymmetric signature"))
		}
	}
	return problems
}

// A Machine is who presents a token, as its issuer says.
type Machine struct {
	Issuer, Subject string
	Audience        []string // one at least
	ID              string   // the jti; empty if the issuer gives none
	IssuedAt        time.Time
	Expires         time.Time
	Claims          map[string]any // all members, at most 100, nested at most eight deep, of strings, numbers (float64), flags, lists and objects
}

// Format implements fmt.Formatter, so that what an issuer says does not end up in a log by accident.
func (Machine) Format(f fmt.State, _ rune) { fmt.Fprint(f, "signon.Machine") }

// LogValue implements slog.LogValuer.
func (Machine) LogValue() slog.Value { return slog.StringValue("signon.Machine") }

// Verify says whose token raw is. Anybody can send one, so every error is a *layer.Refusal by identity whose Cause names the check
// (Name), and made-up key identifiers have the keys fetched once in ten seconds at most. That a token is presented once is for the
// caller to see to, who knows for what.
func (i *Issuer) Verify(ctx context.Context, raw string) (Machine, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	machine, err := i.verify(ctx, raw)
	if err != nil {
		return Machine{}, refuse(err)
	}
	return machine, nil
}

func (i *Issuer) verify(ctx context.Context, raw string) (Machine, error) {
	if len(raw) > maxMachineToken {
		return Machine{}, ErrMalformed
	}
	m, err := i.open(ctx, raw, keyPatience, "jwt")
	if err != nil {
		return Machine{}, err
	}
	t, err := i.timely(m)
	if err != nil {
		return Machine{}, err
	}
	machine := Machine{Issuer: i.issuer, Subject: m.text("sub", maxSubject, ErrSubject), Audience: m.audience(),
		ID: m.text("jti", 255, fmt.Errorf("%w: jti", ErrMalformed)), IssuedAt: t.issued, Expires: t.expires, Claims: m.values()}
	switch {
	case m.err != nil:
		return Machine{}, m.err
	case m.has("events"): // a logout token that poses as an ID token
		return Machine{}, ErrType
	case machine.Subject == "":
		return Machine{}, ErrSubject
	case !i.meant(machine.Audience):
		return Machine{}, ErrAudience
	case t.expires.Sub(t.issued) > maxMachineLife || i.now().Sub(t.issued) > maxMachineLife:
		return Machine{}, ErrIssuedAt
	}
	if _, err := i.second.Verify(ctx, raw); err != nil {
		return Machine{}, ErrSecondOpinion
	}
	return machine, nil
}

// meant reports whether a token with that audience is for us. No audience is nobody's.
func (i *Issuer) meant(audience []string) bool {
	ours := func(one string) bool {
		return one != "" && (len(i.audiences) == 0 || slices.Contains(i.audiences, one))
	}
	return slices.ContainsFunc(audience, ours)
}

// values decodes all members, within bounds.
func (m *members) values() map[string]any {
	all := make(map[string]any, len(m.all))
	if len(m.all) > maxClaims {
		m.fail(ErrMalformed)
		return nil
	}
	for name, value := range m.all {
		var v any
		if json.Unmarshal(value, &v) != nil || nesting(v) > maxNesting {
			m.fail(ErrMalformed)
			return nil
		}
		all[name] = v
	}
	return all
}

// nesting is how deep objects and lists are in each other; zero for a plain value.
func nesting(v any) (depth int) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			depth = max(depth, nesting(inner))
		}
	case []any:
		for _, inner := range v {
			depth = max(depth, nesting(inner))
		}
	default:
		return 0
	}
	return depth + 1
}
