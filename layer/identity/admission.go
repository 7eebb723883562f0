package identity

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// readmissions are what identity.readmit may answer.
var readmissions = map[string]bool{eventAdmitted: true, eventReadmitted: true, eventLapsed: true, eventRoleFollowed: true}

const (
	knownOrNew = `
insert into identity.person (issuer, subject, email, name, signed_in_at) values ($1, $2, $3, $4, now())
on conflict (issuer, subject) do update set email = excluded.email, name = excluded.name, signed_in_at = excluded.signed_in_at
returning id, xmax = 0`
	claimUsers = `select identity.scim_claim($1, $2, $3, $4, $5)` // whom their provider has announced, schema/0008_scim.sql
	readmit    = `select organization_id, profile_id, happened from identity.readmit($1, $2, $3)`
	accept     = `select coalesce(organization_id::text, ''), coalesce(profile_id::text, ''), outcome from identity.accept_invitation($1, $2, $3, $4)`
)

// uninvited is what anybody reads who has proved who they are and has no place here.
const uninvited = "You have not been invited here. Ask an owner or an administrator of your organization for an invitation to your e-mail address."

// welcome finds out who may in, and where to (SYSTEM I1): whoever has a membership, whoever brings an invitation to their own
// verified address, and whoever is in a group that is mapped to an organization. It writes down everybody who signs in; of a
// stranger nothing remains, because the caller's transaction does not commit.
func (s *Service) welcome(ctx context.Context, tx pgx.Tx, said signon.Claims, a admission) (person layer.PersonID, home place, err error) {
	var stranger bool
	if err := tx.QueryRow(ctx, knownOrNew, said.Issuer, said.Subject, said.Email, said.Name).Scan(&person, &stranger); err != nil {
		return "", home, unavailable("finding a person", err)
	}
	if a.invitation != "" {
		if a.org, err = s.accept(ctx, tx, person, said, a.invitation); err != nil {
			return "", home, err
		}
	}
	if _, err := tx.Exec(ctx, claimUsers, said.Issuer, said.Subject, said.Email, said.EmailVerified, layer.VisitFrom(ctx).String()); err != nil {
		return "", home, unavailable("finding who was announced", err)
	}
	if err := s.Readmit(ctx, tx, person, said.Issuer, said.Groups); err != nil {
		return "", home, err
	}
	home, err = placeIn(ctx, tx, person, said.Issuer, a.org)
	switch {
	case errors.Is(err, errNoPlace) && stranger:
		err = refuse(layer.Forbidden, uninvited, errNotProvisioned)
	case errors.Is(err, errNoPlace): // they do not come in, and yet what ended with their groups has ended
		if err := tx.Commit(ctx); err != nil {
			return "", home, unavailable("ending a membership", err)
		}
	}
	return person, home, err
}

// Readmit makes a person's memberships what their groups say, where a group has anything to say: see identity.readmit in
// schema/0006_organizations.sql. It belongs to the transaction of a sign-in or of a refresh.
func (s *Service) Readmit(ctx context.Context, tx pgx.Tx, person layer.PersonID, issuer string, groups []string) error {
	if groups == nil {
		groups = []string{} // a provider that says nothing of groups says that there are none
	}
	rows, err := tx.Query(ctx, readmit, person, issuer, groups)
	if err != nil {
		return unavailable("reading groups", err)
	}
	type change struct {
		OrganizationID layer.OrgID
		ProfileID      layer.ProfileID
		Happened       string
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByName[change])
	if err != nil {
		return unavailable("reading groups", err)
	}
	for _, c := range changes {
		if !readmissions[c.Happened] {
			return fmt.Errorf("reading groups: %q is no event", c.Happened)
		}
		if _, err := tx.Exec(ctx, recordEvent, c.OrganizationID, c.ProfileID, nil, layer.VisitFrom(ctx).String(), "credential", c.Happened, "member", c.ProfileID); err != nil {
			return unavailable("recording a membership", err)
		}
	}
	return nil
}

// ---- operators ----

// An Admission maps a group of a provider's to an organization: its people become members when they sign in, if the organization admits
// people so, and cease to be with the group. Role is RoleAdmin, RoleMember or RoleGuest; no group makes an owner.
type Admission struct {
	Organization  layer.OrgID
	Issuer, Group string
	Role          Role
}

// Admit makes admissions the whole of what is mapped for their organizations. conn is an administrator's: neither the application nor
// identity itself may do this.
func Admit(ctx context.Context, conn *pgx.Conn, admissions []Admission) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("mapping groups: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	cleared := map[layer.OrgID]bool{}
	for _, a := range admissions {
		if !cleared[a.Organization] {
			if _, err := tx.Exec(ctx, `delete from identity.admission where organization_id = $1`, a.Organization); err != nil {
				return fmt.Errorf("mapping groups: %w", err)
			}
		}
		cleared[a.Organization] = true
		if _, err := tx.Exec(ctx, `insert into identity.admission (organization_id, issuer, group_name, role) values ($1, $2, $3, $4)`, a.Organization, a.Issuer, a.Group, a.Role); err != nil {
			return fmt.Errorf("mapping a group: %w", err)
		}
	}
	return tx.Commit(ctx)
}
