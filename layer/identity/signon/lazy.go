package signon

import (
	"context"
	"sync"
	"time"
)

// The waits after a failed fetch double from the first to the last.
const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
	fetchTime = patience
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
	case <-ctx.Done():
		var none T
		return none, unreachable("waiting for another visitor's question", ctx.Err())
	}
	// Whoever had the turn before may have fetched what is wanted here.
	if value, err, done := l.cached(asked, maxAge); done {
		<-l.turn
		return value, err
	}
	done := make(chan answer[T], 1)
	go func() {
		value, err := l.ask(context.WithoutCancel(ctx))
		<-l.turn
		done <- answer[T]{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, unreachable("waiting for it", ctx.Err())
	}
}

type answer[T any] struct {
	value T
	err   error
}

// ask fetches, with a limit of its own: a visitor who goes away must not look like a provider that is down, and what was fetched
// for them serves the next. A parser that panics over what a provider sends must not end the program.
func (l *lazy[T]) ask(ctx context.Context) (value T, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	defer func() {
		if recover() != nil {
			value, err = l.keep(value, unreachable("reading it", errAnswer))
		}
	}()
	value, err = l.fetch(ctx)
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
