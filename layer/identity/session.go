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
	Claims         []byte
	MAC            []byte `db:"mac"`
	Unseen         bool   // not touched for a minute
	ExpiresAt      time.Time
}

const findSession = `
select s.id, s.organization_id, s.profile_id, s.person_id, s.claims, s.mac, s.seen_at < now() - interval '1 minute' as unseen, s.expires_at
  from identity.session s
  join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id
  join identity.organization o on o.id = s.organization_id
 where s.hash = $1 and s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active`

// touchSession keeps a session in use from idling out. Once a minute is enough, and spares a write on every request.
const touchSession = `update identity.session set seen_at = now() where hash = $1 and revoked_at is null`

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

func (s *Service) session(ctx context.Context, token string) (layer.Principal, sessionRow, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	hash := hashOf(token)
	rows, err := s.pool.Query(ctx, findSession, hash)
	if err != nil {
		return layer.Principal{}, sessionRow{}, unavailable("finding a session", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sessionRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return layer.Principal{}, row, nil
	}
	if err != nil {
		return layer.Principal{}, row, unavailable("finding a session", err)
	}
	if !hmac.Equal(s.sealClaims(hash, row.Claims), row.MAC) {
		return layer.Principal{}, row, refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	var c claims
	if err := json.Unmarshal(row.Claims, &c); err != nil || c.Organization != row.OrganizationID || c.Profile != row.ProfileID || c.Person != row.PersonID {
		return layer.Principal{}, row, refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	if row.Unseen {
		if _, err := s.pool.Exec(ctx, touchSession, hash); err != nil {
			return layer.Principal{}, row, unavailable("touching a session", err)
		}
	}
	administrator := s.Administers(c.Groups, row.OrganizationID)
	return mint.Principal(mint.Facts{
		Person: string(row.PersonID), Profile: string(row.ProfileID), Organization: string(row.OrganizationID),
		Kind: "session", ID: row.ID, Administrator: administrator, Scopes: s.scopes(administrator),
		Credential: token, AuthTime: time.Unix(c.AuthTime, 0),
	}).(layer.Principal), row, nil
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
       s.revoked_at is null and s.expires_at > now() and s.seen_at > now() - s.idle and m.active and o.active,
       (select coalesce(json_agg(json_build_object('id', x.id, 'name', x.name) order by x.name, x.id), '[]')
          from identity.membership mine join identity.organization x on x.id = mine.organization_id
         where mine.person_id = s.person_id and mine.active and x.active)
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
