// Package identity finds out who asks, and is the only maker of layer.Principal (SYSTEM I1–I5, I9). People sign in at an external
// OpenID Connect provider and nowhere else; programs present API keys. Sessions and keys are opaque secrets that the database
// knows by their SHA-256 alone.
//
// What a session or key entitles to (its groups, its scopes) is written beside it under a key that the database does not hold,
// so that no change of a row makes an administrator.
//
// # What it assumes has failed
//
// The session store was read: hashes open nothing. The session store was written: altered claims are not authentic. The
// browser's sign-in was steered by somebody else: state, nonce, PKCE and issuer are bound to it.
//
// # What it stops
//
// People who were not provisioned; sessions that idled, expired, were revoked or belong to a stopped member; keys mistyped,
// expired, revoked or widened; tokens of another issuer, audience, algorithm or sign-in.
//
// # What it does not stop
//
// Whoever holds a living cookie or key. The gates decide what a known caller may do.
//
// # How it is knocked out in a drill
//
// A Principal is forged for the disposable copy, or the authenticity of claims is not checked.
//
// # Example
//
//	who, err := service.Identify(r) // the zero Principal for a stranger; a *layer.Refusal for a bad key
package identity

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is this layer's line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Scopes says what each role may do, by the application's word. The database has its own list; both must agree for an action.
type Scopes struct {
	Member        []string
	Administrator []string // in addition to Member
	Owner         []string // in addition to Member
	Admin         []string // in addition to Member
	Guest         []string // instead of Member
	// Grantable is what an organization may put into roles of its own; nil for nothing. Nothing that Administrator alone has.
	Grantable []string
}

// A Config says who may be believed.
type Config struct {
	Connection string     // connection string of role redoubt_identity; required
	Providers  []Provider // where people sign in: one or several; required
	Key        []byte     // authenticates claims; at least 32 bytes, never in the database; required
	Scopes     Scopes
	Idle       time.Duration // a session that is not used ends after this; zero is 30 minutes, at most a day
	Absolute   time.Duration // a session ends after this in any case; zero is 12 hours, at most 7 days
	// MaxSessions is how many living sessions a person may have; one more ends the oldest. Zero is 20, at most 100.
	MaxSessions int
	// RefreshAfter is the age at which what the provider said is asked for anew, by the next request, if it gave a refresh token
	// (SYSTEM I3). Zero is 5 minutes, at most Absolute. It is how long somebody who has left a group keeps what the group gave.
	RefreshAfter time.Duration
	// Levels says which acr values of the provider's (OpenID Connect Core 1.0 section 2) make a level of assurance that routes ask for,
	// best first: {"mfa": {"urn:example:two-factor"}}. A level that is not here is itself an acr value, or an amr value (RFC 8176);
	// nil for all of them.
	Levels map[string][]string
	// AdministratorGroup names the provider's group whose members administer org; zero is "redoubt:administrators:" and the
	// organization's id. It must depend on nothing that a row could change.
	AdministratorGroup func(org layer.OrgID) string
	// CreatorGroup names the provider's group whose members may make organizations; zero is nobody.
	CreatorGroup string
	// Machines says which issuers' tokens are exchanged for machines; zero exchanges none.
	Machines Machines
}

// A Service identifies callers. It may be used concurrently.
type Service struct {
	cfg       Config
	providers providers
	pool      *pgxpool.Pool
	cookieKey []byte
	tokens    cipher.AEAD  // seals refresh tokens
	purged    atomic.Int64 // when old job grants were last forgotten, in Unix seconds
	machines  map[string]*signon.Issuer
	swept     atomic.Int64 // the same of machines' tokens
}

const (
	maxIdle     = 24 * time.Hour
	maxAbsolute = 7 * 24 * time.Hour
	maxSessions = 100
	storeWait   = 5 * time.Second // for a connection and an answer of the session store: a store that hangs makes requests fail, not pile up
)

