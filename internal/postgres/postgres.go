// Package postgres finds PostgreSQL on this machine and runs a private server of it, so that `redoubt up`, the drill and the
// tests need nothing installed by hand and nothing configured.
//
// The server listens on a Unix socket only, in a folder that only its own account may enter, and asks for a password (SCRAM)
// even there. It never runs as root. It writes neither statements nor parameters to its log. It dies with the process that
// started it, even if that is killed, and a cluster that died in any way starts again. PostgreSQL 15 or later is required.
//
// It is for one machine: a production system of more than one gives Redoubt the address of its own server instead.
package postgres

import (
	"errors"
	"fmt"
	"runtime"
)

// Oldest is the oldest major version that is taken: row security on views' invoker, MERGE and FILE_COPY came with it.
const Oldest = 15

// An Error is a problem that a person can mend, with the sentence that mends it.
type Error struct {
	Problem error
	Advice  string // what to do, in words or commands
}

// Error implements error.
func (e *Error) Error() string { return e.Problem.Error() }

// Unwrap gives Problem to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Problem }

// Hint is what to do about it; the command line prints it after the error.
func (e *Error) Hint() string { return e.Advice }

func problem(advice, format string, args ...any) error {
	return &Error{Problem: fmt.Errorf(format, args...), Advice: advice}
}

// ErrNotFound says that no usable PostgreSQL is on this machine.
var ErrNotFound = errors.New("no PostgreSQL 15 or later found")

// installAdvice names the command for each usual system; a person knows which is theirs.
func installAdvice() string {
	if runtime.GOOS == "darwin" {
		return "install it: brew install postgresql@18"
	}
	return "install it: apt-get install postgresql (Debian, Ubuntu) · dnf install postgresql-server (Fedora, RHEL) · " +
		"brew install postgresql@18 (Homebrew); or name its folder of programs in REDOUBT_PG_BIN"
}
