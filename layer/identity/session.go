package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

const (
	sessionCookie = "__Host-redoubt"
	sessionPrefix = "rds_"
	sessionLen    = len(sessionPrefix) + 43 // 256 bits in base64url
)

// Claims is what the provider said about a person when they signed in, fixed to one membership and session: a row that was
// moved to another member, person or organization contradicts it.
type claims struct {
	Issuer       string          `json:"issuer"`
	Subject      string          `json:"subject"`
	Organization layer.OrgID     `json:"organization"`
	Profile      layer.ProfileID `json:"profile"`
	Person       layer.PersonID  `json:"person"`
	Groups       []string        `json:"groups"`
	AuthTime     int64           `json:"auth_time"` // Unix seconds
	Provider     string          `json:"sid,omitempty"`
	ACR          string          `json:"acr,omitempty"`
	AMR          []string        `json:"amr,omitempty"`
	Family       string          `json:"family"`       // the sign-in from which the session comes
	Expires      int64           `json:"expires"`      // Unix seconds; the row may say earlier, and not later
	RefreshedAt  int64           `json:"refreshed_at"` // Unix seconds; when the provider said this
	Refreshable  bool            `json:"refreshable"`  // it can be asked again: the row has a refresh token
}

func newSessionToken() string {
	var b [32]byte
	rand.Read(b[:])
	return sessionPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// sealClaims authenticates claims for the session with that hash, so that they cannot be altered or moved to another row. The
// page gate recomputes this with code of its own.
func (s *Service) sealClaims(hash, claims []byte) []byte {
	m := hmac.New(sha256.New, s.cfg.Key)
	m.Write([]byte("redoubt session claims\x00"))
	m.Write(hash)
	m.Write(claims)
	return m.Sum(nil)
}

type sessionRow struct {
	ID             string
	OrganizationID layer.OrgID
	ProfileID      layer.ProfileID
	PersonID       layer.PersonID
	Role           Role
	Custom         []string // scopes of the organization's own role
	Claims         []byte
	MAC            []byte `db:"mac"`
	Unseen         bool   // not touched for a minute, or from another address
	ExpiresAt      time.Time
	Issuer, SID    string
}

const findSession = `
select s.id, s.organization_id, s.profile_id, s.person_id, m.role, m.scopes as custom, s.claims, s.mac,
       s.seen_at < now() - interval '1 minute' or s.seen_address <> $2 as unseen, s.expires_at, s.issuer, s.sid
  from identity.session s
  join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
 where s.hash = $1 and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.live
   and coalesce((select bool_or(b.issuer = s.issuer) from identity.organization_issuer b where b.organization_id = s.organization_id), true)`

// touchSession keeps a session in use from idling out, and notes where it is used from, for its owner's list. Once a minute is enough,
// and spares a write on every request.
const touchSession = `update identity.session set seen_at = now(), seen_address = $2 where hash = $1 and revoked_at is null`

var (
	errTwoCookies = errors.New("two session cookies")
	errForged     = errors.New("the claims of a session are not authentic")
)

// Identify returns who sent r: the holder of an API key in the Authorization header, or else of a session cookie. A request
// with neither, or whose session no longer lives, is the zero Principal's. A key that is not good is refused.
func (s *Service) Identify(r *http.Request) (layer.Principal, error) {
	if header, ok := r.Header["Authorization"]; ok {
		return s.bearer(r.Context(), header)
	}
	token, err := sessionToken(r)
	if err != nil || token == "" {
		return layer.Principal{}, err
	}
	who, _, err := s.session(r.Context(), token)
	return who, err
}

func sessionToken(r *http.Request) (string, error) {
	cookies := r.CookiesNamed(sessionCookie)
	switch {
	case len(cookies) == 0:
		return "", nil
	case len(cookies) > 1: // somebody planted one
		return "", refuse(layer.Malformed, "Please clear this site's cookies and sign in again.", errTwoCookies)
	}
	token := cookies[0].Value
	if len(token) != sessionLen || !strings.HasPrefix(token, sessionPrefix) {
		return "", nil
	}
	return token, nil
}

// session finds who holds a token, asking the provider anew if what it said is too old (SYSTEM I3). Without a living session there is
// neither a Principal nor a row.
func (s *Service) session(ctx context.Context, token string) (layer.Principal, sessionRow, error) {
	hash := hashOf(token)
	row, c, err := s.findSession(ctx, hash)
	if err != nil || row.ID == "" {
		return layer.Principal{}, row, err
	}
	if s.due(c) {
		changed, err := s.refresh(ctx, hash, row, c)
		if err != nil {
			return layer.Principal{}, sessionRow{}, err
		}
		if changed { // it may have ended, or entitle to something else now
			if row, c, err = s.findSession(ctx, hash); err != nil || row.ID == "" {
				return layer.Principal{}, row, err
			}
		}
	}
	if row.Unseen {
		ctx, cancel := context.WithTimeout(ctx, storeWait)
		defer cancel()
		if _, err := s.pool.Exec(ctx, touchSession, hash, addressOf(ctx)); err != nil {
			return layer.Principal{}, row, unavailable("touching a session", err)
		}
	}
	administrator := s.Administers(c.Groups, row.OrganizationID)
	return mint.Principal(mint.Facts{
		Person: string(row.PersonID), Profile: string(row.ProfileID), Organization: string(row.OrganizationID),
		Kind: "session", ID: row.ID, Administrator: administrator, Role: string(row.Role), Scopes: s.cfg.Scopes.of(row.Role, row.Custom, administrator),
		Credential: token, AuthTime: time.Unix(c.AuthTime, 0), Assurance: s.assurance(c),
	}).(layer.Principal), row, nil
}

// findSession reads a living session and its claims, which it authenticates; the zero row if there is none. A session of a provider
// that is not configured any more is none.
func (s *Service) findSession(ctx context.Context, hash []byte) (sessionRow, claims, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	rows, err := s.pool.Query(ctx, findSession, hash, addressOf(ctx))
	if err != nil {
		return sessionRow{}, claims{}, unavailable("finding a session", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sessionRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return sessionRow{}, claims{}, nil
	}
	if err != nil {
		return sessionRow{}, claims{}, unavailable("finding a session", err)
	}
	c, err := s.openClaims(hash, row)
	if err != nil {
		return sessionRow{}, claims{}, refuse(layer.Unauthenticated, "Please sign in again.", err)
	}
	if s.providers.byIssuer[c.Issuer] == nil {
		return sessionRow{}, claims{}, nil
	}
	return row, c, nil
}

// openClaims authenticates a row's claims, and holds against them what the row says beside them: whose it is, where, by which
// provider's word, and until when.
func (s *Service) openClaims(hash []byte, row sessionRow) (claims, error) {
	var c claims
	if !hmac.Equal(s.sealClaims(hash, row.Claims), row.MAC) || json.Unmarshal(row.Claims, &c) != nil ||
		c.Organization != row.OrganizationID || c.Profile != row.ProfileID || c.Person != row.PersonID ||
		c.Issuer != row.Issuer || c.Provider != row.SID || row.ExpiresAt.Unix() > c.Expires {
		return claims{}, errForged
	}
	return c, nil
}

// addressOf is where a request comes from, by the edge's word; "" if nobody knows.
func addressOf(ctx context.Context) string {
	if visit := layer.VisitFrom(ctx); visit.Address.IsValid() {
		return visit.Address.WithZone("").String()
	}
	return ""
}

// A Snapshot is what the session store says of one session at one moment, for the page gate to judge and a page's frame to show.
type Snapshot struct {
	Hash         []byte
	Claims       []byte
	MAC          []byte
	Organization layer.OrgID
	Profile      layer.ProfileID
	Live         bool // not revoked, not expired; the member and the organization active

	Name, Email      string // the provider's
	OrganizationName string
	Onboarded        bool
	Places           []Place
}

// A Place is an organization that a person may switch to.
type Place struct {
	ID   layer.OrgID `json:"id"`
	Name string      `json:"name"`
}

const readSnapshot = `
select s.claims, s.mac, s.organization_id, s.profile_id, p.name, p.email, o.name, m.onboarded_at is not null,
       s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active
         and coalesce((select bool_or(b.issuer = s.issuer) from identity.organization_issuer b where b.organization_id = o.id), true),
       (select coalesce(json_agg(json_build_object('id', x.id, 'name', x.name) order by x.name, x.id), '[]')
          from identity.membership mine join identity.organization x on x.id = mine.organization_id
         where mine.person_id = s.person_id and mine.active and x.active
           and coalesce((select bool_or(b.issuer = s.issuer) from identity.organization_issuer b where b.organization_id = x.id), true))
  from identity.session s
  join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
  join identity.organization o on o.id = s.organization_id
  join identity.person p on p.id = s.person_id
 where s.hash = $1`

// Snapshot reads who's session from the store, now.
func (s *Service) Snapshot(ctx context.Context, who layer.Principal) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	hash := hashOf(mint.Credential(who))
	snap := Snapshot{Hash: hash}
	err := s.pool.QueryRow(ctx, readSnapshot, hash).Scan(&snap.Claims, &snap.MAC, &snap.Organization, &snap.Profile, &snap.Name, &snap.Email,
		&snap.OrganizationName, &snap.Onboarded, &snap.Live, &snap.Places)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return snap, nil // not Live
	case err != nil:
		return snap, unavailable("reading a session again", err)
	}
	return snap, nil
}