// Open checks cfg, naming every fault, and connects.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = 12 * time.Hour
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 20
	}
	if cfg.RefreshAfter == 0 {
		cfg.RefreshAfter = min(5*time.Minute, cfg.Absolute)
	}
	if cfg.AdministratorGroup == nil {
		cfg.AdministratorGroup = AdministratorGroup
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cookieKey, err := hkdf.Key(sha256.New, cfg.Key, nil, "redoubt sign-in cookie", 32)
	if err != nil {
		return nil, err
	}
	tokens, err := newTokenSeal(cfg.Key)
	if err != nil {
		return nil, err
	}
	machines, err := cfg.Machines.open()
	if err != nil {
		return nil, err
	}
	pc, err := pgxpool.ParseConfig(cfg.Connection)
	if err != nil {
		return nil, errors.New("reading identity's connection string: it is not valid") // the cause may hold the password
	}
	if err := rls.Verified(pc.ConnConfig); err != nil {
		return nil, fmt.Errorf("opening identity's pool: %w", err)
	}
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	pc.MaxConns = int32(max(8, 4*runtime.GOMAXPROCS(0))) // as many as rls has: each request needs one of each, in turn
	pc.MinIdleConns = min(2, pc.MaxConns)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening identity's pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reaching the database as identity: %w", err)
	}
	return &Service{cfg: cfg, providers: newProviders(cfg.Providers), pool: pool, cookieKey: cookieKey, tokens: tokens, machines: machines}, nil
}

func (cfg Config) check() error {
	var faults []error
	if cfg.Connection == "" {
		faults = append(faults, errors.New("identity: Connection is required"))
	}
	faults = append(faults, checkProviders(cfg.Providers)...)
	faults = append(faults, cfg.Scopes.check()...)
	faults = append(faults, checkLevels(cfg.Levels)...)
	if len(cfg.Key) < 32 {
		faults = append(faults, errors.New("identity: Key needs at least 32 bytes"))
	}
	if cfg.Idle < 0 || cfg.Idle > maxIdle {
		faults = append(faults, errors.New("identity: Idle is at most a day"))
	}
	if cfg.Absolute < 0 || cfg.Absolute > maxAbsolute {
		faults = append(faults, errors.New("identity: Absolute is at most seven days"))
	}
	if cfg.MaxSessions < 0 || cfg.MaxSessions > maxSessions {
		faults = append(faults, errors.New("identity: MaxSessions is at most a hundred"))
	}
	if cfg.RefreshAfter < 0 || cfg.RefreshAfter > cfg.Absolute {
		faults = append(faults, errors.New("identity: RefreshAfter is at most Absolute"))
	}
	return errors.Join(append(faults, cfg.Machines.Check())...)
}

// Close ends identity's connections.
func (s *Service) Close() { s.pool.Close() }

// Ping reports whether the session store answers.
func (s *Service) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// AdministratorGroup is the default name of the group that administers org. The organization's id is part of it because an id
// never changes and is nobody's to choose: a name could be swapped with another organization's in the database.
func AdministratorGroup(org layer.OrgID) string { return "redoubt:administrators:" + string(org) }

// Administers says whether groups, as the provider gave them, make an administrator of org.
func (s *Service) Administers(groups []string, org layer.OrgID) bool {
	want := s.cfg.AdministratorGroup(org)
	for _, g := range groups {
		if g == want {
			return true
		}
	}
	return false
}

func refuse(reason layer.Reason, public string, cause error) error {
	return &layer.Refusal{By: layer.Identity, Reason: reason, Public: public, Cause: cause}
}

// unavailable hides what a database error says: it may quote an e-mail address.
func unavailable(doing string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && strings.HasPrefix(pg.Code, "23") { // we were about to write what cannot be true
		return &layer.Refusal{By: layer.RLS, Reason: layer.Forbidden, Public: "You cannot be signed in like this.", Cause: fmt.Errorf("%s: %s breaks %s", doing, pg.TableName, pg.ConstraintName)}
	}
	return refuse(layer.Unavailable, "Signing in does not work at the moment. Please try again.", fmt.Errorf("%s: the session store does not answer (%T)", doing, err))
}
