package layer

import (
	"fmt"
	"strings"
	"time"
)

// An Assurance says how recently and how well a person must have proved to the identity provider who they are, before something
// that cannot be undone (SYSTEM I6). It is a noun: the gates that hold somebody to it share no code. The zero Assurance asks for
// nothing beyond a living session.
type Assurance struct {
	Within time.Duration // since they last proved it; zero is any time
	Level  string        // that the provider's acr or amr must say, such as "mfa"; empty is any
	Keys   bool          // whether programs pass, which cannot prove anything again; else it needs a person at a browser
}

// Asks reports whether a asks for anything.
func (a Assurance) Asks() bool { return a.Within != 0 || a.Level != "" }

// String is for golden files and messages: "fresh 5m", "fresh 5m, mfa, keys too"; empty for nothing.
func (a Assurance) String() string {
	var words []string
	if a.Within != 0 {
		words = append(words, fmt.Sprintf("fresh %gm", a.Within.Minutes()))
	}
	if a.Level != "" {
		words = append(words, a.Level)
	}
	if a.Keys {
		words = append(words, "keys too")
	}
	return strings.Join(words, ", ")
}

// An Unmet is the cause of a refusal that is Unproven: it says what would do, so that the person can be led to prove it.
type Unmet struct {
	Needs Assurance
	Err   error // what is unmet, for the log
}

// Error implements error.
func (u *Unmet) Error() string { return fmt.Sprintf("%v (needs %s)", u.Err, u.Needs) }

// Unwrap gives Err to errors.Is.
func (u *Unmet) Unwrap() error { return u.Err }
