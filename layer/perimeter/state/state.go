// Package state keeps what the edges of one deployment have to agree on, in a folder that they share: which connectors are enrolled,
// which invitations and sign-in links are still unused, which sessions have ended. Every entry is a file that appears whole or not at
// all, so that the folder may lie on this machine or on a file system that several edges mount.
//
// # What it assumes has failed
//
// The process, between any two system calls; several processes do the same thing at once. The umask.
//
// # What it stops
//
// Using a thing twice: of those who Take an entry, one gets it. An entry that others on the machine can read or change: it is
// refused by its name. A folder that fills up: each drawer has a greatest number of entries, beyond which nothing is added.
//
// # What it does not stop
//
// Whoever runs as the same user, or as root, reads and writes everything here. A clock that is wrong ends entries early or late.
//
// # How it is knocked out in a drill
//
// Entries are files: the drill removes, restores or opens them, and expects the edge to refuse what it can no longer know.
//
// # Example
//
//	folder, err := state.Open("/var/lib/redoubt/edge")
//	links, err := folder.Drawer("sign-in", 10_000)
//	err = links.Create(key, content, time.Now().Add(10*time.Minute))
//	content, err = links.Take(key) // once
package state

import (
	"encoding/hex"
	"encoding/json"
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

// Limits.
const (
	MaxEntry = 64 << 10    // bytes of one entry's content
	MaxKey   = 64          // bytes of a key
	abandon  = time.Minute // after which a file that is not whole belongs to nobody
	linger   = time.Minute // of an entry that is over, so that sweeping it cannot meet one that takes its place
)

const temporary = ".new-" // begins the name of a file that is not whole yet

var (
	// ErrNone means that there is no such entry, or that its time is over, or that somebody else took it.
	ErrNone = errors.New("there is no such entry")
	// ErrExists means that there is an entry with this key already.
	ErrExists = errors.New("there is such an entry already")
	// ErrFull means that the drawer holds as many entries as it may.
	ErrFull = errors.New("no further entry can be kept")
)

// A Folder is a deployment's. It may be used concurrently, and by several processes.
type Folder struct{ path string }

// Open opens the folder, and makes it if it is missing. One that others may write to is refused.
func Open(path string) (*Folder, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("opening the edge's folder: %w", err)
	}
	return &Folder{path}, nil
}

// Path is where the folder lies.
func (f *Folder) Path() string { return f.path }

func private(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written by others (mode %04o): run chmod 700 on it", path, info.Mode().Perm())
	}
	return nil
}

// A Drawer holds entries of one kind.
type Drawer struct {
	path  string
	limit int
}

// Drawer opens the drawer of this name, of up to limit entries.
func (f *Folder) Drawer(name string, limit int) (*Drawer, error) {
	d := &Drawer{filepath.Join(f.path, name), limit}
	if err := private(d.path); err != nil {
		return nil, fmt.Errorf("opening the edge's folder: %w", err)
	}
	return d, d.Sweep(time.Now())
}

// An Entry is one that lives.
type Entry struct {
	Key     string
	Content []byte
	Until   time.Time // when it ends; zero for never
}

type stored struct {
	Until   time.Time `json:"until,omitzero"`
	Content []byte    `json:"content"`
}

// file is where the entry lies. Keys are written in hexadecimal: whatever they hold, they name a file in this drawer.
func (d *Drawer) file(key string) string {
	return filepath.Join(d.path, hex.EncodeToString([]byte(key)))
}

// Create adds an entry, until the given time or, if that is zero, for good. A hard link, unlike a rename, never replaces what
// another process has just made. A key is free again once its entry has been swept, not before.
func (d *Drawer) Create(key string, content []byte, until time.Time) error {
	if err := d.room(); err != nil {
		return err
	}
	return d.write(key, content, until, func(from, to string) error {
		if err := os.Link(from, to); errors.Is(err, fs.ErrExist) {
			return ErrExists
		} else if err != nil {
			return err
		}
		return nil
	})
}

// Put adds an entry or replaces the one with the same key.
func (d *Drawer) Put(key string, content []byte, until time.Time) error {
	if _, err := os.Lstat(d.file(key)); err != nil {
		if err := d.room(); err != nil {
			return err
		}
	}
	return d.write(key, content, until, os.Rename)
}

// room is ErrFull if there is none, after what is over has been swept.
func (d *Drawer) room() error {
	n, err := d.count()
	if err != nil || n < d.limit {
		return err
	}
	if err := d.Sweep(time.Now()); err != nil {
		return err
	}
	if n, err = d.count(); err == nil && n >= d.limit {
		return ErrFull
	}
	return err
}

