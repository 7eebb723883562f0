package acme

import (
	"context"
	"time"
)

// Times are the limits in time that tests meet; zero leaves one as it is.
type Times struct {
	Look, Soon, Later, Advise, MinAge time.Duration
}

// NewIn is New with other times.
func NewIn(c Config, t Times) (*Manager, error) {
	all := usual
	for _, change := range []struct{ to, most, from *time.Duration }{
		{&all.look, nil, &t.Look}, {&all.soon, &all.soonMost, &t.Soon}, {&all.later, &all.laterMost, &t.Later}, {&all.advise, &all.adviseMost, &t.Advise}, {&all.minAge, nil, &t.MinAge},
	} {
		if *change.from == 0 {
			continue
		}
		*change.to = *change.from
		if change.most != nil {
			*change.most = *change.from
		}
	}
	return newManager(c, all)
}

// Pause is how long is waited after so many failures.
func (m *Manager) Pause(err error, failures int) time.Duration { return m.pause(err, failures) }

// IsToken and IsHost are for their own tests.
var IsToken, IsHost = isToken, isHost

// Lock takes a lock of the folder.
func (m *Manager) Lock(ctx context.Context, name string) (func(), error) {
	return m.locks.lock(ctx, name)
}

// Open makes a certificate of an entry.
func Open(host, chain string, key []byte) (bool, error) {
	c, err := entry{Host: host, Chain: chain, Key: key}.open(time.Now())
	return c != nil && c.cert.Leaf != nil, err
}
