package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

// assurance is every level at which the provider says that the person proved who they are: acr, amr, and what Config.Levels makes
// of the acr. A name that Levels defines means that and nothing else.
func (s *Service) assurance(c claims) []string {
	held := []string{}
	for _, said := range append(slices.Clone(c.AMR), c.ACR) {
		if _, defined := s.cfg.Levels[said]; said != "" && !defined {
			held = append(held, said)
		}
	}
	for level, values := range s.cfg.Levels {
		if c.ACR != "" && slices.Contains(values, c.ACR) {
			held = append(held, level)
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// checkLevels refuses levels that nobody could meet, or too many to write beside a session.
func checkLevels(levels map[string][]string) (faults []error) {
	if len(levels) > 50 {
		faults = append(faults, errors.New("identity: Levels has more than 50"))
	}
	for level, values := range levels {
		if level == "" || len(values) == 0 || slices.Contains(values, "") {
			faults = append(faults, fmt.Errorf("identity: Levels[%q] needs a name and acr values", level))
		}
	}
	return faults
}

// ACRValues is what to ask a provider for so that it makes a session of that level, best first (RFC 9470 section 3).
func (s *Service) ACRValues(level string) []string {
	if values, defined := s.cfg.Levels[level]; defined {
		return values
	}
	if level == "" {
		return nil
	}
	return []string{level}
}

// proved is when the person last proved to the provider who they are; nil if it did not say.
func (c claims) proved() *time.Time {
	if c.AuthTime <= 0 {
		return nil
	}
	at := time.Unix(c.AuthTime, 0)
	return &at
}

// steppingUp is what a step-up remembers in the browser besides the sign-in that it is: whose session is to be renewed by whom.
type steppingUp struct {
	Session string `json:"session"`
	Subject string `json:"subject"`
	Level   string `json:"level,omitempty"`
}

var (
	errOtherSession = errors.New("a step-up comes back to another session than it left")
	errOtherPerson  = errors.New("another person than the session's has signed in")
	errTooWeak      = errors.New("the provider does not say the level of assurance that was asked for")
)

// StepUp sends the browser of who's session to the provider of that session, to prove once more who they are; at that level, unless it
// is empty (SYSTEM I6). The provider is told to ask, and must say in the new ID token that it did: prompt alone passes through the
// person's own hands. returnTo is a path on this site, already checked.
func (s *Service) StepUp(w http.ResponseWriter, r *http.Request, who layer.Principal, level, returnTo string) error {
	_, row, err := s.session(r.Context(), mint.Credential(who))
	if err != nil {
		return err
	}
	var said claims
	if row.ID == "" || json.Unmarshal(row.Claims, &said) != nil {
		return refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	p := s.providers.byIssuer[said.Issuer]
	if p == nil {
		return refuse(layer.Unauthenticated, "Please sign in again.", errNoProvider)
	}
	address, pending, err := p.SignOn.Begin(r.Context(), signon.BeginOptions{Prompt: "login", ACRValues: s.ACRValues(level)})
	if err != nil {
		return err
	}
	sealed, err := s.sealCookie(started{Pending: pending, Issuer: said.Issuer, Return: returnTo,
		StepUp: &steppingUp{Session: row.ID, Subject: said.Subject, Level: level}})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(signInCookie, sealed, signInTime))
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// stepUp ends a step-up: the very session that began it, in this browser and living, is replaced by a new one of the same person in
// the same place, which knows what the provider has said just now. Who stole the old session's cookie is left with nothing.
func (s *Service) stepUp(w http.ResponseWriter, r *http.Request, begun steppingUp, said signon.Claims) error {
	ctx := r.Context()
	token, err := sessionToken(r)
	if err != nil {
		return err
	}
	who, row, err := s.session(ctx, token)
	switch {
	case err != nil:
		return err
	case who.Nobody() || row.ID != begun.Session:
		return s.refuseStep(ctx, who, otherSession, layer.Unauthenticated, "Your session ended meanwhile. Please sign in again.", errOtherSession)
	case said.Subject != begun.Subject: // the issuer is the one that was asked: nobody else's answer is taken
		return s.sentAway(w, r, who, token)
	case begun.Level != "" && !slices.Contains(s.assurance(fromProvider(said)), begun.Level):
		return s.refuseStep(ctx, who, tooWeak, layer.Forbidden, "This needs a stronger sign-in than the one that you have made, such as one with a second factor.", errTooWeak)
	}
	renewed, err := s.admit(ctx, said, admission{org: &row.OrganizationID, userAgent: r.UserAgent(), replaces: token})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(sessionCookie, renewed, s.cfg.Absolute))
	return s.carryForm(ctx, who, renewed)
}

// sentAway ends a session whose person did not come back from proving who they are, though somebody else did: whoever sits at the
// browser is not known to be its owner.
func (s *Service) sentAway(w http.ResponseWriter, r *http.Request, who layer.Principal, token string) error {
	ctx := r.Context()
	http.SetCookie(w, cookie(sessionCookie, "", -1))
	if err := s.DropForm(ctx, who); err != nil {
		return err
	}
	if err := s.EndSession(ctx, token); err != nil {
		return err
	}
	return s.refuseStep(ctx, who, otherPerson, layer.Unauthenticated, "Somebody else has signed in, so the session that was here has ended. Please sign in again.", errOtherPerson)
}

func (s *Service) refuseStep(ctx context.Context, who layer.Principal, name string, reason layer.Reason, public string, cause error) error {
	var org, profile, session any
	if !who.Nobody() {
		org, profile, session = who.Organization(), who.Profile(), who.CredentialID()
	}
	// That it could not be written lets nobody in: the refusal stands.
	s.pool.Exec(ctx, recordEvent, org, profile, session, layer.VisitFrom(ctx).String(), "security", eventStepRefused, "session", name)
	return refuse(reason, public, cause)
}

// ---- What was typed ----

const (
	// MaxPendingForm bounds what is kept of one form, in bytes.
	MaxPendingForm = 64 << 10
	// PendingFormTime is how long it is kept.
	PendingFormTime = 10 * time.Minute
)

// A PendingForm is what somebody had typed into a form when they were sent to prove who they are. It is shown to them again, in their
// new session; nothing ever sends it for them.
type PendingForm struct {
	Route  string            `json:"route"`  // the pattern of the route that the form is sent to
	Page   string            `json:"page"`   // the path of the page that the form is on
	Level  string            `json:"level"`  // that the route needs; empty for any
	Fields map[string]string `json:"fields"` // without secrets
	Lost   bool              `json:"lost"`   // it was too long, and only where it was typed is kept
}

const (
	keepForm = `
insert into identity.pending_form (session_id, sealed, expires_at) values ($1, $2, now() + $3)
    on conflict (session_id) do update set sealed = excluded.sealed, expires_at = excluded.expires_at`
	findForm = `select sealed from identity.pending_form where session_id = $1 and expires_at > now()`
	takeForm = `delete from identity.pending_form where session_id = $1 returning sealed, expires_at > now()`
	dropForm = `delete from identity.pending_form where session_id = $1`
	idOf     = `select id from identity.session where hash = $1`
)

// KeepForm keeps f for who's session, in place of what was kept before, for PendingFormTime. It reports false, and keeps nothing, if f
// is longer than MaxPendingForm.
func (s *Service) KeepForm(ctx context.Context, who layer.Principal, f PendingForm) (bool, error) {
	text, err := json.Marshal(f)
	if err != nil || len(text) > MaxPendingForm || !who.Interactive() {
		return false, err
	}
	return true, s.keep(ctx, who.CredentialID(), who.Person(), text)
}

func (s *Service) keep(ctx context.Context, session string, person layer.PersonID, text []byte) error {
	aead, err := s.formSeal()
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, keepForm, session, aead.Seal(nil, nil, text, formOf(session, person)), PendingFormTime); err != nil {
		return unavailable("keeping a form", err)
	}
	return nil
}

// KeptForm returns what is kept for who's session. What was altered, or belongs to another session or person, is nothing.
func (s *Service) KeptForm(ctx context.Context, who layer.Principal) (f PendingForm, ok bool, err error) {
	if !who.Interactive() {
		return f, false, nil
	}
	var sealed []byte
	switch err := s.pool.QueryRow(ctx, findForm, who.CredentialID()).Scan(&sealed); {
	case errors.Is(err, pgx.ErrNoRows):
		return f, false, nil
	case err != nil:
		return f, false, unavailable("reading a kept form", err)
	}
	text, err := s.openForm(sealed, who)
	if err != nil || json.Unmarshal(text, &f) != nil {
		return PendingForm{}, false, nil
	}
	return f, true, nil
}

// DropForm forgets what is kept for who's session.
func (s *Service) DropForm(ctx context.Context, who layer.Principal) error {
	if _, err := s.pool.Exec(ctx, dropForm, who.CredentialID()); err != nil {
		return unavailable("forgetting a form", err)
	}
	return nil
}

// carryForm seals what was kept for old to the session that has taken its place, and notes that the person has proved themselves. What
// could not be opened is lost, and with it nothing but typing.
func (s *Service) carryForm(ctx context.Context, old layer.Principal, renewed string) error {
	var session string
	if err := s.pool.QueryRow(ctx, idOf, hashOf(renewed)).Scan(&session); err != nil {
		return unavailable("finding a session", err)
	}
	if _, err := s.pool.Exec(ctx, recordEvent, old.Organization(), old.Profile(), session, layer.VisitFrom(ctx).String(), "credential", eventProved, "session", old.CredentialID()); err != nil {
		return unavailable("recording a step-up", err)
	}
	var sealed []byte
	var fresh bool
	switch err := s.pool.QueryRow(ctx, takeForm, old.CredentialID()).Scan(&sealed, &fresh); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return unavailable("reading a kept form", err)
	}
	text, err := s.openForm(sealed, old)
	if err != nil || !fresh {
		return nil
	}
	return s.keep(ctx, session, old.Person(), text)
}

func (s *Service) openForm(sealed []byte, who layer.Principal) ([]byte, error) {
	aead, err := s.formSeal()
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, sealed, formOf(who.CredentialID(), who.Person()))
}

// formOf binds what is sealed to its row and its person.
func formOf(session string, person layer.PersonID) []byte {
	return []byte("redoubt pending form\x00" + session + "\x00" + string(person))
}

func (s *Service) formSeal() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.cfg.Key, nil, "redoubt pending form", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