func (d *Drawer) count() (int, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return 0, fmt.Errorf("reading the edge's folder: %w", err)
	}
	return len(entries), nil
}

// Get returns the entry's content, if it lives.
func (d *Drawer) Get(key string) ([]byte, error) {
	if len(key) > MaxKey {
		return nil, ErrNone
	}
	e, err := d.read(d.file(key))
	if err != nil {
		return nil, err
	}
	return e.Content, nil
}

// Take returns the entry's content and removes it. Of several who try, one succeeds: who removes the file.
func (d *Drawer) Take(key string) ([]byte, error) {
	content, err := d.Get(key)
	if err != nil {
		return nil, err
	}
	switch err := os.Remove(d.file(key)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNone
	case err != nil:
		return nil, fmt.Errorf("taking an entry of the edge's folder: %w", err)
	}
	return content, nil
}

// Delete removes an entry, if it is there.
func (d *Drawer) Delete(key string) error {
	if err := os.Remove(d.file(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an entry of the edge's folder: %w", err)
	}
	return nil
}

// List returns the entries that live.
func (d *Drawer) List() ([]Entry, error) {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("reading the edge's folder: %w", err)
	}
	var all []Entry
	for _, f := range files {
		key, err := hex.DecodeString(f.Name())
		if err != nil {
			continue // not whole yet
		}
		e, err := d.read(filepath.Join(d.path, f.Name()))
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e.Key = string(key)
		all = append(all, e)
	}
	return all, nil
}

// Keys returns the keys of the entries, those included whose time is over and that have not been swept. It opens none of them.
func (d *Drawer) Keys() ([]string, error) {
	dir, err := os.Open(d.path)
	if err != nil {
		return nil, fmt.Errorf("reading the edge's folder: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading the edge's folder: %w", err)
	}
	keys := make([]string, 0, len(names))
	for _, name := range names {
		if key, err := hex.DecodeString(name); err == nil { // another is not whole yet
			keys = append(keys, string(key))
		}
	}
	return keys, nil
}

// Changed is when an entry last came or went, by the file system's clock and as finely as that tells time.
func (d *Drawer) Changed() (time.Time, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the edge's folder: %w", err)
	}
	return info.ModTime(), nil
}

// Sweep removes what is over, and what an interrupted process left behind.
func (d *Drawer) Sweep(now time.Time) error {
	files, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("reading the edge's folder: %w", err)
	}
	for _, f := range files {
		at := filepath.Join(d.path, f.Name())
		if strings.HasPrefix(f.Name(), temporary) {
			if info, err := f.Info(); err == nil && now.Sub(info.ModTime()) > abandon {
				os.Remove(at)
			}
			continue
		}
		if e, err := d.read(at); errors.Is(err, ErrNone) && !e.Until.IsZero() && now.Sub(e.Until) > linger {
			os.Remove(at) // it harms nobody if it stays
		}
	}
	return nil
}

func (d *Drawer) read(at string) (Entry, error) {
	f, err := os.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, ErrNone
	}
	if err != nil {
		return Entry{}, fmt.Errorf("reading the edge's folder: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Entry{}, fmt.Errorf("reading the edge's folder: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return Entry{}, fmt.Errorf("%s has mode %04o, so that others may have read or changed it: remove it", at, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(f, 2*MaxEntry))
	var s stored
	if err = errors.Join(err, json.Unmarshal(content, &s)); err != nil {
		return Entry{}, fmt.Errorf("%s cannot be read: remove it", at)
	}
	if !s.Until.IsZero() && !time.Now().Before(s.Until) {
		return Entry{Until: s.Until}, ErrNone
	}
	return Entry{Content: s.Content, Until: s.Until}, nil
}

func (d *Drawer) write(key string, content []byte, until time.Time, place func(from, to string) error) (err error) {
	if key == "" || len(key) > MaxKey || len(content) > MaxEntry {
		return errors.New("writing to the edge's folder: the entry is too large, or has no name")
	}
	body, err := json.Marshal(stored{until, content})
	if err != nil {
		return fmt.Errorf("writing to the edge's folder: %w", err)
	}
	f, err := os.CreateTemp(d.path, temporary+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing to the edge's folder: %w", err)
	}
	defer os.Remove(f.Name()) // after a rename, there is nothing to remove
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = place(f.Name(), d.file(key))
	}
	if err == nil {
		err = syncFolder(d.path)
	}
	if err != nil {
		return fmt.Errorf("writing to the edge's folder: %w", err)
	}
	return nil
}

// syncFolder makes a new name outlast a power failure.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be opened for it there
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
