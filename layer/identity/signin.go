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
	Issuer  string         `json:"issuer"` // of the provider that was chosen: no other's answer is taken
	Return  string         `json:"return"`
	StepUp  *steppingUp    `json:"step_up,omitempty"` // see stepup.go
	// Invitation is the token of the one that the person has pressed "accept" on; empty for an ordinary sign-in.
	Invitation string `json:"invitation,omitempty"`
}

// SignIn sends the browser to the provider with that ID, or to the only one for "". returnTo is a path on this site, already
// checked, to come back to.
func (s *Service) SignIn(w http.ResponseWriter, r *http.Request, providerID, returnTo string) error {
	return s.begin(w, r, providerID, started{Return: returnTo})
}

func (s *Service) begin(w http.ResponseWriter, r *http.Request, providerID string, begun started) error {
	p, err := s.providers.pick(providerID)
	if err != nil {
		return err
	}
	return s.send(w, r, p, begun, signon.BeginOptions{})
}

// send sends the browser to a provider, and lets it remember what was begun there.
func (s *Service) send(w http.ResponseWriter, r *http.Request, p *provider, begun started, options signon.BeginOptions) error {
	address, pending, err := p.SignOn.Begin(r.Context(), options)
	if err != nil {
		return err
	}
	begun.Pending, begun.Issuer = pending, p.SignOn.Issuer()
	sealed, err := s.sealCookie(begun)
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
	begun, said, err := s.comeBack(w, r)
	if err == nil && begun.StepUp != nil {
		return begun.Return, s.stepUp(w, r, *begun.StepUp, said)
	}
	if err == nil {
		err = s.letIn(w, r, said, begun.Invitation)
	}
	if err != nil {
		s.recordRefusal(r.Context(), eventSignInRefused, "sign_in", err)
		return "", err
	}
	return begun.Return, nil
}

// comeBack takes the answer of the provider that this browser was sent to.
func (s *Service) comeBack(w http.ResponseWriter, r *http.Request) (started, signon.Claims, error) {
	begun, err := s.openCookie(r)
	http.SetCookie(w, cookie(signInCookie, "", -1)) // once, whatever comes of it
	p := s.providers.byIssuer[begun.Issuer]
	if err == nil && p == nil {
		err = errNoProvider
	}
	if err != nil {
		return started{}, signon.Claims{}, refuse(layer.Unauthenticated, "This sign-in was not begun here, or too long ago. Please start again.", err)
	}
	said, err := p.SignOn.Finish(r.Context(), begun.Pending, r.URL.Query())
	return begun, said, err
}

// letIn opens a session for whom the provider names, who may have accepted an invitation, in place of any old one of this browser.
func (s *Service) letIn(w http.ResponseWriter, r *http.Request, said signon.Claims, invitation string) error {
	old, _ := sessionToken(r) // of two planted cookies neither is ended; the new one replaces both
	token, err := s.admit(r.Context(), said, admission{userAgent: r.UserAgent(), replaces: old, invitation: invitation})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(sessionCookie, token, s.cfg.Absolute))
	return nil
}

// An admission is what admit needs besides the provider's word.
type admission struct {
	org       *layer.OrgID // where to; nil is the person's first place
	userAgent string
	replaces  string // the browser's old session, which ends; may be empty
	// invitation is the token of one to accept, which then says where to; may be empty.
	invitation string
}

