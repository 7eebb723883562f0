package perimeter

import (
	"errors"
	"sync"
	"time"
)

var (
	errReplayed = errors.New("the assertion was used before")
	errFull     = errors.New("no further assertion can be remembered")
)

// A memory knows what it was told during the last keep, up to a number of things. It never forgets early: when it is full it
// refuses, because forgetting would let an assertion be used twice.
type memory struct {
	keep  time.Duration
	limit int

	mu    sync.Mutex
	known map[string]struct{}
	queue []remembered // in the order of arrival, from first on
	first int
}

type remembered struct {
	id    string
	until time.Time
}

func newMemory(limit int, keep time.Duration) *memory {
	return &memory{keep: keep, limit: limit, known: map[string]struct{}{}}
}

// once remembers id, or says why it will not.
func (m *memory) once(id string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if _, ok := m.known[id]; ok {
		return errReplayed
	}
	if len(m.known) >= m.limit {
		return errFull
	}
	m.known[id] = struct{}{}
	m.queue = append(m.queue, remembered{id, now.Add(m.keep)})
	return nil
}

// forget drops what is old, and moves the queue to its beginning once half of it is spent.
func (m *memory) forget(now time.Time) {
	for m.first < len(m.queue) && !now.Before(m.queue[m.first].until) {
		delete(m.known, m.queue[m.first].id)
		m.queue[m.first] = remembered{}
		m.first++
	}
	if m.first > len(m.queue)/2 {
		n := copy(m.queue, m.queue[m.first:])
		clear(m.queue[n:])
		m.queue, m.first = m.queue[:n], 0
	}
}
