package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Machines that have an identity elsewhere, such as a job of a CI or a workload of a cloud, hold no secret of ours: they exchange the
// ID token that their own provider has given them for an access token of a quarter of an hour (SYSTEM I9; RFC 8693). Whom an
// organization trusts is a Trust. Three words must agree, and no two of them are one party's: the deployment's list of issuers, which
// no page changes; the organization's trust, which its administrator made; and the issuer's, about who asks and for whom.

const (
	machineLife   = 15 * time.Minute
	maxForeignLen = 16 << 10        // bytes of a token of an issuer's
	foreignGrace  = 5 * time.Minute // an exchange is remembered for longer than two clocks differ
	maxLiving     = 1000            // tokens of a trust
	maxUses       = 1000
	maxIssuers    = 50
)

// A Machines says which machines may ask at all.
type Machines struct {
	// Issuers are those whose ID tokens are exchanged, such as "https://token.actions.githubusercontent.com". They are fetched from, so
	// they are named by whoever runs the deployment and by no page of it. Nil exchanges nothing.
	Issuers []string
	// Audience is what a token must be for, before the id of an organization: "https://app.example.com/organizations/". Required with
	// Issuers.
	Audience string
	// HTTP fetches the issuers' keys; nil is a client with bounds.
	HTTP *http.Client
	// InsecureLoopback allows http issuers on this machine, for tests.
	InsecureLoopback bool
}

// Check names every fault of m.
func (m Machines) Check() error {
	var faults []error
	if len(m.Issuers) > maxIssuers {
		faults = append(faults, fmt.Errorf("identity: Machines.Issuers are at most %d", maxIssuers))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(m.Issuers)))) != len(m.Issuers) {
		faults = append(faults, errors.New("identity: Machines.Issuers has one twice"))
	}
	if len(m.Issuers) > 0 && (len(m.Audience) < 10 || len(m.Audience) > 400 || !strings.HasSuffix(m.Audience, "/")) {
		faults = append(faults, errors.New(`identity: Machines.Audience is required with Issuers, and ends with "/"`))
	}
	_, err := m.open()
	return errors.Join(append(faults, err)...)
}

// open makes a verifier for each issuer, without asking it anything.
func (m Machines) open() (map[string]*signon.Issuer, error) {
	all := map[string]*signon.Issuer{}
	var faults []error
	for _, address := range m.Issuers {
		issuer, err := signon.NewIssuer(signon.IssuerConfig{Issuer: address, HTTP: m.HTTP, InsecureLoopback: m.InsecureLoopback})
		faults = append(faults, err)
		all[address] = issuer
	}
	return all, errors.Join(faults...)
}

// MachineIssuers lists the issuers that an organization may trust.
func (s *Service) MachineIssuers() []string {
	return slices.Sorted(slices.Values(s.cfg.Machines.Issuers))
}

// MachineAudience is what a token must be for that is exchanged for one of org's.
func (s *Service) MachineAudience(org layer.OrgID) string {
	return s.cfg.Machines.Audience + string(org)
}

// An Exchange is what a machine asks for.
type Exchange struct {
	Token    string   // its issuer's
	Scopes   []string // nil for all that the trust gives
	Audience string   // what the machine believes to ask; empty for what the token is for
}

// An Issued token is the answer.
type Issued struct {
	Token  string
	Scopes []string
	Life   time.Duration
}

// The causes of a refused exchange that its answer tells apart (RFC 8693 section 2.2.2). Of all the others it says the same sentence:
// what is wrong with a token is the audit trail's to know.
var (
	ErrScope  = errors.New("no trust that fits gives all of these scopes")
	ErrTarget = errors.New("the request names another audience than its token")
)

var (
	errUnreadable = errors.New("the token cannot be read")
	errIssuer     = errors.New("the token is of no issuer that is trusted here")
	errAudience   = errors.New("the token is not for one organization of ours alone")
	errNoTrust    = errors.New("no living trust fits the token")
	errReplayed   = errors.New("the token was exchanged before")
	errTooMany    = errors.New("the trust has a thousand living tokens")
)

// An unexchanged is why an exchange was refused, as the audit trail says it.
type unexchanged struct {
	reason       string
	check        string      // for reasonToken: which of package signon's refused it
	organization layer.OrgID // whose token it was, if its issuer's word about that is authentic
	trust        string      // the one that fitted, if there was one
	cause        error
}

// Error implements error.
func (u *unexchanged) Error() string { return u.cause.Error() }

// Unwrap gives the cause to errors.Is.
func (u *unexchanged) Unwrap() error { return u.cause }

func deny(reason layer.Reason, u unexchanged) error {
	public := "This token is not exchanged here."
	switch {
	case errors.Is(u.cause, ErrScope):
		public = "No trust gives this machine all of these scopes."
	case errors.Is(u.cause, ErrTarget):
		public = "The token is for another audience than the one asked for."
	case reason == layer.Limited:
		public = "Too many tokens are in use. Please use one for more than one request."
	}
	return refuse(reason, public, &u)
}

