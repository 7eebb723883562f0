package identity

import (
	"context"
	"crypto/hmac"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// For secret scanners: EndpointPattern matches an endpoint's credential, and MachinePattern a machine's access token, which is worth
// nothing after a quarter of an hour. A job grant looks the same but for its "rdj_", and is of no use to whoever does not have the
// worker's password.
const (
	EndpointPattern = `rdw_[0-9A-Za-z]{38}`
	MachinePattern  = `rdm_[0-9A-Za-z]{38}`
)

const (
	jobPrefix      = "rdj_"
	endpointPrefix = "rdw_"
	machinePrefix  = "rdm_"
	maxJobLife     = 7 * 24 * time.Hour
	purgeEvery     = time.Minute
)

const (
	addJob        = `select redoubt.add_job_grant($1, $2, $3, $4, $5, $6, $7)`
	addEndpoint   = `select redoubt.add_endpoint($1, $2, $3, $4, $5)`
	listEndpoints = `select id, name, scopes, created_at, revoked_at from redoubt.endpoints()`
	endEndpoint   = `select redoubt.revoke_endpoint($1)`

	findJob = `
select g.id, g.organization_id, coalesce(g.profile_id::text, '') as profile_id, coalesce(g.person_id::text, '') as person_id, g.administrator, g.scopes, g.expires_at, g.mac
  from identity.job_grant g
  join identity.organization o on o.id = g.organization_id
 where g.hash = $1 and g.redeemed_at is null and g.expires_at > now() and o.active
   and (g.profile_id is null or exists (select from identity.membership m where m.organization_id = g.organization_id and m.id = g.profile_id and m.active))`

	findEndpoint = `
select e.id, e.organization_id, '' as profile_id, '' as person_id, false as administrator, e.scopes, 'epoch'::timestamptz as expires_at, e.mac
  from identity.endpoint e join identity.organization o on o.id = e.organization_id
 where e.hash = $1 and e.revoked_at is null and o.active`

	findMachine = `
select t.id, t.organization_id, '' as profile_id, '' as person_id, false as administrator, t.scopes, t.expires_at, t.mac
  from identity.machine_token t
  join identity.federation f on f.id = t.federation_id and f.organization_id = t.organization_id
  join identity.organization o on o.id = t.organization_id
 where t.hash = $1 and t.expires_at > now() and f.revoked_at is null and (f.expires_at is null or f.expires_at > now()) and o.active`

	purgeJobs = `delete from identity.job_grant where id in (select id from identity.job_grant where expires_at < now() - interval '1 day' limit 1000)`
)

var errNoMachine = errors.New("no living credential of a machine has this hash")

// GrantJob lets a worker act once for who, with some of who's own scopes, for up to life and a week at most. It belongs to tx, which
// enqueues the job: the grant is good once tx has committed, and not at all if it is rolled back. Whoever reads the queue can run
// the job only with the worker's role in the database. job names it in the store: "orders.export".
func (s *Service) GrantJob(tx *rls.Tx, who layer.Principal, job string, scopes []string, life time.Duration) (grant string, err error) {
	row, err := s.entitle(who, scopes, min(life, maxJobLife))
	if err != nil {
		return "", err
	}
	grant = newKey(jobPrefix)
	hash := hashOf(grant)
	_, err = rls.Do(tx, addJob, row.ID, hash, job, row.Scopes, row.Administrator, row.ExpiresAt, s.seal(jobPrefix, hash, row))
	return grant, err
}

// Job returns as whom a worker runs the job of grant, unless it was redeemed, has expired, or the member who enqueued it was stopped.
// The grant is redeemed by the first transaction that presents it and commits; a DB that was opened as redoubt_worker does so.
// A job of several transactions grants itself the next one in the one before.
func (s *Service) Job(ctx context.Context, grant string) (layer.Principal, error) {
	if now := time.Now().Unix(); now-s.purged.Load() >= int64(purgeEvery.Seconds()) && s.purged.Swap(now) != now {
		if _, err := s.pool.Exec(ctx, purgeJobs); err != nil {
			return layer.Principal{}, unavailable("forgetting old job grants", err)
		}
	}
	return s.machine(ctx, jobPrefix, "job", findJob, grant)
}

// Endpoint returns as whom a delivery with that credential is taken: an organization's endpoint, which is no member. A DB that was
// opened as redoubt_webhook presents it.
func (s *Service) Endpoint(ctx context.Context, credential string) (layer.Principal, error) {
	return s.machine(ctx, endpointPrefix, "endpoint", findEndpoint, credential)
}

func (s *Service) machine(ctx context.Context, prefix, kind, sql, credential string) (layer.Principal, error) {
	public := "There is nothing here."
	if prefix == machinePrefix {
		public = "The access token is not good. Exchange a new one."
	}
	if !wellFormed(prefix, credential) {
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errChecksum)
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	hash := hashOf(credential)
	rows, err := s.pool.Query(ctx, sql, hash)
	if err != nil {
		return layer.Principal{}, unavailable("finding a "+kind, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[entitlement])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errNoMachine)
	case err != nil:
		return layer.Principal{}, unavailable("finding a "+kind, err)
	case !hmac.Equal(s.seal(prefix, hash, row), row.MAC):
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errForgedKey)
	}
	return row.principal(kind, credential), nil
}

// An Endpoint is a place at which another system delivers, as its organization's list shows it. Its credential was shown once.
type Endpoint struct {
	ID        string
	Name      string
	Scopes    []string
	CreatedAt time.Time
	RevokedAt *time.Time
}

// AddEndpoint makes an endpoint of who's organization in tx, which may do what scopes say, some of who's own. It returns the
// credential, which nobody can see again. Who needs the scope endpoints:write and a session.
func (s *Service) AddEndpoint(tx *rls.Tx, who layer.Principal, name string, scopes []string) (credential string, made Endpoint, err error) {
	row, err := s.entitle(who, scopes, 0)
	if err != nil {
		return "", Endpoint{}, err
	}
	row.ProfileID, row.PersonID, row.Administrator, row.ExpiresAt = "", "", false, time.Unix(0, 0) // it is the organization's
	credential = newKey(endpointPrefix)
	hash := hashOf(credential)
	if _, err := rls.Do(tx, addEndpoint, row.ID, hash, name, row.Scopes, s.seal(endpointPrefix, hash, row)); err != nil {
		return "", Endpoint{}, err
	}
	return credential, Endpoint{ID: row.ID, Name: name, Scopes: row.Scopes, CreatedAt: time.Now()}, nil
}

// Endpoints lists the endpoints of the asker's organization, newest first, at most 200. It needs the scope endpoints:write.
func Endpoints(asker rls.Asker) ([]Endpoint, error) { return rls.All[Endpoint](asker, listEndpoints) }

// RevokeEndpoint ends an endpoint of the caller's organization; from the next statement on it opens nothing.
func RevokeEndpoint(tx *rls.Tx, id string) error {
	return found(rls.One[bool](tx, endEndpoint, rowID(id)))
}
