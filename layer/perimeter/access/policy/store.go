package policy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultEvery is how often a Store looks at its files.
const DefaultEvery = time.Second

// A Store holds the policies that are in force, and takes new ones while it runs.
type Store struct {
	names   Names
	paths   []string
	current atomic.Pointer[Set]
	applied [sha256.Size]byte
}

// Open reads policies from files, and from the files *.cedar of folders. It fails if there is any problem: an edge does not start
// with half a policy.
func Open(names Names, paths ...string) (*Store, error) {
	s := &Store{names: names, paths: paths}
	files, hash, err := gather(paths)
	if err != nil {
		return nil, err
	}
	set, err := Parse(names, files)
	if err != nil {
		return nil, err
	}
	s.applied = hash
	s.current.Store(set)
	return s, nil
}

// Set is what is in force at the moment.
func (s *Store) Set() *Set { return s.current.Load() }

// Watch, called once, looks at the files again and again until ctx ends; every zero means DefaultEvery. A change is applied once the files have
// been the same twice in a row, so that no half-written file counts, which might lack the rule that shuts out. What has a problem
// is not applied at all: the policies that were in force stay. Told, which may be nil, hears of each change once: nil when it is in
// force, its problems when it is not.
func (s *Store) Watch(ctx context.Context, every time.Duration, told func(error)) {
	if every <= 0 {
		every = DefaultEvery
	}
	if told == nil {
		told = func(error) {}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	w := watcher{store: s, told: told, seen: s.applied, judged: s.applied}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look()
		}
	}
}

// A watcher remembers what it saw last, and what it has said something about.
type watcher struct {
	store        *Store
	told         func(error)
	seen, judged [sha256.Size]byte
}

func (w *watcher) look() {
	files, hash, err := gather(w.store.paths)
	if err != nil {
		hash = sha256.Sum256([]byte("\x00" + err.Error()))
	}
	steady := hash == w.seen
	w.seen = hash
	if !steady || hash == w.judged {
		return
	}
	w.judged = hash
	if err == nil {
		err = w.store.apply(files, hash)
	}
	w.told(err)
}

func (s *Store) apply(files []File, hash [sha256.Size]byte) error {
	if hash == s.applied {
		return nil // somebody has put it back as it was
	}
	set, err := Parse(s.names, files)
	if err != nil {
		return err
	}
	s.applied = hash
	s.current.Store(set)
	return nil
}

// gather reads all files, and says by a hash whether they are the same as before. Times and sizes are not asked: a file can change
// within a tick of its clock.
func gather(paths []string) (files []File, hash [sha256.Size]byte, err error) {
	names, err := list(paths)
	if err != nil {
		return nil, hash, err
	}
	h := sha256.New()
	for _, name := range names {
		text, err := readBounded(name)
		if err != nil {
			return nil, hash, err
		}
		files = append(files, File{name, text})
		fmt.Fprintf(h, "%d %s %d %s\n", len(name), name, len(text), text)
	}
	return files, [sha256.Size]byte(h.Sum(nil)), nil
}

func list(paths []string) (names []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("looking for policies: %w", err)
		}
		if !info.IsDir() {
			names = append(names, path)
			continue
		}
		found, err := inFolder(path)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return nil, errors.New("there are no files of policies")
	}
	slices.Sort(names)
	if len(names) > MaxFiles {
		return nil, fmt.Errorf("there are more than %d files of policies", MaxFiles)
	}
	return slices.Compact(names), nil
}

func inFolder(path string) (names []string, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("looking for policies: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".cedar") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the folder %s has no files of policies (*.cedar)", path)
	}
	return names, nil
}

// readBounded reads a regular file: a pipe would wait for a writer.
func readBounded(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("reading policies: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("reading policies: %s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading policies: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return "", fmt.Errorf("reading policies: %w", err)
	}
	return string(text), nil
}
