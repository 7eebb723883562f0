//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package acme

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock of an open file, which ends when it is closed.
func tryLock(f *os.File) (bool, error) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	default:
		return false, err
	}
}
