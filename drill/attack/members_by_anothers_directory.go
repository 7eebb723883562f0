package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
)

func membersByAnothersDirectory() Attack {
	return Attack{
		Name: "members-by-anothers-directory", Group: "people", Destroys: true,
		Title:  "Globex's directory, whose credential Carol holds, withdraws a member of Acme",
		Expect: []string{"rls/functions", "rls/tags", "rls/constraints"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			credential, err := s.directory(ctx)
			if err != nil {
				return false, err
			}
			bob, _, err := s.member(ctx, "bob")
			if err != nil {
				return false, err
			}
			program := s.bearing("Globex's directory", credential)
			at := "/scim/v2/Users/" + bob
			off := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []map[string]any{{"op": "replace", "path": "active", "value": false}}}
			if _, err := program.Ask(ctx, http.MethodPatch, at, off); err != nil {
				return false, err
			}
			if _, err := program.Ask(ctx, http.MethodDelete, at, nil); err != nil {
				return false, err
			}
			return s.Seen(ctx, `select not exists (select from identity.membership where id = $1 and active)`, bob)
		},
	}
}

// directory connects Globex's own list of people, as Carol does on a page, and returns its credential. It is put into the database ready-made:
// where a common cause makes everybody an administrator of Acme, no page makes anything of Globex's.
func (s *Scene) directory(ctx context.Context) (credential string, err error) {
	key, err := s.Secret("claims-key")
	if err != nil {
		return "", err
	}
	maker, globex, err := s.member(ctx, "carol")
	if err != nil {
		return "", err
	}
	var id string
	if err := s.Admin().QueryRow(ctx, `select gen_random_uuid()::text`).Scan(&id); err != nil {
		return "", err
	}
	credential = wellFormed("rdw_", s.Rand)
	seal := hmac.New(sha256.New, []byte(key))
	for _, part := range []string{"redoubt entitlement", "rdw_", string(hashed(credential)), id, globex, "", "", "false", "0", "scim:manage"} {
		seal.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		seal.Write([]byte(part))
	}
	return credential, s.act(ctx, `insert into identity.endpoint (id, hash, organization_id, made_by, name, scopes, mac) values ($1, $2, $3, $4, 'a directory', '{scim:manage}', $5)`,
		id, hashed(credential), globex, maker, seal.Sum(nil))
}

// wellFormed is a credential of the form that docs/machines.md gives.
func wellFormed(prefix string, chance *rand.Rand) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	text := []byte(prefix)
	for range 32 {
		text = append(text, letters[chance.IntN(len(letters))])
	}
	var check [6]byte
	sum := crc32.ChecksumIEEE(text)
	for i := range check {
		check[len(check)-1-i] = letters[sum%62]
		sum /= 62
	}
	return string(append(text, check[:]...))
}
