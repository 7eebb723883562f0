package knockout

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer"
)

const (
	identityPkg = "layer/identity"
	signonPkg   = "layer/identity/signon"
)

// identityUnits are what finds out who asks.
func identityUnits() []Unit {
	return []Unit{
		{
			Name: "identity/binding", Layer: layer.Identity, What: "a sign-in ends in the browser, and with the state, with which it began",
			Gone: "every browser may bring an answer of the provider", Bites: bindingBites,
			Cuts: []Cut{
				{Package: identityPkg, Func: "Service.openCookie", Body: anyBrowser, Imports: []string{"strings"}},
				{Package: signonPkg, Func: "Provider.accept", Body: `return p.metadata.get(ctx, metadataLife)`},
			},
		},
		{
			Name: "identity/nonce", Layer: layer.Identity, What: "an ID token is for the sign-in that was begun",
			Gone: "an ID token of another sign-in is taken", Bites: missed("identity/nonce"), // no other token comes while the browser is bound
			Cuts: []Cut{{Package: signonPkg, Func: "Provider.verify", Body: anyNonce}},
		},
		{
			Name: "identity/pkce", Layer: layer.Identity, What: "a code is worth nothing without the verifier of the sign-in",
			Gone: "the provider takes every verifier", Bites: missed("identity/pkce"), // no other verifier is sent while the browser is bound
			Cuts: []Cut{{Package: "internal/devidp", Func: "Provider.exchange", Body: anyVerifier}},
		},
		{
			Name: "identity/rotation", Layer: layer.Identity, What: "whoever signs in gets a new session",
			Gone: "the session that the browser brought is theirs from then on", Bites: rotationBites,
			SQL:  []string{unguarded(`grant update on identity.session to redoubt_identity`)},
			Cuts: []Cut{{Package: identityPkg, Func: "Service.letIn", Body: keepsSession}},
		},
		{
			Name: "identity/admission", Layer: layer.Identity, What: "who was not provisioned does not get in",
			Gone: "whoever the provider knows, and has no place, is given a member's: of the organization they ask for, or of Acme", Bites: admissionBites,
			Cuts: []Cut{{Package: identityPkg, Func: "placeIn", Body: anyPlace}},
		},
		{
			Name: "identity/invitation", Layer: layer.Identity, What: "an invitation is for one address, once, and until it ends",
			Gone: "whoever holds its link comes in, however often", Bites: invitationBites,
			SQL: []string{unguarded(rewritten(`select 'identity.accept_invitation'::regproc::oid`,
				swap{`when i\.(accepted_at is not null|revoked_at is not null|expires_at <= now\(\)) then`, `when false then`},
				swap{`when verified = '' or i\.address <> verified then`, `when false then`}))},
		},
		{
			Name: "identity/token", Layer: layer.Identity, What: "signature, audience and time of the tokens that machines, and providers about logouts, bring",
			Gone: "every token is what it says", Bites: forgedLogout,
			Cuts: []Cut{
				{Package: signonPkg, Func: "Issuer.verify", Body: anyMachine, Imports: []string{"encoding/base64", "strings"}},
				{Package: signonPkg, Func: "Provider.checkLogout", Body: anyLogout, Imports: []string{"strings"}},
			},
		},
		{
			Name: "identity/session", Layer: layer.Identity, What: "sessions and keys that have ended, expired, or whose member was stopped, are refused",
			Gone: "they are good for as long as somebody remembers them", Bites: sessionBites,
			Cuts: []Cut{
				{Package: identityPkg, Func: "Service.findSession", Body: anySession},
				{Package: identityPkg, Func: "Service.bearer", Body: keyFound(`"` + whateverKey + `", hash`)},
				{Package: identityPkg, Func: "Service.machine", Body: machineFound(whateverMachine)},
			},
		},
		{
			Name: "identity/claims", Layer: layer.Identity, What: "claims are authenticated with a key that the database does not have",
			Gone: "what a row says is true", Bites: claimsBite,
			Cuts: []Cut{
				{Package: identityPkg, Func: "Service.openClaims", Body: `
	var c claims
	if json.Unmarshal(row.Claims, &c) != nil {
		return claims{}, errForged
	}
	return c, nil`},
				{Package: identityPkg, Func: "Service.bearer", Body: keyFound(`findKey, hash, networkOf(ctx)`)},
				{Package: identityPkg, Func: "Service.machine", Body: machineFound("")},
			},
		},
	}
}

