// Package sessions is the model of the list of the viewer's own sessions, GET /sessions (SYSTEM I5).
package sessions

import "time"

// A View lists the living sessions, the current one first. Its forms are POST /sessions/{id}/revoke and
// POST /sessions/revoke-others.
type View struct {
	Sessions []Session
}

// A Session is one browser that is signed in.
type Session struct {
	ID           string // the public identifier, not the secret
	Agent        string // the User-Agent header as it came; only Device's fixed words are shown
	Address      string // where it was opened from; empty if nobody knows
	SeenAddress  string // where it was last used from
	Organization string // in which it is
	Provider     string // where the person signed in; empty if there is but one place
	SignedIn     time.Time
	Seen         time.Time // last seen
	Ends         time.Time // at the latest
	Current      bool      // the session that asks
}

// Moved reports whether it is used from elsewhere than it was opened from: a train does that, and so does a thief.
func (s Session) Moved() bool {
	return s.Address != "" && s.SeenAddress != "" && s.Address != s.SeenAddress
}

// Others counts the sessions besides the current one.
func (v View) Others() int {
	n := 0
	for _, s := range v.Sessions {
		if !s.Current {
			n++
		}
	}
	return n
}

// Device says in a few words which browser on which system this is.
func (s Session) Device() string { return Device(s.Agent) }

// Handheld reports whether it looks like a phone or a tablet.
func (s Session) Handheld() bool { return Handheld(s.Agent) }
