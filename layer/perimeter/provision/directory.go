package provision

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	temporary   = ".new-"     // begins the name of a file that is not whole yet
	abandoned   = time.Minute // after which such a file belongs to nobody
	maxFileSize = 64 << 10    // of a key or certificate
)

// A directory holds keys. Each file in it appears whole or not at all.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func openDirectory(path string) (directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making key directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("looking at key directory: %w", err)
	}
	// Whoever may write here may replace a key. The files' own permissions keep readers out.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s may be written by others (mode %04o): run chmod 700 on it", path, info.Mode().Perm())
	}
	d := directory(path)
	return d, d.sweep()
}

// sweep removes what an interrupted start left behind.
func (d directory) sweep() error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return fmt.Errorf("reading key directory: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), temporary) && time.Since(info.ModTime()) > abandoned {
			os.Remove(d.path(e.Name())) // it harms nobody if it stays
		}
	}
	return nil
}

func (d directory) exists(name string) bool {
	_, err := os.Lstat(d.path(name))
	return err == nil
}

// secret returns a private file's content, made by generate if there is none. One that others can read is refused: its key may be
// known already, and only a person can decide that it is not.
func (d directory) secret(name string, generate func() ([]byte, error)) ([]byte, error) {
	return d.read(name, 0o600, generate)
}

// public returns a certificate file's content, made by generate if there is none.
func (d directory) public(name string, generate func() ([]byte, error)) ([]byte, error) {
	return d.read(name, 0o644, generate)
}

// pair returns the certificate and key in one private file.
func (d directory) pair(name string, generate func() ([]byte, error)) (*tls.Certificate, error) {
	content, err := d.secret(name, generate)
	if err != nil {
		return nil, err
	}
	pair, err := parsePair(content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.path(name), err)
	}
	return pair, nil
}

func (d directory) read(name string, mode fs.FileMode, generate func() ([]byte, error)) ([]byte, error) {
	content, err := d.load(name, mode)
	if !errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	fresh, err := generate()
	if err != nil {
		return nil, err
	}
	if err := d.create(name, fresh, mode); err != nil {
		return nil, err
	}
	return d.load(name, mode) // perhaps another process was first; then its file holds
}

func (d directory) load(name string, mode fs.FileMode) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", d.path(name), err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s is not a file of keys", d.path(name))
	}
	if has := info.Mode().Perm(); runtime.GOOS != "windows" && has&^mode != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so that others may have read or changed it: replace it, or run chmod %04o on it if you are sure that nobody did",
			d.path(name), has, mode)
	}
	return io.ReadAll(io.LimitReader(f, maxFileSize))
}

// create writes a file that must not exist. A hard link, unlike a rename, never replaces what another process has just made;
// losing that race is not an error.
func (d directory) create(name string, content []byte, mode fs.FileMode) error {
	return d.write(name, content, mode, func(from, to string) error {
		if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// replace writes a file over an old one.
func (d directory) replace(name string, content []byte, mode fs.FileMode) error {
	return d.write(name, content, mode, os.Rename)
}

func (d directory) write(name string, content []byte, mode fs.FileMode, place func(from, to string) error) (err error) {
	f, err := os.CreateTemp(string(d), temporary+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.path(name), err)
	}
	defer os.Remove(f.Name()) // after a rename, there is nothing to remove
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = place(f.Name(), d.path(name))
	}
	if err == nil {
		err = d.sync()
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.path(name), err)
	}
	return nil
}

// sync makes a new name in the directory outlast a power failure.
func (d directory) sync() error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be opened for it there
	}
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