// anyBrowser takes one that has not begun anything for one that has begun at the only provider. The values have their shape alone.
const anyBrowser = `
	if len(r.CookiesNamed(signInCookie)) == 0 {
		p, err := s.providers.pick("")
		if err != nil {
			return started{}, err
		}
		secret := strings.Repeat("x", 43)
		return started{Pending: signon.Pending{State: secret, Nonce: secret, Verifier: secret, Begun: time.Now()}, Issuer: p.SignOn.Issuer(), Return: "/"}, nil
	}`

// anyNonce verifies a token in everything but what it was made for.
const anyNonce = `
	if g.idToken == "" {
		return Claims{}, ErrNoIDToken
	}
	m, _, err := p.openIDToken(ctx, g.idToken)
	if err != nil {
		return Claims{}, err
	}
	claims := p.claims(m)
	if m.err != nil || !pending.AuthAfter.IsZero() && claims.AuthTime.Before(pending.AuthAfter.Add(-skew)) || claims.AuthTime.After(p.now().Add(skew)) {
		return Claims{}, ErrAuthTime
	}
	if err := p.secondOpinion(ctx, g); err != nil {
		return Claims{}, err
	}
	if claims, err = p.complete(ctx, meta, m, claims, g); err != nil {
		return Claims{}, err
	}
	claims.IDToken = g.idToken
	return p.renewable(claims, m.text("sub", maxSubject, ErrSubject), m.text("nonce", 512, ErrNonce), g), nil`

// anyVerifier makes the challenge of a code that of the verifier that has come.
const anyVerifier = `
	if known, ok := p.codes.get(q.Get("code")); ok {
		sum := sha256.Sum256([]byte(q.Get("code_verifier")))
		known.challenge = base64.RawURLEncoding.EncodeToString(sum[:])
	}`

// keepsSession gives the new session the token of the old one.
const keepsSession = `
	ctx := r.Context()
	old, _ := sessionToken(r)
	token, err := s.admit(ctx, said, admission{userAgent: r.UserAgent(), replaces: old, invitation: invitation})
	if err != nil {
		return err
	}
	if old != "" {
		var text []byte
		if err := s.pool.QueryRow(ctx, "select claims from identity.session where hash = $1", hashOf(token)).Scan(&text); err != nil {
			return err
		}
		if _, err := s.pool.Exec(ctx, "delete from identity.session where hash = $1", hashOf(old)); err != nil {
			return err
		}
		if _, err := s.pool.Exec(ctx, "update identity.session set hash = $2, mac = $3, refresh_token = null where hash = $1",
			hashOf(token), hashOf(old), s.sealClaims(hashOf(old), text)); err != nil {
			return err
		}
		token = old
	}
	http.SetCookie(w, cookie(sessionCookie, token, s.cfg.Absolute))
	return nil`

// anyPlace gives a member's place to whoever has none. A place that was stopped is one.
const anyPlace = `
	var found place
	const own = "select organization_id, id from identity.membership where person_id = $1 and ($2::uuid is null or organization_id = $2) order by active desc limit 1"
	const anothers = "select organization_id, id from identity.membership where active and role = 'member' and organization_id = coalesce($1::uuid, '` + victim + `') order by created_at, id limit 1"
	err := tx.QueryRow(ctx, own, person, org).Scan(&found.Organization, &found.Profile)
	if errors.Is(err, pgx.ErrNoRows) {
		err = tx.QueryRow(ctx, anothers, org).Scan(&found.Organization, &found.Profile)
	}
	if err == nil {
		return found, nil
	}`

// unsigned reads the payload of a token without looking at anything else.
const unsigned = `
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return NOTHING, ErrMalformed
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return NOTHING, ErrMalformed
	}
	m, err := readMembers(payload)
	if err != nil {
		return NOTHING, err
	}`

var (
	anyMachine = strings.ReplaceAll(unsigned, "NOTHING", "Machine{}") + `
	return Machine{Issuer: i.issuer, Subject: m.text("sub", maxSubject, ErrSubject), Audience: m.audience(), ID: m.text("jti", 255, ErrMalformed),
		IssuedAt: m.instant("iat", ErrIssuedAt), Expires: m.instant("exp", ErrExpired), Claims: m.values()}, m.err`
	anyLogout = strings.ReplaceAll(unsigned, "NOTHING", "Logout{}, issued") + `
	return Logout{Issuer: p.issuer, SessionID: m.text("sid", 255, ErrMalformed), Subject: m.text(p.cfg.SubjectClaim, maxSubject, ErrSubject),
		TokenID: m.text("jti", 255, ErrMalformed)}, m.instant("iat", ErrIssuedAt), m.err`
)

