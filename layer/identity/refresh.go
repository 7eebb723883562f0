package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// refreshWait bounds how long a request waits for the provider. With the store's own limit it is well within the half minute for
// which beginRefresh keeps other requests from asking too.
const refreshWait = 5 * time.Second

const (
	// beginRefresh lets one request ask the provider: of those who read the same claims the first one, until it has answered or half a
	// minute is over. An instant in the future, which nobody here writes, holds nobody back.
	beginRefresh = `
update identity.session set refreshing_at = clock_timestamp()
 where hash = $1 and mac = $2 and revoked_at is null
   and (refreshing_at is null or refreshing_at not between clock_timestamp() - interval '30 seconds' and clock_timestamp())
returning refreshing_at, refresh_token`
	keepToken    = `select identity.keep_refresh_token($1, $2, $3)`
	renewSession = `select identity.renew_session($1, $2, $3, $4, $5, $6, $7)`
	lockPerson   = `select from identity.person where id = $1 for update`
	endFamily    = `
update identity.session set revoked_at = now() where person_id = $1 and (hash = $2 or family = $3) and revoked_at is null
returning id, organization_id, profile_id`
)

var (
	errMoved  = errors.New("a session's refresh token is not authentic, or gone")
	errPerson = errors.New("the provider has answered a refresh with another person")
)

// due reports whether what the provider said is old enough to be asked for anew (SYSTEM I3). When it was said stands in the claims,
// so that nobody who can write to the store can put it off.
func (s *Service) due(c claims) bool {
	return c.Refreshable && !time.Now().Before(time.Unix(c.RefreshedAt, 0).Add(s.cfg.RefreshAfter))
}

// refresh asks the provider whether the session goes on and with which groups, if no other request does so at this moment (SYSTEM I5).
// It reports whether the store's row may have changed and is to be read again.
//
// A provider that does not answer leaves everything as it is, until the session ends of its age. One that refuses ends the session and
// the whole chain of refresh tokens that it belongs to: either it has ended at the provider, or somebody else has used our token.
func (s *Service) refresh(ctx context.Context, hash []byte, row sessionRow, c claims) (changed bool, err error) {
	p := s.providers.byIssuer[c.Issuer]
	if time.Now().Unix() < p.quiet.Load() {
		return false, nil
	}
	// From here on the visitor's patience is not the measure: a refresh token is good once, and its successor must be kept.
	ctx = context.WithoutCancel(ctx)
	var asked time.Time
	var sealed []byte
	store, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	err = s.pool.QueryRow(store, beginRefresh, hash, row.MAC).Scan(&asked, &sealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil // another request is at it; this one goes on with what was said before
	case err != nil:
		return false, unavailable("beginning a refresh", err)
	}
	token, err := s.openToken(hash, sealed)
	if err != nil {
		return true, s.endChain(ctx, hash, row, c)
	}
	asking, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	said, err := p.SignOn.Refresh(asking, token)
	if err == nil && (said.Issuer != c.Issuer || said.Subject != c.Subject) {
		err = errPerson // package signon has checked it; this is the second look
	}
	switch {
	case err == nil:
		return true, s.renew(ctx, hash, asked, row, c, said)
	case goesOn(err):
		p.quiet.Store(time.Now().Add(quietTime).Unix())
		return false, s.keepToken(ctx, hash, asked, said.RefreshToken)
	}
	return true, s.endChain(ctx, hash, row, c)
}

// keepToken keeps a refresh token that the provider gave before it fell silent: the one before is spent.
func (s *Service) keepToken(ctx context.Context, hash []byte, asked time.Time, token string) error {
	if token == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if _, err := s.pool.Exec(ctx, keepToken, hash, asked, s.sealToken(hash, token)); err != nil {
		return unavailable("keeping a refresh token", err)
	}
	return nil
}

// goesOn reports whether a refresh failed for want of an answer rather than by one.
func goesOn(err error) bool {
	var refusal *layer.Refusal
	return !errors.Is(err, signon.ErrRefused) && errors.As(err, &refusal) && refusal.Reason == layer.Unavailable
}

