package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func memberWithoutAProof() Attack {
	return Attack{
		Name: "member-without-a-proof", Threat: "T24", Group: "people", Destroys: true,
		Title:  "Somebody at Alice's desk, where she signed in an hour ago, deletes Erin from Acme",
		Expect: []string{"gate/route", "rls/require"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			alice, err := s.SignIn(ctx, "alice")
			if err != nil {
				return false, err
			}
			if err := s.grow(ctx, alice, time.Hour); err != nil {
				return false, err
			}
			erin, _, err := s.member(ctx, "erin/Acme")
			if err != nil {
				return false, err
			}
			if _, err := alice.Ask(ctx, http.MethodPost, "/admin/members/"+erin+"/delete", formOf()); err != nil {
				return false, err
			}
			if _, err := alice.Ask(ctx, http.MethodDelete, "/api/v1/members/"+erin, nil); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from identity.membership where id = $1 and person_id is not null and active)`, erin)
		},
	}
}

// grow makes a session so much older, as only time does: what the provider said of it, and when, is sealed under the claims key.
func (s *Scene) grow(ctx context.Context, c *target.Client, by time.Duration) error {
	key, err := s.Secret("claims-key")
	if err != nil {
		return err
	}
	hash := hashed(session(c))
	var claims []byte
	if err := s.Admin().QueryRow(ctx, `select claims from identity.session where hash = $1`, hash).Scan(&claims); err != nil {
		return err
	}
	var said map[string]any
	if err := json.Unmarshal(claims, &said); err != nil {
		return err
	}
	proved := time.Now().Add(-by).Truncate(time.Second)
	said["auth_time"] = proved.Unix()
	if claims, err = json.Marshal(said); err != nil {
		return err
	}
	seal := hmac.New(sha256.New, []byte(key))
	seal.Write([]byte("redoubt session claims\x00"))
	seal.Write(hash)
	seal.Write(claims)
	return s.act(ctx, `update identity.session set claims = $2, mac = $3, auth_time = $4 where hash = $1`, hash, claims, seal.Sum(nil), proved)
}