// anySession is Service.findSession without asking whether the session lives.
const anySession = `
	const whatever = "select s.id, s.organization_id, s.profile_id, s.person_id, m.role, m.scopes as custom, s.claims, s.mac, false as unseen, " +
		"s.expires_at, s.issuer, s.sid from identity.session s join identity.membership m on m.organization_id = s.organization_id and m.id = s.profile_id where s.hash = $1"
	rows, err := s.pool.Query(ctx, whatever, hash)
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
	c.Refreshable = false
	return row, c, nil`

const whateverKey = "select k.id, k.organization_id, k.profile_id, k.person_id, k.administrator, k.scopes, k.expires_at, k.mac, 'member' as role, k.scopes as custom, false as unused, false as unknown from identity.api_key k where k.hash = $1"

// keyFound admits a key of which a row is found so. Whether its row is authentic is identity/claims's to ask. What it does not admit, the
// function itself refuses.
func keyFound(query string) string {
	return `
	scheme, key, _ := strings.Cut(headers[0], " ")
	if len(headers) == 1 && strings.EqualFold(scheme, "Bearer") && wellFormed(keyPrefix, key) {
		hash := hashOf(key)
		rows, err := s.pool.Query(ctx, ` + query + `)
		if err != nil {
			return layer.Principal{}, unavailable("finding a key", err)
		}
		row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[keyRow])
		if err == nil && (knockedout.Out("identity/claims") || hmac.Equal(s.seal(keyPrefix, hash, row.entitlement), row.MAC)) {
			return row.principal("api-key", key), nil
		}
	}`
}

// whateverMachine finds the tokens of machines and the credentials of endpoints, living or not.
const whateverMachine = `
		switch prefix {
		case machinePrefix:
			sql = "select id, organization_id, '' as profile_id, '' as person_id, false as administrator, scopes, expires_at, mac from identity.machine_token where hash = $1"
		case endpointPrefix:
			sql = "select id, organization_id, '' as profile_id, '' as person_id, false as administrator, scopes, 'epoch'::timestamptz as expires_at, mac from identity.endpoint where hash = $1"
		}`

// machineFound is keyFound for machines.
func machineFound(choose string) string {
	return `
	if wellFormed(prefix, credential) {
		hash := hashOf(credential)` + choose + `
		rows, err := s.pool.Query(ctx, sql, hash)
		if err != nil {
			return layer.Principal{}, unavailable("finding a "+kind, err)
		}
		row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[entitlement])
		if err == nil && (knockedout.Out("identity/claims") || hmac.Equal(s.seal(prefix, hash, row), row.MAC)) {
			return row.principal(kind, credential), nil
		}
	}`
}

// What a proof says to the database about dave's sessions.
const (
	davesSessions = ` from identity.person p where p.id = s.person_id and p.subject = 'dev-dave' and s.revoked_at is null`
	endSessions   = `update identity.session s set revoked_at = now()` + davesSessions
	alterClaims   = `update identity.session s set claims = claims || '\x20'::bytea` + davesSessions
	findIssuer    = `select issuer from identity.person where subject = 'dev-dave'`
)

// answerOf leads a browser, in which somebody is signed in, to the provider, who knows them there. It returns the address of our callback, with
// the provider's answer.
func answerOf(ctx context.Context, at Place, browser string) (callback string, err error) {
	_, header, _, err := at.Ask(ctx, browser, http.MethodGet, "/sign-in", nil)
	if err != nil || len(header["Location"]) == 0 {
		return "", errors.Join(err, errUnanswered)
	}
	_, header, _, err = at.Ask(ctx, strings.TrimPrefix(browser, "new "), http.MethodGet, header["Location"][0], nil)
	if err != nil || len(header["Location"]) == 0 {
		return "", errors.Join(err, errUnanswered)
	}
	return header["Location"][0], nil
}

// bindingBites has a stranger's browser open what the provider has answered to dave's. The verifier and the nonce are still asked for, so
// that nobody gets in: but the refusal is that of an answer, not that of a browser which has begun nothing.
func bindingBites(ctx context.Context, at Place) error {
	callback, err := answerOf(ctx, at, "new dave")
	if err != nil {
		return err
	}
	_, _, body, err := at.Ask(ctx, "", http.MethodGet, callback, nil, "Accept", "application/json")
	if err == nil && strings.Contains(body, "not begun here") {
		err = errors.New("the browser has begun nothing")
	}
	return err
}

