package identity

import (
	"context"
	"crypto/hmac"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Trust lets the machines that an issuer calls by some subject act for an organization.
type Trust struct {
	ID             string
	Name           string
	Issuer         string
	Audience       string
	SubjectPattern string
	Scopes         []string
	Uses           int // how often one token of the issuer's may be exchanged
	CreatedAt      time.Time
	ExpiresAt      *time.Time // nil for until it is revoked
	LastUsedAt     *time.Time
	RevokedAt      *time.Time
}

// A NewTrust is what its maker says about one.
type NewTrust struct {
	Name           string
	Issuer         string        // one of Config.Machines.Issuers
	SubjectPattern string        // which subjects of the issuer's; the rule is at checkPattern
	Scopes         []string      // what they may do: some of the maker's own
	Uses           int           // of one token; zero is once, which suits a CI; clouds give the same token again while it lives
	Life           time.Duration // zero is until it is revoked
}

const (
	addTrust = `select redoubt.add_federation($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	trusts   = `select id, name, issuer, audience, subject_pattern, scopes, uses, created_at, expires_at, last_used_at, revoked_at from redoubt.federations()`
	endTrust = `select redoubt.revoke_federation($1)`

	findTrusts = `
select f.id, f.name, f.issuer, f.audience, f.subject_pattern, f.scopes, f.uses, f.created_at, f.expires_at, f.last_used_at, f.revoked_at, f.mac
  from identity.federation f join identity.organization o on o.id = f.organization_id
 where f.organization_id = $1 and f.issuer = $2 and f.audience = $3 and f.revoked_at is null and (f.expires_at is null or f.expires_at > now()) and o.active
 order by f.created_at, f.id limit 100`
)

// AddTrust makes a trust of who's organization in tx. Who needs the scope machines:write and a session.
func (s *Service) AddTrust(tx *rls.Tx, who layer.Principal, n NewTrust) (Trust, error) {
	if n.Uses == 0 {
		n.Uses = 1
	}
	if err := s.checkTrust(n); err != nil {
		return Trust{}, err
	}
	mine, err := s.entitle(who, n.Scopes, 0)
	if err != nil {
		return Trust{}, err
	}
	t := Trust{ID: mine.ID, Name: n.Name, Issuer: n.Issuer, Audience: s.MachineAudience(who.Organization()), SubjectPattern: n.SubjectPattern, Scopes: mine.Scopes,
		Uses: n.Uses, CreatedAt: time.Now()}
	if n.Life > 0 {
		end := t.CreatedAt.Add(n.Life).Truncate(time.Second)
		t.ExpiresAt = &end
	}
	_, err = rls.Do(tx, addTrust, t.ID, t.Name, t.Issuer, t.Audience, t.SubjectPattern, t.Scopes, t.Uses, t.ExpiresAt, s.sealTrust(who.Organization(), t))
	return t, err
}

// checkTrust reports everything that is wrong with what was said.
func (s *Service) checkTrust(n NewTrust) error {
	var faults []layer.Field
	if _, known := s.machines[n.Issuer]; !known {
		faults = append(faults, layer.Field{Name: "issuer", Detail: "must be one of the issuers that this deployment trusts"})
	}
	if checkPattern(n.SubjectPattern) != nil {
		faults = append(faults, layer.Field{Name: "subject_pattern", Detail: patternInWords})
	}
	if n.Uses < 1 || n.Uses > maxUses {
		faults = append(faults, layer.Field{Name: "uses", Detail: fmt.Sprintf("must be between 1 and %d", maxUses)})
	}
	if len(faults) == 0 {
		return nil
	}
	return &layer.Refusal{By: layer.Identity, Reason: layer.Invalid, Public: "Some fields need attention.", Fields: faults}
}

// sealTrust authenticates a trust, so that a changed row lets nobody else in, and to nothing more.
func (s *Service) sealTrust(org layer.OrgID, t Trust) []byte {
	ends := ""
	if t.ExpiresAt != nil {
		ends = strconv.FormatInt(t.ExpiresAt.Unix(), 10)
	}
	parts := []string{"redoubt federation", t.ID, string(org), t.Issuer, t.Audience, t.SubjectPattern, strconv.Itoa(t.Uses), ends}
	return s.authenticate(append(parts, t.Scopes...))
}

// Trusts lists the trusts of the asker's organization, newest first, at most 200. It needs the scope machines:write.
func Trusts(asker rls.Asker) ([]Trust, error) { return rls.All[Trust](asker, trusts) }

// RevokeTrust ends a trust of the caller's organization; from the next statement on, no token that was given for it opens anything.
func RevokeTrust(tx *rls.Tx, id string) error { return found(rls.One[bool](tx, endTrust, rowID(id))) }

type trustRow struct {
	Trust
	MAC []byte `db:"mac"`
}

// fitting are the living trusts of the token's organization that are for its issuer and subject, the oldest first. A row that is not as
// its maker sealed it is none, and is told about.
func (s *Service) fitting(ctx context.Context, said heard) ([]Trust, error) {
	rows, err := s.pool.Query(ctx, findTrusts, said.organization, said.Issuer, said.Audience[0])
	if err != nil {
		return nil, unavailable("finding trusts", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[trustRow])
	if err != nil {
		return nil, unavailable("finding trusts", err)
	}
	var fitting []Trust
	for _, row := range all {
		if !hmac.Equal(s.sealTrust(said.organization, row.Trust), row.MAC) {
			s.record(ctx, s.pool, event{action: eventAltered, organization: said.organization, federation: row.ID})
			continue
		}
		if fits(row.SubjectPattern, said.Subject) {
			fitting = append(fitting, row.Trust)
		}
	}
	return fitting, nil
}

func covers(given, asked []string) bool {
	return !slices.ContainsFunc(asked, func(scope string) bool { return !slices.Contains(given, scope) })
}
