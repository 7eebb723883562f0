package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

const (
	signInCookie = "__Host-redoubt-sign-in"
	signInTime   = 10 * time.Minute
	maxUserAgent = 300
)

// started is what a sign-in remembers in the browser that began it, encrypted, until it comes back.
type started struct {
	Pending signon.Pending `json:"pending"`
	Return  string         `json:"return"`
}

// SignIn sends the browser to the provider. returnTo is a path on this site, already checked, to come back to.
func (s *Service) SignIn(w http.ResponseWriter, r *http.Request, returnTo string) error {
	address, pending, err := s.cfg.Provider.Begin(r.Context())
	if err != nil {
		return err
	}
	sealed, err := s.sealCookie(started{pending, returnTo})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(signInCookie, sealed, signInTime))
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

var (
	errNoStart        = errors.New("this browser has not begun a sign-in, or too long ago")
	errNotProvisioned = errors.New("the person is provisioned nowhere")
	errNoPlace        = errors.New("the person is an active member of no organization")
)

// Callback finishes a sign-in: it verifies what the provider says, finds the person among those who were provisioned, and opens
// a new session in place of any old one of this browser (SYSTEM I1, I5). It returns the path to go to.
func (s *Service) Callback(w http.ResponseWriter, r *http.Request) (returnTo string, err error) {
	begun, err := s.openCookie(r)
	http.SetCookie(w, cookie(signInCookie, "", -1)) // once, whatever comes of it
	if err != nil {
		return "", refuse(layer.Unauthenticated, "This sign-in was not begun here, or too long ago. Please start again.", err)
	}
	said, err := s.cfg.Provider.Finish(r.Context(), begun.Pending, r.URL.Query())
	if err != nil {
		s.recordRefusal(r.Context(), err)
		return "", err
	}
	old, _ := sessionToken(r) // of two planted cookies neither is ended; the new one replaces both
	token, err := s.admit(r.Context(), said, admission{userAgent: r.UserAgent(), replaces: old})
	if err != nil {
		s.recordRefusal(r.Context(), err)
		return "", err
	}
	http.SetCookie(w, cookie(sessionCookie, token, s.cfg.Absolute))
	return begun.Return, nil
}

// An admission is what admit needs besides the provider's word.
type admission struct {
	org       *layer.OrgID // where to; nil is the person's first place
	userAgent string
	replaces  string // the browser's old session, which ends; may be empty
}

