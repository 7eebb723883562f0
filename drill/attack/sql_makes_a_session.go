package attack

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

const madeToken = "rds_ThisSessionWasNotOpenedByAnybodySigningIn01"

// madeSession is a row for a token of the attacker's own, with everything else taken over from where it can be.
const madeSession = `
insert into identity.session (hash, organization_id, profile_id, person_id, administrator, claims, mac, issuer, idle, expires_at)
select sha256(convert_to('%s', 'UTF8')), m.organization_id, m.id, m.person_id, true,
       convert_to(json_build_object('issuer', p.issuer, 'subject', p.subject, 'organization', m.organization_id, 'profile', m.id, 'person', m.person_id,
         'groups', json_build_array('redoubt:admin', 'redoubt:admin:' || m.organization_id), 'expires', extract(epoch from now())::bigint + 90000)::text, 'UTF8'),
       sha256('a guess'), p.issuer, '1 hour', date_trunc('second', now()) + '1 hour'
  from identity.membership m join identity.person p on p.id = m.person_id where m.id = '%s'`

func sqlMakesASession() Attack {
	return Attack{
		Name: "sql-makes-a-session", Threat: "T57", Group: "database",
		Title:  "Whoever has captured the application's role makes a session of Alice's, and comes back with its cookie",
		Expect: []string{"rls/grants", "rls/floor", "identity/claims"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			return s.comesBack(ctx, "redoubt_app", "redoubt-app")
		},
	}
}

// comesBack makes a session as a role, and reads a post of Acme's with its cookie.
func (s *Scene) comesBack(ctx context.Context, role, secret string) (bool, error) {
	canary := s.Canary()
	post, err := s.post(ctx, "bob", canary)
	if err != nil {
		return false, err
	}
	alice, _, err := s.member(ctx, "alice")
	if err != nil {
		return false, err
	}
	taken, err := s.capture(ctx, role, secret)
	if err != nil {
		return false, err
	}
	defer taken.free()
	if _, err := taken.say(ctx, fmt.Sprintf(madeSession, madeToken, alice)); err != nil {
		return false, err
	}
	thief := s.Stranger(target.Inside)
	thief.Alter = func(r *http.Request) { r.Header.Set("Cookie", "__Host-redoubt="+madeToken) }
	for _, path := range []string{"/posts/" + post, "/api/v1/posts/" + post} {
		a, err := thief.Get(ctx, path)
		if err != nil || strings.Contains(a.Body, canary) {
			return err == nil, err
		}
	}
	return false, nil
}