// renew writes what the provider says now: who is no longer an administrator is none from this request on, here and in the
// database's copy, and their administrator's keys end.
func (s *Service) renew(ctx context.Context, hash []byte, asked time.Time, row sessionRow, c claims, said signon.Claims) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return unavailable("refreshing a session", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	c.Groups, c.RefreshedAt, c.Refreshable = said.Groups, time.Now().Unix(), said.RefreshToken != ""
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, lockPerson, row.PersonID); err != nil { // as a sign-in does, and in the same order
		return unavailable("refreshing a session", err)
	}
	var living bool
	err = tx.QueryRow(ctx, renewSession, hash, asked, s.Administers(c.Groups, row.OrganizationID), text, s.sealClaims(hash, text),
		s.sealToken(hash, said.RefreshToken), said.IDToken).Scan(&living)
	if err != nil {
		return unavailable("refreshing a session", err)
	}
	if !living {
		return nil // it has ended meanwhile, and what the provider says is of no use to anybody
	}
	if err := s.Readmit(ctx, tx, row.PersonID, c.Issuer, said.Groups); err != nil {
		return err
	}
	if err := s.endAdministratorKeys(ctx, tx, row.PersonID, said.Groups); err != nil {
		return err
	}
	if err := record(ctx, tx, eventRefreshed, ended{row.ID, row.OrganizationID, row.ProfileID}); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return unavailable("refreshing a session", err)
	}
	return nil
}

// endChain ends a session and everything that came of the same sign-in.
func (s *Service) endChain(ctx context.Context, hash []byte, row sessionRow, c claims) error {
	return s.endSessions(ctx, func(ctx context.Context, tx pgx.Tx) (pgx.Rows, error) {
		if _, err := tx.Exec(ctx, lockPerson, row.PersonID); err != nil {
			return nil, err
		}
		return tx.Query(ctx, endFamily, row.PersonID, hash, c.Family)
	})
}

// An ended session, for the audit trail.
type ended struct {
	ID             string
	OrganizationID layer.OrgID
	ProfileID      layer.ProfileID
}

// endSessions ends the sessions that end finds, because the provider says so, and records each. A busy store is asked again: nobody
// else will, since a provider sends a logout token once.
func (s *Service) endSessions(ctx context.Context, end func(context.Context, pgx.Tx) (pgx.Rows, error)) (err error) {
	for range 3 {
		if err = s.tryEnding(ctx, end); err == nil || !busy(err) {
			return err
		}
	}
	return err
}

func (s *Service) tryEnding(ctx context.Context, end func(context.Context, pgx.Tx) (pgx.Rows, error)) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return unavailable("ending sessions", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	rows, err := end(ctx, tx)
	if err != nil {
		return ending(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[ended])
	if err != nil {
		return ending(err)
	}
	for _, one := range all {
		if err := record(ctx, tx, eventEndedByProvider, one); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return unavailable("ending sessions", err)
	}
	return nil
}

// record writes what became of a session to the audit trail of its organization.
func record(ctx context.Context, tx pgx.Tx, event string, e ended) error {
	_, err := tx.Exec(ctx, recordEvent, e.OrganizationID, e.ProfileID, e.ID, layer.VisitFrom(ctx).String(), "credential", event, "session", e.ID)
	if err != nil {
		return unavailable("recording what became of a session", err)
	}
	return nil
}

// ---- refresh tokens at rest ----

// newTokenSeal makes the cipher that keeps refresh tokens from whoever reads the store.
func newTokenSeal(key []byte) (cipher.AEAD, error) {
	own, err := hkdf.Key(sha256.New, key, nil, "redoubt refresh token", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealToken seals a refresh token to its row, by the session's hash: in another row it does not open. Without a token there is nothing.
func (s *Service) sealToken(hash []byte, token string) []byte {
	if token == "" {
		return nil
	}
	return s.tokens.Seal(nil, nil, []byte(token), hash)
}

func (s *Service) openToken(hash, sealed []byte) (string, error) {
	text, err := s.tokens.Open(nil, nil, sealed, hash)
	if err != nil {
		return "", errMoved
	}
	return string(text), nil
}
