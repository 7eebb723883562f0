package attack

import (
	"context"
	"fmt"
	"net/http"
)

func administrationByRewrittenClaims() Attack {
	return Attack{
		Name: "administration-by-rewritten-claims", Threat: "T20", Group: "people", Destroys: true,
		Title:  "Bob, who holds the session store's password, writes a session in which he administers Acme, and renames it",
		Expect: []string{"identity/claims"},
		Honest: "Whoever writes to the session store has broken in once already, and the database believes its own rows; what is left is the key that is not there.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			name := s.Canary()
			rename, err := bob.Request(ctx, http.MethodPut, "/api/v1/organization", map[string]string{"name": name}) // with the token of a page that he still has
			if err != nil {
				return false, err
			}
			if err := s.promote(ctx, session(bob)); err != nil {
				return false, err
			}
			if _, err := bob.Do(rename); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select exists (select from identity.organization where name = $1)`, name)
		},
	}
}

// promote writes a session anew, as it was, but with the administrators' group in its claims: its role may write sessions, and change none.
func (s *Scene) promote(ctx context.Context, token string) error {
	store, err := s.capture(ctx, "redoubt_identity", "redoubt-identity")
	if err != nil {
		return err
	}
	defer store.free()
	_, err = store.say(ctx, fmt.Sprintf(promote, hashed(token)))
	return err
}

const promote = `
with before as (delete from identity.session where hash = '\x%x' returning *)
insert into identity.session (id, hash, organization_id, profile_id, person_id, administrator, claims, mac, id_token, user_agent, address, idle, expires_at, auth_time, assurance, seen_address, issuer, sid, family)
select id, hash, organization_id, profile_id, person_id, true,
       convert_to(jsonb_set(convert_from(claims, 'utf8')::jsonb, '{groups}', jsonb_build_array('redoubt:administrators:' || organization_id))::text, 'utf8'),
       mac, id_token, user_agent, address, idle, expires_at, auth_time, assurance, seen_address, issuer, sid, family
  from before`
