package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// KeyPattern matches an API key and hardly anything else, for secret scanners: "rdk_", 32 random letters and digits (190 bits),
// and 6 that check the rest.
const KeyPattern = `rdk_[0-9A-Za-z]{38}`

// Every machine's credential has this form; its prefix says of which kind it is.
const (
	keyPrefix = "rdk_"
	keyRandom = 32
	keyCheck  = 6
	keyLen    = len(keyPrefix) + keyRandom + keyCheck
	keyHint   = len(keyPrefix) + 4
)

// maxKeyLife bounds how long a key may live (SYSTEM I9).
const maxKeyLife = 366 * 24 * time.Hour

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func newKey(prefix string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for range keyRandom {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		b.WriteByte(base62[n.Int64()])
	}
	return b.String() + checksum(b.String())
}

// checksum lets a mistyped key be refused, and a leaked one be recognised, without asking the database. It is no protection.
func checksum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	out := make([]byte, keyCheck)
	for i := range out {
		out[keyCheck-1-i] = base62[n%62]
		n /= 62
	}
	return string(out)
}

func wellFormed(prefix, key string) bool {
	return len(key) == keyLen && strings.HasPrefix(key, prefix) && checksum(key[:keyLen-keyCheck]) == key[keyLen-keyCheck:]
}

// entitlement is what a machine's credential stands for, as its row says. Those that last have no end.
type entitlement struct {
	ID             string
	OrganizationID layer.OrgID
	ProfileID      layer.ProfileID
	PersonID       layer.PersonID
	Administrator  bool
	Scopes         []string
	ExpiresAt      time.Time
	MAC            []byte `db:"mac"`
}

type keyRow struct {
	entitlement
	Role    Role     // its member's, at this moment
	Custom  []string // what a role of the organization's own adds to that
	Unused  bool     // not recorded as used for a minute
	Unknown bool     // not known to be used from this network
}

const findKey = `
select k.id, k.organization_id, k.profile_id, k.person_id, k.administrator, k.scopes, k.expires_at, k.mac, m.role, m.scopes as custom,
       coalesce(k.last_used_at < now() - interval '1 minute', true) as unused,
       $2::cidr is not null and not exists (select from identity.api_key_network n where n.api_key_id = k.id and n.network = $2) as unknown
  from identity.api_key k
  join identity.membership m on m.organization_id = k.organization_id and m.id = k.profile_id
  join identity.organization o on o.id = k.organization_id
 where k.hash = $1 and k.revoked_at is null and k.expires_at > now() and m.active and o.active`

// useKey is sent once a minute, and when the network is new: it spares a write on every request.
const useKey = `select identity.use_api_key($1, $2, $3)`

var (
	errScheme    = errors.New("the Authorization header is not one Bearer credential")
	errChecksum  = errors.New("the key's form or checksum is wrong")
	errNoKey     = errors.New("no living key has this hash")
	errForgedKey = errors.New("what the key entitles to is not authentic")
)

func (s *Service) bearer(ctx context.Context, headers []string) (layer.Principal, error) {
	const public = "The API key is not good. Create a new one under API keys."
	scheme, key, _ := strings.Cut(headers[0], " ")
	if len(headers) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return layer.Principal{}, refuse(layer.Unauthenticated, "The Authorization header takes one Bearer API key.", errScheme)
	}
	if strings.HasPrefix(key, machinePrefix) {
		return s.machine(ctx, machinePrefix, "machine", findMachine, key)
	}
	if !wellFormed(keyPrefix, key) {
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errChecksum)
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	hash, network := hashOf(key), networkOf(ctx)
	rows, err := s.pool.Query(ctx, findKey, hash, network)
	if err != nil {
		return layer.Principal{}, unavailable("finding a key", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[keyRow])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errNoKey)
	case err != nil:
		return layer.Principal{}, unavailable("finding a key", err)
	case !hmac.Equal(s.seal(keyPrefix, hash, row.entitlement), row.MAC):
		return layer.Principal{}, refuse(layer.Unauthenticated, public, errForgedKey)
	}
	if row.Unused || row.Unknown {
		if _, err := s.pool.Exec(ctx, useKey, row.ID, network, layer.VisitFrom(ctx).String()); err != nil {
			return layer.Principal{}, unavailable("recording the use of a key", err)
		}
	}
	has := s.cfg.Scopes.of(row.Role, row.Custom, row.Administrator) // now: its member may have had another role when they made it
	row.Scopes = slices.DeleteFunc(row.Scopes, func(scope string) bool { return !slices.Contains(has, scope) })
	return row.principal("api-key", key), nil
}

func (e entitlement) principal(kind, credential string) layer.Principal {
	return mint.Principal(mint.Facts{
		Person: string(e.PersonID), Profile: string(e.ProfileID), Organization: string(e.OrganizationID),
		Kind: kind, ID: e.ID, Administrator: e.Administrator, Scopes: e.Scopes, Credential: credential,
	}).(layer.Principal)
}

