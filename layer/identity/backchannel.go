package identity

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

const notForHere = "This is not a logout token for here."

const (
	// heedLogout remembers a logout token, and nothing if it was heeded before.
	heedLogout   = `insert into identity.logout (issuer, token_id, sid, expires_at) values ($1, $2, $3, now() + $4) on conflict do nothing`
	purgeLogouts = `delete from identity.logout where (issuer, token_id) in (select issuer, token_id from identity.logout where expires_at < now() limit 1000)`
	loggedOut    = `select exists (select from identity.logout where issuer = $1 and sid = $2 and sid <> '')`

	lockSID = `
select from identity.person where id in (select person_id from identity.session where issuer = $1 and sid = $2) and ($3 = '' or subject = $3)
 order by id for update`
	lockSubject = `select from identity.person where issuer = $1 and subject = $2 for update`
	endSID      = `
update identity.session s set revoked_at = now() from identity.person p
 where s.issuer = $1 and s.sid = $2 and s.sid <> '' and p.id = s.person_id and ($3 = '' or p.subject = $3) and s.revoked_at is null
returning s.id, s.organization_id, s.profile_id`
	endSubject = `
update identity.session s set revoked_at = now() from identity.person p
 where s.issuer = $1 and p.id = s.person_id and p.subject = $2 and s.revoked_at is null
returning s.id, s.organization_id, s.profile_id`
)

var (
	errReplayedLogout = errors.New("the logout token was heeded before")
	errLoggedOut      = errors.New("the provider has ended the session while the sign-in was under way")
	errBusy           = errors.New("the session store is busy")
)

// EndByProvider heeds a provider's back-channel logout token: the sessions that it names end, here and at once (SYSTEM I5, OpenID
// Connect Back-Channel Logout 1.0). With a sid those of the provider's session end, without one all of the person's. Anybody can post
// such a token, so every error is a refusal that says nothing of it, and is recorded by name.
func (s *Service) EndByProvider(ctx context.Context, token string) error {
	err := s.endByProvider(context.WithoutCancel(ctx), token) // a provider that hangs up has not changed its mind
	s.recordRefusal(ctx, eventLogoutRefused, "logout_token", err)
	return err
}

func (s *Service) endByProvider(ctx context.Context, token string) error {
	issuer, err := claimedIssuer(token)
	p := s.providers.byIssuer[issuer]
	if err != nil || p == nil {
		return refuse(layer.Unauthenticated, notForHere, errNoProvider)
	}
	out, err := p.SignOn.CheckLogout(ctx, token)
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, purgeLogouts); err != nil {
		return unavailable("forgetting old logout tokens", err)
	}
	return s.endSessions(ctx, func(ctx context.Context, tx pgx.Tx) (pgx.Rows, error) { return heed(ctx, tx, p.SignOn.Issuer(), out) })
}

// heed remembers the token and ends its sessions in one transaction: a token of which nothing came may come again.
func heed(ctx context.Context, tx pgx.Tx, issuer string, out signon.Logout) (pgx.Rows, error) {
	first, err := tx.Exec(ctx, heedLogout, issuer, out.TokenID, out.SessionID, signon.LogoutMemory)
	if err != nil {
		return nil, err
	}
	if first.RowsAffected() == 0 {
		return nil, refuse(layer.Unauthenticated, notForHere, errReplayedLogout)
	}
	// The person is locked first: a session that is opened by switching, between our looking and our ending, would escape.
	if out.SessionID == "" {
		if _, err := tx.Exec(ctx, lockSubject, issuer, out.Subject); err != nil {
			return nil, err
		}
		return tx.Query(ctx, endSubject, issuer, out.Subject)
	}
	if _, err := tx.Exec(ctx, lockSID, issuer, out.SessionID, out.Subject); err != nil {
		return nil, err
	}
	return tx.Query(ctx, endSID, issuer, out.SessionID, out.Subject)
}

// refuseLoggedOut refuses a sign-in of a provider's session of which a logout token has come before the sign-in was finished.
func refuseLoggedOut(ctx context.Context, tx pgx.Tx, said signon.Claims) error {
	var out bool
	if err := tx.QueryRow(ctx, loggedOut, said.Issuer, said.SessionID).Scan(&out); err != nil {
		return unavailable("asking for logouts", err)
	}
	if out {
		return refuse(layer.Unauthenticated, "You have signed out at the provider meanwhile. Please start again.", errLoggedOut)
	}
	return nil
}

// ending hides what a database error says, and keeps whether it is worth trying again: somebody else held a lock, or we were chosen to
// end a deadlock.
func ending(err error) error {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01" || pg.Code == "40001") {
		return refuse(layer.Unavailable, "Signing out does not work at the moment.", errBusy)
	}
	return unavailable("ending sessions", err)
}

func busy(err error) bool { return errors.Is(err, errBusy) }
