package identity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

const (
	readOrganization = `select name, just_in_time, created_at, role, custom_role, members, owners from redoubt.organization()`
	setOrganization  = `select redoubt.set_organization($1, $2)`
	listAdmissions   = `select group_name, role from redoubt.admissions()`
	foundOne         = `select organization_id, profile_id from identity.found_organization($1, $2)`
)

// An Organization is the asker's, as they see it.
type Organization struct {
	Name       string
	JustInTime bool // people of mapped groups become members when they sign in
	CreatedAt  time.Time
	Role       Role   // the asker's
	CustomRole string // and their role of the organization's own; "" for none
	Members    int    // active ones
	Owners     int
}

// OrganizationOf reads the asker's organization.
func OrganizationOf(asker rls.Asker) (Organization, error) {
	return rls.One[Organization](asker, readOrganization)
}

// SetOrganization changes the name of the caller's organization, and whether people of mapped groups become members. It needs the scope
// organization:write; who comes in is for owners and administrators to say.
func SetOrganization(tx *rls.Tx, name string, justInTime bool) error {
	_, err := rls.Do(tx, setOrganization, name, justInTime)
	return err
}

// A MappedGroup is a group of the provider's that makes members.
type MappedGroup struct {
	GroupName string
	Role      Role
}

// MappedGroups lists those of the asker's organization. It needs the scope organization:write.
func MappedGroups(asker rls.Asker) ([]MappedGroup, error) {
	return rls.All[MappedGroup](asker, listAdmissions)
}

var errNoCreator = errors.New("the provider's groups do not let them make organizations")

// Creates reports whether a person with these claims, as a session's Snapshot has them, may make organizations. Nobody may where no
// group is configured.
func (s *Service) Creates(sealed []byte) bool {
	var c claims
	return s.cfg.CreatorGroup != "" && json.Unmarshal(sealed, &c) == nil && slices.Contains(c.Groups, s.cfg.CreatorGroup)
}

// CreateOrganization makes an organization of which who is the owner, and moves the browser's session there. Who needs a session whose
// authentic claims have Config.CreatorGroup; the database makes sure that the session lives.
func (s *Service) CreateOrganization(w http.ResponseWriter, r *http.Request, who layer.Principal, name string) error {
	ctx := r.Context()
	token := mint.Credential(who)
	_, row, err := s.session(ctx, token)
	if err != nil {
		return err
	}
	if row.ID == "" || !s.Creates(row.Claims) {
		return refuse(layer.NotFound, "There is nothing here.", errNoCreator)
	}
	org, err := s.create(ctx, token, row, name)
	if err != nil {
		return err
	}
	return s.Switch(w, r, who, org)
}

func (s *Service) create(ctx context.Context, token string, row sessionRow, name string) (org layer.OrgID, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return "", unavailable("making an organization", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	var profile layer.ProfileID
	if err := tx.QueryRow(ctx, foundOne, hashOf(token), name).Scan(&org, &profile); err != nil {
		return "", founding(err)
	}
	if _, err := tx.Exec(ctx, recordEvent, org, profile, row.ID, layer.VisitFrom(ctx).String(), "credential", eventFounded, "organization", org); err != nil {
		return "", unavailable("recording an organization", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return "", unavailable("making an organization", err)
	}
	return org, nil
}

func founding(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "RD429":
			return refuse(layer.Limited, "You own as many organizations as one may.", errors.New("an owner of too many organizations"))
		case "23514":
			return refuse(layer.Invalid, "A name has 1 to 100 characters.", errors.New("the organization's name breaks its rule"))
		case "28000":
			return refuse(layer.Unauthenticated, "Please sign in again.", errors.New("the session has ended"))
		}
	}
	return unavailable("making an organization", err)
}