// Exchange gives a machine an access token for its issuer's token, or refuses; either way the audit trail says so by name.
func (s *Service) Exchange(ctx context.Context, ask Exchange) (Issued, error) {
	said, err := s.hear(ctx, ask)
	var issued Issued
	if err == nil {
		issued, err = s.answer(ctx, said, ask.Scopes)
	}
	if u := (*unexchanged)(nil); errors.As(err, &u) {
		s.recordUnexchanged(ctx, *u)
	}
	return issued, err
}

// RecordMalformed writes to the audit trail that a request for an exchange was refused with err before it came to Exchange, which
// records its own refusals. That it could not be written gives nobody a token.
func (s *Service) RecordMalformed(ctx context.Context, err error) {
	if u := (*unexchanged)(nil); !errors.As(err, &u) {
		s.recordUnexchanged(ctx, unexchanged{reason: reasonMalformed})
	}
}

func (s *Service) recordUnexchanged(ctx context.Context, u unexchanged) {
	said := map[string]string{"reason": u.reason}
	if u.check != "" {
		said["check"] = u.check
	}
	s.record(ctx, s.pool, event{action: eventUntrusted, organization: u.organization, federation: u.trust, said: said})
}

// A heard token is authentic, and for this organization alone.
type heard struct {
	signon.Machine
	organization layer.OrgID
	hash         []byte // of what the issuer has signed
}

// hear asks the issuer's keys about a token, and the token whom it is for.
func (s *Service) hear(ctx context.Context, ask Exchange) (heard, error) {
	issuer, err := claimedIssuer(ask.Token)
	if err != nil {
		return heard{}, deny(layer.Unauthenticated, unexchanged{reason: reasonMalformed, cause: errUnreadable})
	}
	verifier, known := s.machines[issuer]
	if !known {
		return heard{}, deny(layer.Unauthenticated, unexchanged{reason: reasonIssuer, cause: errIssuer})
	}
	m, err := verifier.Verify(ctx, ask.Token)
	switch {
	case isUnavailable(err):
		return heard{}, err
	case err != nil:
		return heard{}, deny(layer.Unauthenticated, unexchanged{reason: reasonToken, check: signon.Name(err), cause: err})
	case m.Issuer != issuer:
		return heard{}, deny(layer.Unauthenticated, unexchanged{reason: reasonIssuer, cause: errIssuer})
	}
	org, ok := s.addressee(m.Audience)
	switch {
	case !ok:
		return heard{}, deny(layer.Unauthenticated, unexchanged{reason: reasonAudience, cause: errAudience})
	case ask.Audience != "" && ask.Audience != m.Audience[0]:
		return heard{}, deny(layer.Invalid, unexchanged{reason: reasonTarget, organization: org, cause: ErrTarget})
	}
	// What was signed, and not the whole: of one signature there can be several spellings.
	signed := sha256.Sum256([]byte(ask.Token[:strings.LastIndexByte(ask.Token, '.')]))
	return heard{Machine: m, organization: org, hash: signed[:]}, nil
}

// claimedIssuer reads, of a token that nobody has verified yet, by whose keys to do that. A wrong answer leads to the wrong keys.
func claimedIssuer(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(token) > maxForeignLen || len(parts) != 3 {
		return "", errUnreadable
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errUnreadable
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(text, &said) != nil || said.Issuer == "" {
		return "", errUnreadable
	}
	return said.Issuer, nil
}

var lowerUUID = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)

// addressee is the one organization that a token is for. A token that is also for somebody else could come from them.
func (s *Service) addressee(audience []string) (layer.OrgID, bool) {
	if len(audience) != 1 {
		return "", false
	}
	id, ours := strings.CutPrefix(audience[0], s.cfg.Machines.Audience)
	return layer.OrgID(id), ours && lowerUUID.MatchString(id)
}

func isUnavailable(err error) bool {
	var refusal *layer.Refusal
	return errors.Is(err, context.Canceled) || errors.As(err, &refusal) && refusal.Reason == layer.Unavailable
}

const (
	// The row stays locked until the exchange commits, so that a trust which is revoked meanwhile gives nothing, and a thousand are a thousand.
	useTrust = `update identity.federation set last_used_at = now() where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())`
	// No row comes back for a token that was exchanged as often as it may be. Of two at once, one waits for the other.
	countUse = `
insert into identity.federation_exchange as e (hash, uses, expires_at) values ($1, 1, $2)
on conflict (hash) do update set uses = e.uses + 1 where e.uses < $3`
	countLiving   = `select count(*) from (select from identity.machine_token where federation_id = $1 and expires_at > now() limit $2) living`
	insertToken   = `insert into identity.machine_token (id, hash, organization_id, federation_id, subject, scopes, mac, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)`
	recordMachine = `select audit.append_identity($1, null, $2, $3, $4, $5, 'federation', $6, $7)`
	// Tokens are kept for as long as a job may wait that was enqueued with one.
	purgeTokens    = `delete from identity.machine_token where id in (select id from identity.machine_token where expires_at < now() - interval '8 days' limit 1000)`
	purgeExchanges = `delete from identity.federation_exchange where hash in (select hash from identity.federation_exchange where expires_at < now() limit 1000)`
)

