// Package page is the second gate, at the moment of rendering (SYSTEM A2). It reads the session again from its store, and the
// role again from the claims, which it authenticates itself: it does not believe the Principal that the first gate let through.
//
// # What it assumes has failed
//
// The route was declared too widely; the session was ended, or the member stopped, while the handler was at work; a row of the
// session store was altered to make an administrator.
//
// # What it stops
//
// A page reaching a browser whose session no longer lives, or whose claims are not authentic, or that is meant for
// administrators alone.
//
// # What it does not stop
//
// Anything that does not render: a mutation is the third gate's.
//
// # How it is knocked out in a drill
//
// Pages render without asking it.
//
// # Example
//
//	gate, err := page.New(page.Config{Key: claimsKey, Administers: administers})
//	administrator, err := gate.Check(ctx, who, true, store.State) // a page for administrators
package page

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
)

// A State is what the session store says of one session, now.
type State struct {
	Hash         []byte // the session's key in the store
	Claims, MAC  []byte // as they were written at sign-in
	Organization layer.OrgID
	Profile      layer.ProfileID
	Live         bool // not revoked, not expired, the member and the organization active
}

// Config says what the gate asks.
type Config struct {
	// Key authenticates claims; required, at least 32 bytes. The store does not have it.
	Key []byte
	// Administers says whether these groups, of the identity provider's, administer the organization; required.
	Administers func(groups []string, org layer.OrgID) bool
}

// A Gate may be used concurrently.
type Gate struct{ cfg Config }

// New makes a Gate.
func New(cfg Config) (*Gate, error) {
	if len(cfg.Key) < 32 || cfg.Administers == nil {
		return nil, errors.New("page gate: a Key of at least 32 bytes and Administers are required")
	}
	return &Gate{cfg}, nil
}

var (
	errStranger = errors.New("nobody is signed in")
	errEnded    = errors.New("the session has ended since the route was checked")
	errForged   = errors.New("the claims are not authentic")
	errChanged  = errors.New("the session belongs to another member or organization than the Principal")
	errNoAdmin  = errors.New("the claims make no administrator")
)

// Check reads the session again, and refuses unless it lives, is who's, and carries authentic claims; and, for a page meant for
// administrators alone, unless the claims make one. It reports whether they do. read asks the session store by who's credential.
func (g *Gate) Check(ctx context.Context, who layer.Principal, administratorsOnly bool, read func(context.Context, layer.Principal) (State, error)) (administrator bool, err error) {
	if who.Nobody() {
		return false, refuse(layer.Unauthenticated, "Please sign in.", errStranger)
	}
	state, err := read(ctx, who)
	if err != nil {
		return false, err
	}
	switch {
	case !state.Live:
		return false, refuse(layer.Unauthenticated, "Your session has ended. Please sign in again.", errEnded)
	case state.Organization != who.Organization() || state.Profile != who.Profile():
		return false, refuse(layer.Unauthenticated, "Please sign in again.", errChanged)
	case !g.authentic(state):
		return false, refuse(layer.Unauthenticated, "Please sign in again.", errForged)
	}
	administrator = g.administrator(state)
	if administratorsOnly && !administrator {
		return false, refuse(layer.NotFound, "There is nothing here.", errNoAdmin)
	}
	return administrator, nil
}

// authentic recomputes the seal of the claims: HMAC-SHA-256 over a label, the session's hash and the claims. The hash binds
// them to this session, so that claims copied from another row fail.
func (g *Gate) authentic(s State) bool {
	mac := hmac.New(sha256.New, g.cfg.Key)
	mac.Write([]byte("redoubt session claims\x00"))
	mac.Write(s.Hash)
	mac.Write(s.Claims)
	return hmac.Equal(mac.Sum(nil), s.MAC)
}

func (g *Gate) administrator(s State) bool {
	var claims struct {
		Organization layer.OrgID `json:"organization"`
		Groups       []string    `json:"groups"`
	}
	if json.Unmarshal(s.Claims, &claims) != nil || claims.Organization != s.Organization {
		return false
	}
	return g.cfg.Administers(claims.Groups, s.Organization)
}

func refuse(reason layer.Reason, public string, cause error) error {
	return &layer.Refusal{By: layer.GatePage, Reason: reason, Public: public, Cause: cause}
}