// admit finds the person and opens a session for them, in one transaction.
func (s *Service) admit(ctx context.Context, said signon.Claims, a admission) (token string, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return "", unavailable("admitting a person", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	person, err := findPerson(ctx, tx, said)
	if err != nil {
		return "", err
	}
	home, err := placeIn(ctx, tx, person, a.org)
	if err != nil {
		return "", err
	}
	if a.replaces != "" {
		if _, err := tx.Exec(ctx, endSession, hashOf(a.replaces)); err != nil {
			return "", unavailable("ending the browser's old session", err)
		}
	}
	if _, err := tx.Exec(ctx, purgeSessions, person); err != nil {
		return "", unavailable("removing old sessions", err)
	}
	if err := s.endAdministratorKeys(ctx, tx, person, said.Groups); err != nil {
		return "", err
	}
	token, err = s.openSession(ctx, tx, newSession{person: person, place: home, said: fromProvider(said), idToken: said.IDToken,
		expires: time.Now().Add(s.cfg.Absolute), userAgent: a.userAgent, action: "session.opened"})
	if err != nil {
		return "", err
	}
	if err := tx.Commit(ctx); err != nil {
		return "", unavailable("opening a session", err)
	}
	return token, nil
}

const (
	signedIn = `update identity.person set email = $3, name = $4, signed_in_at = now() where issuer = $1 and subject = $2 returning id`
	places   = `
select m.organization_id, m.id from identity.membership m join identity.organization o on o.id = m.organization_id
 where m.person_id = $1 and m.active and o.active and ($2::uuid is null or m.organization_id = $2)
 order by o.name, o.id limit 1`
	endSession    = `update identity.session set revoked_at = now() where hash = $1 and revoked_at is null`
	purgeSessions = `delete from identity.session where person_id = $1 and (expires_at < now() - interval '30 days' or revoked_at < now() - interval '30 days')`
	selectHint    = `select id_token from identity.session where hash = $1`
	insertSession = `
insert into identity.session (id, hash, organization_id, profile_id, person_id, administrator, claims, mac, id_token, user_agent, address, idle, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	recordEvent = `select audit.append_identity($1, $2, $3, $4, $5, $6, $7, $8)`
	adminKeys   = `select organization_id from identity.api_key where person_id = $1 and administrator and revoked_at is null group by 1`
	endKeys     = `update identity.api_key set revoked_at = now() where person_id = $1 and organization_id = $2 and administrator and revoked_at is null`
)

// findPerson finds who was provisioned under the provider's issuer and subject, and refreshes what the provider owns.
func findPerson(ctx context.Context, tx pgx.Tx, said signon.Claims) (layer.PersonID, error) {
	var person layer.PersonID
	err := tx.QueryRow(ctx, signedIn, said.Issuer, said.Subject, said.Email, said.Name).Scan(&person)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", refuse(layer.Forbidden, "You have not been invited here.", errNotProvisioned)
	case err != nil:
		return "", unavailable("finding a person", err)
	}
	return person, nil
}

type place struct {
	Organization layer.OrgID
	Profile      layer.ProfileID
}

// placeIn finds the person's active membership of org, or of the first of their organizations if org is nil.
func placeIn(ctx context.Context, tx pgx.Tx, person layer.PersonID, org *layer.OrgID) (place, error) {
	var p place
	err := tx.QueryRow(ctx, places, person, org).Scan(&p.Organization, &p.Profile)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && org == nil:
		return p, refuse(layer.Forbidden, "Your membership has been stopped. Ask an administrator of your organization.", errNoPlace)
	case errors.Is(err, pgx.ErrNoRows):
		return p, refuse(layer.NotFound, "There is nothing here.", errNoPlace)
	case err != nil:
		return p, unavailable("finding a membership", err)
	}
	return p, nil
}

// endAdministratorKeys ends the keys that were made while the provider called the person an administrator, where it no longer
// does (SYSTEM I3: read at sign-in and refreshed).
func (s *Service) endAdministratorKeys(ctx context.Context, tx pgx.Tx, person layer.PersonID, groups []string) error {
	rows, err := tx.Query(ctx, adminKeys, person)
	if err != nil {
		return unavailable("reading keys", err)
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[layer.OrgID])
	if err != nil {
		return unavailable("reading keys", err)
	}
	for _, org := range orgs {
		if s.Administers(groups, org) {
			continue
		}
		if _, err := tx.Exec(ctx, endKeys, person, org); err != nil {
			return unavailable("ending keys", err)
		}
	}
	return nil
}

func fromProvider(said signon.Claims) claims {
	return claims{Issuer: said.Issuer, Subject: said.Subject, Groups: said.Groups, AuthTime: max(0, said.AuthTime.Unix()),
		Provider: said.SessionID, ACR: said.ACR, AMR: said.AMR}
}

type newSession struct {
	person             layer.PersonID
	place              place
	said               claims
	idToken, userAgent string
	expires            time.Time
	action             string // for the audit trail
}

// openSession writes a session under the hash of a new token, with its claims sealed to that hash.
func (s *Service) openSession(ctx context.Context, tx pgx.Tx, n newSession) (string, error) {
	token, id := newSessionToken(), newID()
	hash := hashOf(token)
	n.said.Organization, n.said.Profile, n.said.Person = n.place.Organization, n.place.Profile, n.person
	text, err := json.Marshal(n.said)
	if err != nil {
		return "", err
	}
	visit := layer.VisitFrom(ctx)
	address := ""
	if visit.Address.IsValid() {
		address = visit.Address.String()
	}
	_, err = tx.Exec(ctx, insertSession, id, hash, n.place.Organization, n.place.Profile, n.person, s.Administers(n.said.Groups, n.place.Organization),
		text, s.sealClaims(hash, text), n.idToken, clean(n.userAgent, maxUserAgent), address, s.cfg.Idle, n.expires)
	if err != nil {
		return "", unavailable("writing a session", err)
	}
	_, err = tx.Exec(ctx, recordEvent, n.place.Organization, n.place.Profile, id, visit.String(), "credential", n.action, "session", id)
	if err != nil {
		return "", unavailable("recording a sign-in", err)
	}
	return token, nil
}

// recordRefusal writes a refused sign-in to the audit trail. That it could not be written must not let anybody in, and does
// not: the refusal stands.
func (s *Service) recordRefusal(ctx context.Context, err error) {
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.Reason == layer.Unavailable {
		return
	}
	s.pool.Exec(ctx, recordEvent, nil, nil, nil, layer.VisitFrom(ctx).String(), "security", "sign_in.refused", "sign_in", string(refusal.Reason))
}

// Switch moves the browser's session to another organization of the same person: a new session, with the rest of the old one's
// time, and the old one ends (SYSTEM I4, I5).
func (s *Service) Switch(w http.ResponseWriter, r *http.Request, who layer.Principal, org layer.OrgID) error {
	ctx := r.Context()
	old := mint.Credential(who)
	_, row, err := s.session(ctx, old)
	if err != nil {
		return err
	}
	var said claims
	if row.ID == "" || json.Unmarshal(row.Claims, &said) != nil {
		return refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return unavailable("switching organizations", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	to, err := placeIn(ctx, tx, row.PersonID, &org)
	if err != nil {
		return err
	}
	hint, err := readHint(ctx, tx, old)
	if err != nil {
		return err
	}
	ended, err := tx.Exec(ctx, endSession, hashOf(old))
	if err != nil {
		return unavailable("ending a session", err)
	}
	if ended.RowsAffected() == 0 { // another request was faster: it holds the only new session
		return refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	token, err := s.openSession(ctx, tx, newSession{person: row.PersonID, place: to, said: said, idToken: hint, expires: row.ExpiresAt,
		userAgent: r.UserAgent(), action: "session.switched"})
	if err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return unavailable("switching organizations", err)
	}
	http.SetCookie(w, cookie(sessionCookie, token, time.Until(row.ExpiresAt)))
	return nil
}

// SignOut ends the browser's session, and returns the provider's address at which to end the one there, or "" if it has none.
func (s *Service) SignOut(w http.ResponseWriter, r *http.Request, who layer.Principal, comeBack string) (string, error) {
	ctx := r.Context()
	http.SetCookie(w, cookie(sessionCookie, "", -1))
	token := mint.Credential(who)
	hint, err := readHint(ctx, s.pool, token)
	if err != nil {
		return "", err
	}
	if _, err := s.pool.Exec(ctx, endSession, hashOf(token)); err != nil {
		return "", unavailable("ending a session", err)
	}
	if _, err := s.pool.Exec(ctx, recordEvent, who.Organization(), who.Profile(), who.CredentialID(), layer.VisitFrom(ctx).String(), "credential", "session.closed", "session", who.CredentialID()); err != nil {
		return "", unavailable("recording a sign-out", err)
	}
	address, err := s.cfg.Provider.LogoutURL(ctx, hint, comeBack, "")
	if err != nil {
		return "", nil // signed out here; a provider that is down does not undo that
	}
	return address, nil
}

// readHint reads the ID token that opened a session, by which the provider knows it again (OpenID Connect RP-Initiated Logout 1.0,
// id_token_hint). It may be long, so it is not read with every request.
func readHint(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, token string) (hint string, err error) {
	err = db.QueryRow(ctx, selectHint, hashOf(token)).Scan(&hint)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil // the session has gone meanwhile
	}
	if err != nil {
		return "", unavailable("reading a session", err)
	}
	return hint, nil
}

// ---- cookies ----

// cookie makes one as SYSTEM T3 wants it. A negative life removes it.
func cookie(name, value string, life time.Duration) *http.Cookie {
	age := int(life.Seconds())
	if life < 0 {
		age = -1
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (s *Service) sealCookie(v started) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, text, []byte(signInCookie))), nil
}

func (s *Service) openCookie(r *http.Request) (started, error) {
	var v started
	cookies := r.CookiesNamed(signInCookie)
	if len(cookies) != 1 {
		return v, errNoStart
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookies[0].Value)
	if err != nil {
		return v, errNoStart
	}
	aead, err := s.aead()
	if err != nil {
		return v, err
	}
	text, err := aead.Open(nil, nil, sealed, []byte(signInCookie))
	if err != nil || json.Unmarshal(text, &v) != nil {
		return v, errNoStart
	}
	return v, nil
}

func (s *Service) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.cookieKey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// clean keeps printable ASCII of a header that is stored and shown later, up to max bytes.
func clean(s string, max int) string {
	out := make([]byte, 0, min(len(s), max))
	for i := 0; i < len(s) && len(out) < max; i++ {
		if c := s[i]; c >= ' ' && c < 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// Origin returns the provider's origin, to which forms and redirects of a sign-in go.
func Origin(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