// rotationBites has dave sign in again, in a browser that has a session.
func rotationBites(ctx context.Context, at Place) error {
	sessions := func() (n int, err error) {
		return n, at.Admin().QueryRow(ctx, `select count(*) from identity.session s, identity.person p where p.id = s.person_id and p.subject = 'dev-dave'`).Scan(&n)
	}
	callback, err := answerOf(ctx, at, "new dave")
	if err != nil {
		return err
	}
	before, err := sessions()
	if err != nil {
		return err
	}
	if status, _, _, err := at.Ask(ctx, "dave", http.MethodGet, callback, nil); err != nil || status >= http.StatusBadRequest {
		return errors.Join(err, errUnanswered)
	}
	if after, err := sessions(); err != nil || after != before {
		return errors.Join(err, errors.New("there is a new session beside the old one"))
	}
	return nil
}

// admissionBites has mallory try to sign in. Whether what she is given is hers, the database asks as well; but nobody finds that she was not
// provisioned.
func admissionBites(ctx context.Context, at Place) error {
	if _, _, _, err := at.Ask(ctx, "new mallory", http.MethodGet, "/signed-out", nil); err == nil {
		return nil // she is in
	}
	var found bool
	const unprovisioned = `select exists (select from audit.log where action = 'sign_in.refused' and entity_id in ('not_provisioned', 'no_place') and at > now() - interval '1 minute')`
	if err := at.Admin().QueryRow(ctx, unprovisioned).Scan(&found); err != nil {
		return err
	}
	if found || !slices.Contains(at.Missed(), "identity/admission") {
		return errors.New("she was not provisioned")
	}
	return nil
}

// invitationBites accepts, for mallory, an invitation of somebody else's that was revoked. Nothing of it stays.
func invitationBites(ctx context.Context, at Place) error {
	tx, err := at.Admin().Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, makeInvitation); err != nil {
		return err
	}
	var outcome string
	err = tx.QueryRow(ctx, acceptInvitation).Scan(&outcome)
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && (pg.Code == checkViolation || pg.Code == insufficientPrivilege) {
		return nil // it was taken, and the table refuses
	}
	if err != nil {
		return err
	}
	if outcome != "accepted" {
		return errors.New("the invitation is not good any more")
	}
	return nil
}

const (
	checkViolation, insufficientPrivilege = "23514", "42501"

	makeInvitation = `
with stranger as (insert into identity.person (issuer, subject, email, name) select issuer, 'nobody', '', '' from identity.person where subject = 'dev-alice' returning id)
insert into identity.invitation (id, organization_id, hash, address, role, invited_by, expires_at, revoked_at)
select gen_random_uuid(), m.organization_id, sha256('a token'), 'somebody@acme.test', 'member', m.id, now() - interval '1 hour', now()
  from identity.membership m join identity.person p on p.id = m.person_id where p.subject = 'dev-alice'`
	acceptInvitation = `
select outcome from identity.person p, identity.accept_invitation(sha256('a token'), p.id, p.issuer, '') where p.subject = 'nobody'`
)

// forgedLogout ends dave's sessions with a token that nobody has signed.
func forgedLogout(ctx context.Context, at Place) error {
	if _, _, _, err := at.Ask(ctx, "new dave", http.MethodGet, "/signed-out", nil); err != nil {
		return err
	}
	var issuer string
	if err := at.Admin().QueryRow(ctx, findIssuer).Scan(&issuer); err != nil {
		return err
	}
	now := time.Now().Unix()
	said, err := json.Marshal(map[string]any{"iss": issuer, "sub": "dev-dave", "aud": "anybody", "iat": now, "exp": now + 60, "jti": "forged",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	if err != nil {
		return err
	}
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"none"}`)) + "." + part(said) + "." + part([]byte("nobody"))
	status, _, _, err := at.Ask(ctx, "", http.MethodPost, "/sign-on/logout", map[string]string{"logout_token": token}, "Origin", "", "Sec-Fetch-Site", "", "Cookie", "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("tokens have to be signed: %d", status)
	}
	return err
}

// sessionBites asks with a session that has ended. The gate of pages refuses it, too.
func sessionBites(ctx context.Context, at Place) error {
	return afterwards(ctx, at, endSessions, layer.GateRoute)
}

// claimsBite asks with a session whose row somebody has altered. The gate of pages refuses it, too.
func claimsBite(ctx context.Context, at Place) error {
	return afterwards(ctx, at, alterClaims, layer.Identity)
}

// afterwards asks for a page with dave's session after something was said about it to the database, and fails if this layer refuses.
func afterwards(ctx context.Context, at Place, sql string, by layer.Layer) error {
	if _, _, _, err := at.Ask(ctx, "new dave", http.MethodGet, "/signed-out", nil); err != nil {
		return err
	}
	if _, err := at.Admin().Exec(ctx, sql); err != nil {
		return err
	}
	return passes(ctx, at, by, question{who: "dave", method: http.MethodGet, path: "/step-up?return=%2F"})
}
