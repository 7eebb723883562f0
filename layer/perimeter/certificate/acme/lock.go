package acme

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// lockEvery is how often a lock that somebody holds is tried again.
const lockEvery = 100 * time.Millisecond

// locks keep edges apart that would order the same certificate. The kernel holds them, so that they end with the process that has one,
// however it ends.
type locks struct {
	path string
	own  *sync.Map // of those in this process, because the kernel's belong to a process or to a file, depending on the system
}

func openLocks(folder, name string) (locks, error) {
	l := locks{filepath.Join(folder, name), &sync.Map{}}
	if err := os.MkdirAll(l.path, 0o700); err != nil {
		return l, fmt.Errorf("making the folder of locks: %w", err)
	}
	return l, nil
}

// lock waits until the lock of this name is ours, or ctx ends. Its file stays: to remove one that others may be opening is to have two.
func (l locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	mine, _ := l.own.LoadOrStore(name, make(chan struct{}, 1))
	place := mine.(chan struct{})
	select {
	case place <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := l.lockFile(ctx, name)
	if err != nil {
		<-place
		return nil, err
	}
	return func() { f.Close(); <-place }, nil
}

func (l locks) lockFile(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(l.path, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	for {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("taking a lock: %w", err)
		}
		if ok {
			return f, nil
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}
