package drill

import (
	"bytes"
	"errors"
)

// The marks between which a README shows what the last drill found.
const (
	markBegin = "<!-- drill: written by `redoubt drill --docs docs` -->\n"
	markEnd   = "<!-- /drill -->\n"
)

var errNoMarks = errors.New("README.md has no place for the matrix")

// between puts found in place of what is between the marks.
func between(readme, found []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(markBegin))
	_, after, closed := bytes.Cut(rest, []byte(markEnd))
	if !ok || !closed {
		return nil, errNoMarks
	}
	return bytes.Join([][]byte{before, []byte(markBegin), found, []byte(markEnd), after}, nil), nil
}