// answer finds the trust that fits and gives a token for it.
func (s *Service) answer(ctx context.Context, said heard, scopes []string) (Issued, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if err := s.sweep(ctx); err != nil {
		return Issued{}, err
	}
	fitting, err := s.fitting(ctx, said)
	if err != nil {
		return Issued{}, err
	}
	if len(fitting) == 0 {
		return Issued{}, deny(layer.Unauthenticated, unexchanged{reason: reasonSubject, organization: said.organization, cause: errNoTrust})
	}
	t := fitting[0] // the oldest, unless the machine asks for what another gives
	if len(scopes) > 0 {
		i := slices.IndexFunc(fitting, func(t Trust) bool { return covers(t.Scopes, scopes) })
		if i < 0 {
			return Issued{}, deny(layer.Forbidden, unexchanged{reason: reasonScope, organization: said.organization, cause: ErrScope})
		}
		t = fitting[i]
	} else {
		scopes = t.Scopes
	}
	return s.give(ctx, said, t, slices.Compact(slices.Sorted(slices.Values(scopes))))
}

// give writes the token, its use and the event, together or not at all.
func (s *Service) give(ctx context.Context, said heard, t Trust, scopes []string) (Issued, error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return Issued{}, unavailable("exchanging a token", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if err := s.spend(ctx, tx, said, t); err != nil {
		return Issued{}, err
	}
	e := entitlement{ID: rls.NewID(said.organization), OrganizationID: said.organization, Scopes: scopes, ExpiresAt: time.Now().Add(machineLife).Truncate(time.Second)}
	token := newKey(machinePrefix)
	hash := hashOf(token)
	if _, err := tx.Exec(ctx, insertToken, e.ID, hash, e.OrganizationID, t.ID, said.Subject, e.Scopes, s.seal(machinePrefix, hash, e), e.ExpiresAt); err != nil {
		return Issued{}, unavailable("writing a machine's token", err)
	}
	if err := s.record(ctx, tx, event{action: eventExchanged, organization: said.organization, credential: &e.ID, federation: t.ID, said: map[string]string{"subject": said.Subject}}); err != nil {
		return Issued{}, err
	}
	if err := tx.Commit(ctx); err != nil {
		return Issued{}, unavailable("exchanging a token", err)
	}
	return Issued{Token: token, Scopes: e.Scopes, Life: time.Until(e.ExpiresAt).Truncate(time.Second)}, nil
}

// spend counts a use of the issuer's token, if there is one left.
func (s *Service) spend(ctx context.Context, tx pgx.Tx, said heard, t Trust) error {
	used, err := tx.Exec(ctx, useTrust, t.ID)
	if err != nil {
		return unavailable("using a trust", err)
	}
	if used.RowsAffected() != 1 { // it was revoked since it was found
		return deny(layer.Unauthenticated, unexchanged{reason: reasonSubject, organization: said.organization, trust: t.ID, cause: errNoTrust})
	}
	counted, err := tx.Exec(ctx, countUse, said.hash, said.Expires.Add(foreignGrace), t.Uses)
	if err != nil {
		return unavailable("counting an exchange", err)
	}
	if counted.RowsAffected() != 1 {
		return deny(layer.Unauthenticated, unexchanged{reason: reasonReplayed, organization: said.organization, trust: t.ID, cause: errReplayed})
	}
	var living int
	if err := tx.QueryRow(ctx, countLiving, t.ID, maxLiving).Scan(&living); err != nil {
		return unavailable("counting tokens", err)
	}
	if living >= maxLiving {
		return deny(layer.Limited, unexchanged{reason: reasonLimit, organization: said.organization, trust: t.ID, cause: errTooMany})
	}
	return nil
}

// sweep forgets what has expired, once a minute.
func (s *Service) sweep(ctx context.Context) error {
	now := time.Now().Unix()
	if now-s.swept.Load() < int64(purgeEvery.Seconds()) || s.swept.Swap(now) == now {
		return nil
	}
	for _, sql := range []string{purgeTokens, purgeExchanges} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			return unavailable("forgetting old tokens", err)
		}
	}
	return nil
}

// An event is one line of the audit trail about a trust.
type event struct {
	action       string
	organization layer.OrgID // empty if it is not known
	credential   *string     // the token that was given
	federation   string
	said         map[string]string
}

// record writes e in a transaction or by itself. A refusal is not withdrawn if this fails; an exchange is.
func (s *Service) record(ctx context.Context, db interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, e event) error {
	var organization any
	if e.organization != "" {
		organization = e.organization
	}
	category := "security"
	if e.action == eventExchanged {
		category = "credential"
	}
	if e.said == nil {
		e.said = map[string]string{}
	}
	_, err := db.Exec(ctx, recordMachine, organization, e.credential, layer.VisitFrom(ctx).String(), category, e.action, e.federation, e.said)
	if err != nil {
		return unavailable("recording an exchange", err)
	}
	return nil
}