// seal authenticates what a machine's credential entitles to, so that a changed row widens nothing, nor makes one kind another.
func (s *Service) seal(kind string, hash []byte, e entitlement) []byte {
	parts := []string{"redoubt entitlement", kind, string(hash), e.ID, string(e.OrganizationID), string(e.ProfileID), string(e.PersonID),
		strconv.FormatBool(e.Administrator), strconv.FormatInt(e.ExpiresAt.Unix(), 10)}
	return s.authenticate(append(parts, e.Scopes...))
}

// authenticate seals parts under a key that the database does not hold. Every part is preceded by its length, so that no two lists
// read alike.
func (s *Service) authenticate(parts []string) []byte {
	m := hmac.New(sha256.New, s.cfg.Key)
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		m.Write(n[:])
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// A Key is an API key as its owner's list shows it. The secret is not in it: it was shown once.
type Key struct {
	ID         string
	Name       string
	Hint       string // its first letters
	Scopes     []string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt *time.Time
	RevokedAt  *time.Time
	Networks   []Network // that it was used from, the latest first, at most 50
}

// A Network is where a key was used from: 256 addresses of IPv4, or a site of IPv6.
type Network struct {
	Network   string    `json:"network"` // "203.0.113.0/24"
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Suspect   bool      `json:"suspect"` // it was not the first
}

const (
	listKeys = `
with n as materialized (select * from redoubt.my_api_key_networks())
select id, name, hint, scopes, created_at, expires_at, last_used_at, revoked_at,
       (select coalesce(json_agg(json_build_object('network', n.network, 'first_seen', n.first_seen, 'last_seen', n.last_seen, 'suspect', n.suspect) order by n.last_seen desc, n.network), '[]')
          from n where n.key_id = k.id) as networks
  from redoubt.my_api_keys() k`
	addKey    = `select redoubt.add_api_key($1, $2, $3, $4, $5, $6, $7, $8)`
	revokeKey = `select redoubt.revoke_api_key($1)`
)

// Keys lists the asker's API keys in their organization, newest first, at most 200.
func Keys(asker rls.Asker) ([]Key, error) { return rls.All[Key](asker, listKeys) }

var errBeyond = errors.New("a key may not do more than its maker")

// AddKey makes an API key for who in tx and returns its secret, which nobody can see again. The key may have any of who's own
// scopes. The database checks the same by its own list.
func (s *Service) AddKey(tx *rls.Tx, who layer.Principal, name string, scopes []string, life time.Duration) (secret string, key Key, err error) {
	secret = newKey(keyPrefix)
	hash := hashOf(secret)
	row, err := s.entitle(who, scopes, min(life, maxKeyLife))
	if err != nil {
		return "", Key{}, err
	}
	if _, err := rls.Do(tx, addKey, row.ID, hash, name, secret[:keyHint], row.Scopes, row.Administrator, row.ExpiresAt, s.seal(keyPrefix, hash, row)); err != nil {
		return "", Key{}, err
	}
	return secret, Key{ID: row.ID, Name: name, Hint: secret[:keyHint], Scopes: row.Scopes, CreatedAt: time.Now(), ExpiresAt: row.ExpiresAt}, nil
}

// entitle hands on some of who's own scopes for a while, and nothing beyond them.
func (s *Service) entitle(who layer.Principal, scopes []string, life time.Duration) (entitlement, error) {
	for _, scope := range scopes {
		if !who.Has(scope) {
			return entitlement{}, refuse(layer.Forbidden, "A key can do no more than you can.", errBeyond)
		}
	}
	return entitlement{ID: rls.NewID(who.Organization()), OrganizationID: who.Organization(), ProfileID: who.Profile(), PersonID: who.Person(),
		Administrator: who.Administrator() && s.needsAdministrator(scopes), Scopes: slices.Compact(slices.Sorted(slices.Values(scopes))),
		ExpiresAt: time.Now().Add(life).Truncate(time.Second)}, nil
}

// needsAdministrator reports whether scopes go beyond a member's, so that the key must end with its maker's administration.
func (s *Service) needsAdministrator(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(s.cfg.Scopes.Member, scope) })
}

// RevokeKey ends one of the caller's keys.
func RevokeKey(tx *rls.Tx, id string) error { return found(rls.One[bool](tx, revokeKey, rowID(id))) }

// A rowID is an id of something that belongs to an organization: rls refuses one that says it is another's, as it would not a text.
type rowID string

// optional is how "" is said to the database.
func optional(id string) *rowID {
	if id == "" {
		return nil
	}
	return (*rowID)(&id)
}

// found turns an answer of "there was none" into a refusal.
func found(ok bool, err error) error {
	if err == nil && !ok {
		return refuse(layer.NotFound, "There is nothing here.", errors.New("nothing of the caller's has this id"))
	}
	return err
}

// newID returns a random UUID, RFC 9562 version 4, for what is a person's and not an organization's: sessions, which people list and end
// in all their organizations. Everything else has rls.NewID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[c>>4], hex[c&15])
	}
	return string(out)
}
