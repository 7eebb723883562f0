package action_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// renew writes over the database's note of when and how a session's person proved who they are.
func renew(t *testing.T, w *layertest.W, c *layertest.Caller, set string) {
	t.Helper()
	tag, err := w.Admin(t).Exec(t.Context(), `update identity.session set `+set+` where id = $1`, c.Principal().CredentialID())
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%s: %v, %v", set, tag, err)
	}
}

func TestTheDatabaseAsksForAProofItself(t *testing.T) { // SYSTEM A3, A4, I6
	w := layertest.World(t, cups)
	bob := w.Member("Acme")
	stale, strong := bob.Stale(), bob.Assured("mfa")
	// The claims, forged inside the program: they say that a stale session is fresh and strong. The database says otherwise.
	forged := mint.Principal(mint.Facts{Profile: string(bob.Principal().Profile()), Organization: string(bob.Principal().Organization()), Kind: "session",
		Scopes: []string{"cups:write"}, Credential: stale.Session(), AuthTime: time.Now(), Assurance: []string{"mfa"}}).(layer.Principal)
	// The database's note, altered by somebody who can write to it: this gate believes it. The route gate does not; see package commons.
	altered := bob.Stale()
	renew(t, w, altered, `auth_time = now()`)
	ahead, without, null := bob.SignIn("Acme"), bob.SignIn("Acme"), bob.SignIn("Acme")
	renew(t, w, ahead, `auth_time = now() + interval '2 minutes'`)
	renew(t, w, without, `auth_time = now() - interval '5 minutes 1 second'`)
	renew(t, w, null, `auth_time = null`)
	key, err := action.Do(t.Context(), w.DB, bob.Principal(), "keys:write", func(tx *action.Tx) (string, error) {
		secret, _, err := w.Identity.AddKey(tx.Tx, bob.Principal(), "a key", []string{"cups:write"}, time.Hour)
		return secret, err
	})
	if err != nil {
		t.Fatal(err)
	}
	program := mint.Principal(mint.Facts{Profile: string(bob.Principal().Profile()), Organization: string(bob.Principal().Organization()), Kind: "api-key",
		Scopes: []string{"cups:write"}, Credential: key}).(layer.Principal)
	fresh, mfa := layer.Assurance{Within: 5 * time.Minute}, layer.Assurance{Level: "mfa"}
	for _, c := range []struct {
		name  string
		who   layer.Principal
		scope string
		needs layer.Assurance
		want  layer.Reason
	}{
		{"a fresh session", bob.Principal(), "cups:write", fresh, ""},
		{"a stale session", stale.Principal(), "cups:write", fresh, layer.Unproven},
		{"a stale session, of which nothing is asked", stale.Principal(), "cups:write", layer.Assurance{}, ""},
		{"a stale session with forged claims", forged, "cups:write", fresh, layer.Unproven},
		{"a stale session with a forged row", altered.Principal(), "cups:write", fresh, ""},
		{"a proof of the future", ahead.Principal(), "cups:write", fresh, layer.Unproven},
		{"a proof a second too old", without.Principal(), "cups:write", fresh, layer.Unproven},
		{"a proof of no known time", null.Principal(), "cups:write", fresh, layer.Unproven},
		{"a session of the level", strong.Principal(), "cups:write", mfa, ""},
		{"a session of no level", bob.Principal(), "cups:write", mfa, layer.Unproven},
		{"a session of no level with forged claims", forged, "cups:write", mfa, layer.Unproven},
		{"a fresh session without the scope", bob.Principal(), "cups:break", fresh, layer.Forbidden},
		{"a fresh session with a scope of the claims alone", bob.Principal(), "claims:only", fresh, layer.Forbidden},
		{"a key, where nobody said that keys may", program, "cups:write", fresh, layer.Forbidden},
		{"a key, where keys may", program, "cups:write", layer.Assurance{Within: fresh.Within, Keys: true}, ""},
		{"nobody", layer.Principal{}, "cups:write", fresh, layer.Unauthenticated},
	} {
		ran := false
		_, err := action.DoAssured(t.Context(), w.DB, c.who, c.scope, c.needs, func(tx *action.Tx) (int, error) { ran = true; return 0, nil })
		var r *layer.Refusal
		var unmet *layer.Unmet
		switch {
		case c.want == "" && (err != nil || !ran):
			t.Errorf("%s: ran %t, %v", c.name, ran, err)
		case c.want != "" && (ran || !errors.As(err, &r) || r.Reason != c.want):
			t.Errorf("%s: ran %t, got %v, want %s", c.name, ran, err, c.want)
		case errors.As(err, &unmet) != (c.want == layer.Unproven) || unmet != nil && (unmet.Needs != c.needs || r.By != layer.GateAction):
			t.Errorf("%s: the refusal is %v, want one of gate/action that says what would do", c.name, err)
		}
	}
}
