package sandbox

import (
	"context"
	"io"
	"maps"
	"slices"
)

// Marker is the name under which a worker is started.
const Marker = marker

// Without is b with workers that lack some of what protects from them.
func (b *Box) Without(what ...string) *Box {
	less := *b
	less.held, less.omit = nil, nil
	for _, w := range what {
		less.omit = append(less.omit, protection(w))
	}
	return &less
}

// Together is b with workers in no namespaces and of this process's own user.
func (b *Box) Together() *Box {
	less := *b
	less.held = nil
	all := ways()
	less.way = all[len(all)-1]
	return &less
}

// Forgetful is b that remembers another confinement than its workers'.
func (b *Box) Forgetful() *Box {
	other := *b
	other.held = append(slices.Clone(b.held), "more")
	return &other
}

// ReadReply reads what a worker says; for the fuzzer.
func ReadReply(r io.Reader, c Config) (parts [][]byte, answer []byte, name Name) {
	got, fault := readReply(r, c.withDefaults())
	if fault != nil {
		name = fault.Name
	}
	return got.parts, got.answer, name
}

// A Pool is a pool, without workers.
type Pool struct{ p *pool }

// NewPool makes a Pool.
func NewPool(running, waiting int) Pool { return Pool{newPool(running, waiting)} }

// Enter waits for a turn.
func (p Pool) Enter(ctx context.Context) error { return p.p.enter(ctx) }

// Leave ends it.
func (p Pool) Leave() { p.p.leave() }

// Faults are all the names.
var Faults = slices.Sorted(maps.Keys(map[Name]bool{Overworked: true, Exhausted: true, Crashed: true, Forbidden: true, Flooded: true,
	Garbled: true, Silent: true, TimedOut: true, Killed: true, Unstarted: true}))
