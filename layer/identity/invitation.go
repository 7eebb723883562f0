package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// InvitationPattern matches an invitation's token and hardly anything else, for secret scanners.
const InvitationPattern = `rdi_[0-9A-Za-z_-]{43}`

const (
	invitationPrefix = "rdi_"
	invitationLen    = len(invitationPrefix) + 43 // 256 bits in base64url
	invitationLife   = 7 * 24 * time.Hour
)

const (
	invite          = `select redoubt.invite($1, $2, $3, $4, $5, $6)`
	renewInvite     = `select coalesce(redoubt.renew_invitation($1, $2, $3), '')`
	endInvitation   = `select redoubt.revoke_invitation($1)`
	listInvitations = `select id, address, role, custom_name, inviter, sends, sent_at, expires_at from redoubt.invitations()`
	showInvitation  = `select organization, inviter, role, custom_role, expires_at from identity.show_invitation($1)`
)

// Why an invitation lets nobody in. Outside all of them read the same; the audit trail tells them apart.
var (
	errInvitationUnknown = errors.New("no invitation has this hash")
	errInvitationUsed    = errors.New("the invitation was accepted before")
	errInvitationRevoked = errors.New("the invitation was revoked")
	errInvitationExpired = errors.New("the invitation has expired")
	errOtherAddress      = errors.New("the invitation is to another address than the provider has verified")
	errOtherIssuer       = errors.New("the organization does not take the provider's word")
	errInviterGone       = errors.New("who has sent the invitation is a member no more")
	errInviteeStopped    = errors.New("the member was stopped, and an invitation does not readmit them")
)

var outcomes = map[string]error{
	"unknown": errInvitationUnknown, "used": errInvitationUsed, "revoked": errInvitationRevoked, "expired": errInvitationExpired,
	"another_address": errOtherAddress, "another_issuer": errOtherIssuer, "inviter_gone": errInviterGone, "stopped": errInviteeStopped,
}

func newInvitationToken() (token string, hash []byte) {
	var b [32]byte
	rand.Read(b[:])
	token = invitationPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return token, hashOf(token)
}

func wellFormedInvitation(token string) bool {
	if len(token) != invitationLen || !strings.HasPrefix(token, invitationPrefix) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(token[len(invitationPrefix):])
	return err == nil
}

// An Invitee is whom to invite, and as what.
type Invitee struct {
	Address Address
	Role    Role   // RoleAdmin, RoleMember or RoleGuest
	OwnRole string // the id of one of the organization's own roles; "" for none
}

// Invite writes an invitation to who's organization and returns its id and the token that its link carries, which is kept nowhere. It is
// good for seven days, once, for a person whose provider says that the address is theirs. It needs the scope members:invite. The
// answer does not depend on who has the address.
func Invite(tx *rls.Tx, in Invitee) (id, token string, err error) {
	token, hash := newInvitationToken()
	id = tx.NewID()
	_, err = rls.Do(tx, invite, id, hash, string(in.Address), string(in.Role), optional(in.OwnRole), time.Now().Add(invitationLife-time.Minute)) // the clocks may differ by that
	return id, token, err
}

// RenewInvitation gives an invitation a new token and a new week. The old link is good no more.
func RenewInvitation(tx *rls.Tx, id string) (to Address, token string, err error) {
	token, hash := newInvitationToken()
	to, err = rls.One[Address](tx, renewInvite, rowID(id), hash, time.Now().Add(invitationLife-time.Minute))
	return to, token, found(to != "", err)
}

// RevokeInvitation ends an invitation that nobody has accepted.
func RevokeInvitation(tx *rls.Tx, id string) error {
	return found(rls.One[bool](tx, endInvitation, rowID(id)))
}

// An Invitation is one that nobody has accepted, as the organization's list shows it.
type Invitation struct {
	ID         string
	Address    Address
	Role       Role
	CustomName string // of the organization's own role; "" for none
	Inviter    string
	Sends      int
	SentAt     time.Time
	ExpiresAt  time.Time
}

// Invitations lists those of the asker's organization, newest first, at most 200. It needs the scope members:invite.
func Invitations(asker rls.Asker) ([]Invitation, error) {
	return rls.All[Invitation](asker, listInvitations)
}

// An Offer is what whoever holds an invitation's link sees before they have signed in.
type Offer struct {
	Organization string
	Inviter      string
	Role         Role
	CustomRole   string
	ExpiresAt    time.Time
}

func noInvitation(cause error) error {
	return refuse(layer.NotFound, "This invitation is not good, or not any more. Ask whoever sent it for a new one.", cause)
}

// Offer shows the invitation with that token. One that was accepted, revoked or has expired is answered like one that never was.
func (s *Service) Offer(ctx context.Context, token string) (Offer, error) {
	if !wellFormedInvitation(token) {
		return Offer{}, noInvitation(errInvitationUnknown)
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	rows, err := s.pool.Query(ctx, showInvitation, hashOf(token))
	if err != nil {
		return Offer{}, unavailable("finding an invitation", err)
	}
	offer, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Offer])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Offer{}, noInvitation(errInvitationUnknown)
	case err != nil:
		return Offer{}, unavailable("finding an invitation", err)
	}
	return offer, nil
}

// AcceptInvitation sends the browser to the provider with that ID, to come back as somebody who accepts the invitation with that token.
// Also who is signed in goes there: only the provider knows at this moment which address is theirs.
func (s *Service) AcceptInvitation(w http.ResponseWriter, r *http.Request, providerID, token string) error {
	if _, err := s.Offer(r.Context(), token); err != nil {
		return err
	}
	return s.begin(w, r, providerID, started{Return: "/", Invitation: token})
}

// accept takes the invitation for a person whom the provider has just vouched for, and returns where it leads to. The refusal says one
// thing whatever the reason is: whoever holds a link learns neither to which address it went nor who is a member.
func (s *Service) accept(ctx context.Context, tx pgx.Tx, person layer.PersonID, said signon.Claims, token string) (*layer.OrgID, error) {
	verified, _ := ParseAddress(said.Email)
	if !said.EmailVerified {
		verified = ""
	}
	var org layer.OrgID
	var profile layer.ProfileID
	var outcome string
	if err := tx.QueryRow(ctx, accept, hashOf(token), person, said.Issuer, string(verified)).Scan(&org, &profile, &outcome); err != nil {
		return nil, unavailable("accepting an invitation", err)
	}
	if cause, refused := outcomes[outcome]; refused {
		tx.Rollback(context.WithoutCancel(ctx)) // and with it everything about this sign-in but this line
		if org != "" {
			s.pool.Exec(ctx, recordEvent, org, nil, nil, layer.VisitFrom(ctx).String(), "security", eventInvitationRefused, "invitation", outcome)
		}
		return nil, refuse(layer.Forbidden, "This invitation is not for the address that you have signed in with, or not good any more. Sign in with the address that it was sent to, or ask for a new one.", cause)
	}
	_, err := tx.Exec(ctx, recordEvent, org, profile, nil, layer.VisitFrom(ctx).String(), "credential", eventInvitationUsed, "member", profile)
	if err != nil {
		return nil, unavailable("recording an invitation", err)
	}
	return &org, nil
}