// admit finds the person and opens a session for them, in one transaction.
func (s *Service) admit(ctx context.Context, said signon.Claims, a admission) (token string, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return "", unavailable("admitting a person", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	person, home, err := s.welcome(ctx, tx, said, a)
	if err != nil {
		return "", err
	}
	if err := refuseLoggedOut(ctx, tx, said); err != nil {
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
	token, err = s.openSession(ctx, tx, newSession{person: person, place: home, said: fromProvider(said), idToken: said.IDToken, refreshToken: said.RefreshToken,
		expires: time.Now().Add(s.cfg.Absolute), userAgent: a.userAgent, action: eventOpened})
	if err != nil {
		return "", err
	}
	if err := s.limitSessions(ctx, tx, person, token); err != nil {
		return "", err
	}
	if err := tx.Commit(ctx); err != nil {
		return "", unavailable("opening a session", err)
	}
	return token, nil
}

const (
	places = `
select m.organization_id, m.id from identity.membership m join identity.organization o on o.id = m.organization_id
 where m.person_id = $1 and m.active and o.active and ($2::uuid is null or m.organization_id = $2)
   and coalesce((select bool_or(b.issuer = $3) from identity.organization_issuer b where b.organization_id = o.id), true)
 order by o.name, o.id limit 1`
	endSession    = `update identity.session set revoked_at = now() where hash = $1 and revoked_at is null`
	purgeSessions = `delete from identity.session where person_id = $1 and (expires_at < now() - interval '30 days' or revoked_at < now() - interval '30 days')`
	selectTokens  = `select id_token, refresh_token from identity.session where hash = $1`
	insertSession = `
insert into identity.session (id, hash, organization_id, profile_id, person_id, administrator, claims, mac, id_token, user_agent, address, idle, expires_at, auth_time, assurance,
  seen_address, issuer, sid, family, refresh_token)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $11, $16, $17, $18, $19)`
	tooMany = `
update identity.session set revoked_at = now() where id in (
  select id from identity.session where person_id = $1 and revoked_at is null and expires_at > now() and seen_at > now() - idle
   order by hash = $2 desc, created_at desc, id offset $3)
returning id, organization_id, profile_id`
	recordEvent = `select audit.append_identity($1, $2, $3, $4, $5, $6, $7, $8)`
	adminKeys   = `select organization_id from identity.api_key where person_id = $1 and administrator and revoked_at is null group by 1`
	endKeys     = `update identity.api_key set revoked_at = now() where person_id = $1 and organization_id = $2 and administrator and revoked_at is null`
)

type place struct {
	Organization layer.OrgID
	Profile      layer.ProfileID
}

// placeIn finds the person's active membership of org, or of the first of their organizations if org is nil.
// An organization that is bound to other issuers than the one by which they have signed in is no place for them.
func placeIn(ctx context.Context, tx pgx.Tx, person layer.PersonID, issuer string, org *layer.OrgID) (place, error) {
	var p place
	err := tx.QueryRow(ctx, places, person, org, issuer).Scan(&p.Organization, &p.Profile)
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
		Provider: said.SessionID, ACR: said.ACR, AMR: said.AMR, Family: newID(), RefreshedAt: time.Now().Unix()}
}

// limitSessions ends the oldest sessions of a person who has more than they may. The one that was just opened is not among them. The
// transaction holds the person's row, so that of two sign-ins at once the second counts the first's.
func (s *Service) limitSessions(ctx context.Context, tx pgx.Tx, person layer.PersonID, opened string) error {
	rows, err := tx.Query(ctx, tooMany, person, hashOf(opened), s.cfg.MaxSessions)
	if err != nil {
		return unavailable("limiting sessions", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[ended])
	if err != nil {
		return unavailable("limiting sessions", err)
	}
	for _, one := range all {
		if err := record(ctx, tx, eventLimit, one); err != nil {
			return err
		}
	}
	return nil
}

type newSession struct {
	person                layer.PersonID
	place                 place
	said                  claims // of a session that is continued, or as fromProvider gives them
	idToken, refreshToken string
	userAgent             string
	expires               time.Time
	action                string // for the audit trail
}

// openSession writes a session under the hash of a new token, with its claims sealed to that hash.
func (s *Service) openSession(ctx context.Context, tx pgx.Tx, n newSession) (string, error) {
	token, id := newSessionToken(), newID()
	hash := hashOf(token)
	n.said.Organization, n.said.Profile, n.said.Person = n.place.Organization, n.place.Profile, n.person
	n.said.Expires, n.said.Refreshable = n.expires.Unix(), n.refreshToken != ""
	text, err := json.Marshal(n.said)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, insertSession, id, hash, n.place.Organization, n.place.Profile, n.person, s.Administers(n.said.Groups, n.place.Organization),
		text, s.sealClaims(hash, text), n.idToken, clean(n.userAgent, maxUserAgent), addressOf(ctx), s.cfg.Idle, n.expires, n.said.proved(), s.assurance(n.said),
		n.said.Issuer, n.said.Provider, n.said.Family, s.sealToken(hash, n.refreshToken))
	if err != nil {
		return "", unavailable("writing a session", err)
	}
	_, err = tx.Exec(ctx, recordEvent, n.place.Organization, n.place.Profile, id, layer.VisitFrom(ctx).String(), "credential", n.action, "session", id)
	if err != nil {
		return "", unavailable("recording a sign-in", err)
	}
	return token, nil
}

// names are the checks of this package's own, as the audit trail calls them; those of package signon have names there.
var names = []struct {
	cause error
	name  string
}{
	{errNoStart, "no_start"},
	{errNotProvisioned, "not_provisioned"},
	{errNoPlace, "no_place"},
	{errInvitationUnknown, "invitation_unknown"},
	{errInvitationUsed, "invitation_used"},
	{errInvitationRevoked, "invitation_revoked"},
	{errInvitationExpired, "invitation_expired"},
	{errOtherAddress, "invitation_another_address"},
	{errOtherIssuer, "invitation_another_issuer"},
	{errInviterGone, "invitation_inviter_gone"},
	{errInviteeStopped, "invitation_stopped"},
	{errNoProvider, "no_provider"},
	{errLoggedOut, "logged_out"},
	{errReplayedLogout, "replayed"},
	{errOtherSession, otherSession},
	{errOtherPerson, otherPerson},
	{errTooWeak, tooWeak},
}

// checkName is the check because of which err refused, from a bounded list: nothing that was submitted.
func checkName(err error) string {
	if name := signon.Name(err); name != "" {
		return name
	}
	for _, n := range names {
		if errors.Is(err, n.cause) {
			return n.name
		}
	}
	return "other"
}

// recordRefusal writes to the audit trail that something was refused before anybody was known. That it could not be written must
// not let anybody in, and does not: the refusal stands.
func (s *Service) recordRefusal(ctx context.Context, event, entity string, err error) {
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.Reason == layer.Unavailable {
		return
	}
	s.pool.Exec(ctx, recordEvent, nil, nil, nil, layer.VisitFrom(ctx).String(), "security", event, entity, checkName(err))
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
	if _, err := tx.Exec(ctx, lockPerson, row.PersonID); err != nil { // before the session, as whoever ends all of them does
		return unavailable("switching organizations", err)
	}
	to, err := placeIn(ctx, tx, row.PersonID, said.Issuer, &org)
	if err != nil {
		return err
	}
	hint, refreshToken, err := s.readTokens(ctx, tx, old)
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
	token, err := s.openSession(ctx, tx, newSession{person: row.PersonID, place: to, said: said, idToken: hint, refreshToken: refreshToken, expires: row.ExpiresAt,
		userAgent: r.UserAgent(), action: eventSwitched})
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
	_, said, err := s.findSession(ctx, hashOf(token))
	if err != nil {
		return "", err
	}
	hint, _, err := s.readTokens(ctx, s.pool, token)
	if err != nil {
		return "", err
	}
	if _, err := s.pool.Exec(ctx, endSession, hashOf(token)); err != nil {
		return "", unavailable("ending a session", err)
	}
	if _, err := s.pool.Exec(ctx, recordEvent, who.Organization(), who.Profile(), who.CredentialID(), layer.VisitFrom(ctx).String(), "credential", eventClosed, "session", who.CredentialID()); err != nil {
		return "", unavailable("recording a sign-out", err)
	}
	p := s.providers.byIssuer[said.Issuer]
	if p == nil {
		return "", nil // the session has gone meanwhile
	}
	address, err := p.SignOn.LogoutURL(ctx, hint, comeBack, "")
	if err != nil {
		return "", nil // signed out here; a provider that is down does not undo that
	}
	return address, nil
}

// readTokens reads the ID token that opened a session, by which the provider knows it again (OpenID Connect RP-Initiated Logout 1.0,
// id_token_hint), and the refresh token, which a session that continues this one takes over. They may be long, so they are not read
// with every request.
func (s *Service) readTokens(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, token string) (hint, refreshToken string, err error) {
	var sealed []byte
	hash := hashOf(token)
	err = db.QueryRow(ctx, selectTokens, hash).Scan(&hint, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", nil // the session has gone meanwhile
	}
	if err != nil {
		return "", "", unavailable("reading a session", err)
	}
	if sealed != nil {
		if refreshToken, err = s.openToken(hash, sealed); err != nil {
			return "", "", refuse(layer.Unauthenticated, "Please sign in again.", err)
		}
	}
	return hint, refreshToken, nil
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
