package page_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/page"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

var key = []byte(strings.Repeat("k", 32))

// state is a living session of Alice's at Acme, whose claims carry groups.
func state(groups ...string) page.State {
	text, err := json.Marshal(map[string]any{"organization": "acme", "groups": groups})
	if err != nil {
		panic(err)
	}
	return seal(page.State{Hash: []byte("hash"), Claims: text, Organization: "acme", Profile: "alice", Live: true}, key)
}

// seal writes the seal by the letter of the gate's comment, not by its code.
func seal(s page.State, key []byte) page.State {
	mac := hmac.New(sha256.New, key)
	mac.Write(slices.Concat([]byte("redoubt session claims\x00"), s.Hash, s.Claims))
	s.MAC = mac.Sum(nil)
	return s
}

func TestTheSessionIsReadAgain(t *testing.T) { // SYSTEM A2, I3
	g, err := page.New(page.Config{Key: key, Administers: func(groups []string, org layer.OrgID) bool { return slices.Contains(groups, "admins:"+string(org)) }})
	if err != nil {
		t.Fatal(err)
	}
	alice := mint.Principal(mint.Facts{Profile: "alice", Organization: "acme", Kind: "session", Credential: "c"}).(layer.Principal)
	forgedAdmin := mint.Principal(mint.Facts{Profile: "alice", Organization: "acme", Kind: "session", Credential: "c", Administrator: true}).(layer.Principal)
	change := func(f func(*page.State)) page.State { s := state("admins:acme"); f(&s); return s }
	cases := []struct {
		name   string
		who    layer.Principal
		state  page.State
		admins bool // the page is for administrators
		want   layer.Reason
		is     bool // an administrator
	}{
		{"a member", alice, state(), false, "", false},
		{"an administrator", alice, state("admins:acme"), false, "", true},
		{"an administrator on a page for them", alice, state("x", "admins:acme"), true, "", true},
		{"a member on a page for administrators", alice, state(), true, layer.NotFound, false},
		{"a Principal that says administrator, and claims that do not", forgedAdmin, state(), true, layer.NotFound, false},
		{"an administrator of another organization", alice, state("admins:globex"), true, layer.NotFound, false},
		{"nobody", layer.Principal{}, state(), false, layer.Unauthenticated, false},
		{"a session that has ended", alice, change(func(s *page.State) { s.Live = false }), false, layer.Unauthenticated, false},
		{"another organization's session", alice, change(func(s *page.State) { s.Organization = "globex" }), false, layer.Unauthenticated, false},
		{"another member's session", alice, change(func(s *page.State) { s.Profile = "bob" }), false, layer.Unauthenticated, false},
		{"altered claims", alice, change(func(s *page.State) { s.Claims = []byte(`{"organization":"acme","groups":["admins:acme"]} `) }), false, layer.Unauthenticated, false},
		{"claims of another row", alice, change(func(s *page.State) { s.Hash = []byte("other") }), false, layer.Unauthenticated, false},
		{"claims sealed with another key", alice, seal(state("admins:acme"), []byte(strings.Repeat("x", 32))), false, layer.Unauthenticated, false},
		{"no seal", alice, change(func(s *page.State) { s.MAC = nil }), false, layer.Unauthenticated, false},
		{"authentic claims that are no JSON", alice, seal(change(func(s *page.State) { s.Claims = []byte("x") }), key), true, layer.NotFound, false},
		{"authentic claims for another organization", alice,
			seal(change(func(s *page.State) { s.Claims = []byte(`{"organization":"globex","groups":["admins:acme"]}`) }), key), true, layer.NotFound, false},
	}
	for _, c := range cases {
		is, err := g.Check(t.Context(), c.who, c.admins, func(context.Context, layer.Principal) (page.State, error) { return c.state, nil })
		var r *layer.Refusal
		switch {
		case c.want == "" && (err != nil || is != c.is):
			t.Errorf("%s: got %t %v, want %t", c.name, is, err, c.is)
		case c.want != "" && (!errors.As(err, &r) || r.By != layer.GatePage || r.Reason != c.want || is):
			t.Errorf("%s: got %t %v, want %s", c.name, is, err, c.want)
		}
	}
	down := errors.New("down")
	if is, err := g.Check(t.Context(), alice, false, func(context.Context, layer.Principal) (page.State, error) { return state("admins:acme"), down }); is || !errors.Is(err, down) {
		t.Errorf("a store that does not answer: %t %v", is, err)
	}
}

func TestAGateNeedsItsKey(t *testing.T) {
	admins := func([]string, layer.OrgID) bool { return true }
	for _, cfg := range []page.Config{{}, {Key: key}, {Key: key[:31], Administers: admins}} {
		if _, err := page.New(cfg); err == nil {
			t.Errorf("%v was accepted", cfg.Key)
		}
	}
}
