package secret

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Bounds of Once: enough for a key or a password, and not so little that it could be guessed.
const (
	fewestBytes = 16
	mostBytes   = 1024
	turnLimit   = 10 * time.Second // how long Once waits for its turn
	leftover    = ".new-"          // files that a crash may leave behind; no secret's name begins so
)

// Once returns the secret of that name and makes it first if it does not exist: n random bytes (16 to 1024), written as
// base64url without padding. Processes that ask at the same time get the same secret. A crash at any moment leaves nothing that
// the next call does not heal: the secret appears in one step, complete and on disk, or not at all.
//
// A file that is empty or holds only zero bytes, as a power cut leaves it, is replaced. A file with any other content is
// somebody's secret and never overwritten, even if it looks cut short: making a new key in place of half of the old one would
// hide the loss of everything that the old one opens. If it is shorter than n random bytes would be, it is refused.
func (d Dir) Once(name string, n int) (Value, error) {
	if err := checkName(name); err != nil {
		return Value{}, err
	}
	if n < fewestBytes || n > mostBytes {
		return Value{}, fmt.Errorf("making secret %q: %d random bytes asked for, %d to %d are allowed", name, n, fewestBytes, mostBytes)
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return Value{}, fmt.Errorf("making folder of secrets: %w", err)
	}
	root, err := d.open()
	if err != nil {
		return Value{}, err
	}
	defer root.Close()
	done, err := d.turn(root)
	if err != nil {
		return Value{}, err
	}
	defer done()
	if err := d.settle(root, name, n); err != nil {
		return Value{}, fmt.Errorf("making secret %q: %w", name, err)
	}
	return d.read(root, name)
}

// settle leaves a complete secret under name. Whoever calls it has the turn.
func (d Dir) settle(root *os.Root, name string, n int) error {
	if err := sweep(root); err != nil {
		return err
	}
	v, err := d.read(root, name)
	if err == nil && !blank(v) {
		return d.checkLength(name, v, n)
	}
	if err == nil || errors.Is(err, errEmpty) {
		if err := root.Remove(name); err != nil {
			return err
		}
		return create(root, name, n)
	}
	if errors.Is(err, ErrNotFound) {
		return create(root, name, n)
	}
	return err
}

// checkLength refuses a secret that is weaker than the caller asked for.
func (d Dir) checkLength(name string, v Value, n int) error {
	if want := base64.RawURLEncoding.EncodedLen(n); len(v.inside()) < want {
		return fmt.Errorf("%s holds %d characters where at least %d are expected; restore it, or remove it to have a new one made",
			filepath.Join(string(d), name), len(v.inside()), want)
	}
	return nil
}

func blank(v Value) bool { return len(bytes.Trim(v.inside(), "\x00")) == 0 }

// create writes the secret under a name that nobody reads and then links it to its own. A link, unlike a rename, never replaces
// a file that somebody who does not wait for a turn, a person for instance, has put there meanwhile.
func create(root *os.Root, name string, n int) error {
	random := make([]byte, n)
	rand.Read(random) // never fails: crypto/rand ends the program instead
	temporary := leftover + rand.Text()
	if err := write(root, temporary, base64.RawURLEncoding.EncodeToString(random)+"\n"); err != nil {
		return err
	}
	defer root.Remove(temporary)
	if err := root.Link(temporary, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(root)
}

func write(root *os.Root, name, content string) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	// On disk before it has its name: after a power cut a name without content would be a secret that nobody knows.
	return errors.Join(err, f.Sync(), f.Close())
}

// sweep removes what a crashed call left behind. Nobody else is writing: the caller has the turn.
func sweep(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), leftover) {
			if err := root.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncFolder(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// turn locks the folder against other calls of Once, here and in other processes. The kernel unlocks it when the holder dies.
func (d Dir) turn(root *os.Root) (done func(), err error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("locking folder of secrets: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), turnLimit)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking folder of secrets %s: %w", d, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("locking folder of secrets %s: another process has held it for %v", d, turnLimit)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
