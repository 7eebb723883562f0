package identity

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// A Provisioned person is one who may sign in, and where (SYSTEM I1).
type Provisioned struct {
	Issuer, Subject string // as the provider says them
	Email, Name     string // until the first sign-in says them anew
	Organizations   []layer.OrgID
}

// Provision makes organizations and admits people to them. It is idempotent. conn is an administrator's: neither the
// application nor identity itself may do this.
func Provision(ctx context.Context, conn *pgx.Conn, organizations map[layer.OrgID]string, people []Provisioned) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("provisioning: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for id, name := range organizations {
		if _, err := tx.Exec(ctx, `insert into identity.organization (id, name) values ($1, $2) on conflict (id) do nothing`, id, name); err != nil {
			return fmt.Errorf("provisioning an organization: %w", err)
		}
	}
	for _, p := range people {
		var person layer.PersonID
		err := tx.QueryRow(ctx, `insert into identity.person (issuer, subject, email, name) values ($1, $2, $3, $4)
			on conflict (issuer, subject) do update set issuer = excluded.issuer returning id`, p.Issuer, p.Subject, p.Email, p.Name).Scan(&person)
		if err != nil {
			return fmt.Errorf("provisioning a person: %w", err)
		}
		for _, org := range p.Organizations {
			if _, err := tx.Exec(ctx, `insert into identity.membership (organization_id, id, person_id) values ($1, redoubt.new_id($1), $2) on conflict (organization_id, person_id) do nothing`, org, person); err != nil {
				return fmt.Errorf("provisioning a membership: %w", err)
			}
		}
	}
	return tx.Commit(ctx)
}

// MoveIssuer renames an issuer, for a provider that has moved to another address. conn is an administrator's.
func MoveIssuer(ctx context.Context, conn *pgx.Conn, from, to string) error {
	_, err := conn.Exec(ctx, `update identity.person set issuer = $2 where issuer = $1`, from, to)
	return err
}

// Bind makes issuers the whole of what an organization believes; none are all that are configured. Sessions of others end there, and keys
// that were made by people of others. conn is an administrator's: a wrong word here lets strangers in or locks everybody out.
func Bind(ctx context.Context, conn *pgx.Conn, org layer.OrgID, issuers ...string) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("binding an organization: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, `delete from identity.organization_issuer where organization_id = $1`, org); err != nil {
		return fmt.Errorf("binding an organization: %w", err)
	}
	for _, issuer := range issuers {
		if _, err := tx.Exec(ctx, `insert into identity.organization_issuer (organization_id, issuer) values ($1, $2)`, org, issuer); err != nil {
			return fmt.Errorf("binding an organization: %w", err)
		}
	}
	if len(issuers) > 0 {
		for _, others := range []string{
			`update identity.session s set revoked_at = now() where s.organization_id = $1 and s.revoked_at is null and s.issuer <> all ($2)`,
			`update identity.api_key k set revoked_at = now() from identity.person p where k.organization_id = $1 and k.revoked_at is null and p.id = k.person_id and p.issuer <> all ($2)`,
		} {
			if _, err := tx.Exec(ctx, others, org, issuers); err != nil {
				return fmt.Errorf("ending what other issuers opened: %w", err)
			}
		}
	}
	return tx.Commit(ctx)
}

// InsecureSignIn opens a session as if the provider had said claims, and returns its token and whose it is. It is for tests and
// for the example content of a development database: it takes the caller's word for everything.
func (s *Service) InsecureSignIn(ctx context.Context, claims signon.Claims, org layer.OrgID) (token string, who layer.Principal, err error) {
	token, err = s.admit(ctx, claims, admission{org: &org, userAgent: "redoubt"})
	if err != nil {
		return "", layer.Principal{}, err
	}
	who, _, err = s.session(ctx, token)
	return token, who, err
}

// EndSession ends the session with that token, as signing out does.
func (s *Service) EndSession(ctx context.Context, token string) error {
	if _, err := s.pool.Exec(ctx, endSession, hashOf(token)); err != nil {
		return unavailable("ending a session", err)
	}
	return nil
}

// KeyLives reports whether an API key still opens anything.
func (s *Service) KeyLives(ctx context.Context, key string) bool {
	who, err := s.bearer(ctx, []string{"Bearer " + key})
	return err == nil && !who.Nobody()
}

// SessionCookie is the cookie that a browser with that token sends; for tests.
func SessionCookie(token string) *http.Cookie { return cookie(sessionCookie, token, time.Hour) }
