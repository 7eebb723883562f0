package postgres

import (
	"strings"
	"sync"
)

// A tail keeps the last bytes written to it, for errors: a server that does not start says why in its last lines.
type tail struct {
	keep int
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if excess := len(t.last) - t.keep; excess > 0 {
		t.last = append(t.last[:0], t.last[excess:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
