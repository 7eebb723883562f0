// Package secret hands out secrets from files and from the environment through one interface, so that the rest of the program
// neither knows nor cares where an operator keeps them, and so that a secret in hand is a Value, which does not print itself
// (SYSTEM S3).
//
// The operator and the account that runs the program are trusted; other accounts of the machine are not. A secret that others
// could have read or replaced is therefore refused, with an error that names the file and never its content. Only a secret that
// is plainly absent is reported as ErrNotFound: everything else stops a chain made by First, because a program that goes on with
// the second-best secret has been talked into it.
package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Store looks secrets up by name. Names are 1 to 64 of a-z, 0-9 and '-'. A store that has no such secret answers with an error
// that wraps ErrNotFound; any other error means that the secret may exist and must not be replaced by a guess.
type Store interface {
	Get(ctx context.Context, name string) (Value, error)
}

// ErrNotFound says that a store holds no secret of that name.
var ErrNotFound = errors.New("no such secret")

// Limit is the size in bytes of the largest secret that any store reads: room for a certificate chain, not for a mistake.
const Limit = 64 << 10

const longestName = 64

// First asks the stores in turn and answers with the first secret found. An error other than ErrNotFound ends the search: an
// unreadable override must not silently fall back to a default.
func First(stores ...Store) Store { return chain(stores) }

type chain []Store

func (c chain) Get(ctx context.Context, name string) (Value, error) {
	if err := checkName(name); err != nil {
		return Value{}, err
	}
	for _, s := range c {
		v, err := s.Get(ctx, name)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return v, err
		}
	}
	return Value{}, notFound(name)
}

func notFound(name string) error { return fmt.Errorf("looking up secret %q: %w", name, ErrNotFound) }

// checkName keeps names away from paths, hidden files and the shell. The name itself is not repeated in the error: a caller that
// mixes up its arguments would otherwise print the secret.
func checkName(name string) error {
	if name == "" || len(name) > longestName {
		return fmt.Errorf("looking up a secret: its name has %d characters, 1 to %d are allowed", len(name), longestName)
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("looking up a secret: its name may hold only a-z, 0-9 and '-'")
	}
	return nil
}

// value makes a Value of what a file or variable holds. One line end at the end belongs to the editor, not to the secret.
func value(from string, content []byte) (Value, error) {
	if len(content) > Limit {
		return Value{}, fmt.Errorf("reading secret from %s: it is larger than %d bytes", from, Limit)
	}
	content = bytes.TrimSuffix(content, []byte("\n"))
	content = bytes.TrimSuffix(content, []byte("\r"))
	if len(content) == 0 {
		return Value{}, fmt.Errorf("reading secret from %s: %w", from, errEmpty)
	}
	return New(content), nil
}

// errEmpty is not ErrNotFound: somebody meant to put a secret there.
var errEmpty = errors.New("it is empty")
