package signon

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// The waits after a failed fetch double from the first to the last.
const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
	fetchTime = 10 * time.Second
)

// A lazy value is fetched when it is first needed and kept. One caller fetches at a time and the others wait for it. After a
// failure nobody asks the provider again until a wait is over, so that a provider that is down is neither hammered nor waited
// for by every visitor.
type lazy[T any] struct {
	fetch      func(context.Context) (T, error)
	now        func() time.Time
	serveStale bool          // an old value serves while a new one cannot be had
	turn       chan struct{} // holds one token: whoever has it may fetch

	mu       sync.Mutex // guards all below
	value    T
	at       time.Time // when value was fetched; zero for never
	err      error     // of the last fetch
	failures int
	retry    time.Time // no fetch before
}

func newLazy[T any](now func() time.Time, fetch func(context.Context) (T, error)) *lazy[T] {
	return &lazy[T]{fetch: fetch, now: now, turn: make(chan struct{}, 1)}
}

// get returns a value that is at most maxAge old.
func (l *lazy[T]) get(ctx context.Context, maxAge time.Duration) (T, error) {
	asked := l.now()
	if value, err, done := l.cached(asked, maxAge); done {
		return value, err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: waiting for another fetch: %w", ErrUnreachable, ctx.Err())
	}
	// Whoever had the turn before may have fetched what is wanted here.
	if value, err, done := l.cached(asked, maxAge); done {
		return value, err
	}
	// A visitor who goes away must not look like a provider that is down, so the fetch has a limit of its own.
	fetching, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	value, err := l.fetch(fetching)
	return l.keep(value, err)
}

// cached returns what is known at a time, and whether that is an answer.
func (l *lazy[T]) cached(now time.Time, maxAge time.Duration) (value T, err error, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.at.IsZero() && (now.Sub(l.at) < maxAge || l.at.After(now)):
		return l.value, nil, true
	case !now.Before(l.retry):
		return l.value, nil, false
	case l.serveStale && !l.at.IsZero():
		return l.value, nil, true
	default:
		return value, l.err, true
	}
}

func (l *lazy[T]) keep(value T, err error) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if err == nil {
		l.value, l.at, l.err, l.failures, l.retry = value, now, nil, 0, time.Time{}
		return value, nil
	}
	l.err = err
	l.retry = now.Add(min(firstWait<<min(l.failures, 10), lastWait))
	l.failures++
	if l.serveStale && !l.at.IsZero() {
		return l.value, nil
	}
	return value, err
}
