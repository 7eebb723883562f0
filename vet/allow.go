package vet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// List is where the exceptions of a module are, beneath its root.
const List = "vet/allow.txt"

// maxList bounds the list: what needs more exceptions than fit into it needs another design.
const maxList = 64 << 10

// An Exception is one line of the list: what stays as it is, and why.
//
//	unscoped  command/people.go  InsecureSignIn  fills a development database in the name of its own provider's people
type Exception struct {
	Analyzer string
	Path     string // of a file, or of a folder with the files directly in it; with slashes, from the module's root
	Thing    string // the word with which the finding's message begins
	Reason   string
	Line     int
}

// ParseList reads a list: one exception on a line; lines that are empty or begin with # say nothing. It reports every fault at once.
func ParseList(text string) ([]Exception, error) {
	if len(text) > maxList {
		return nil, fmt.Errorf("the list of exceptions is longer than %d bytes", maxList)
	}
	var list []Exception
	var faults []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseLine(line)
		e.Line = number
		if err == nil && slices.ContainsFunc(list, func(other Exception) bool { return other.key() == e.key() }) {
			err = errors.New("it is there already")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		list = append(list, e)
	}
	return list, errors.Join(faults...)
}

func parseLine(line string) (Exception, error) {
	words := strings.Fields(line)
	if len(words) < 3 {
		return Exception{}, errors.New("write ANALYZER PATH THING REASON")
	}
	e := Exception{Analyzer: words[0], Path: words[1], Thing: words[2], Reason: strings.Join(words[3:], " ")}
	switch {
	case !known(e.Analyzer):
		return e, fmt.Errorf("there is no analyzer %q", e.Analyzer)
	case !fs.ValidPath(e.Path):
		return e, fmt.Errorf("%q is no path from the module's root", e.Path)
	case len(words) < 6:
		return e, errors.New("say in a few words why it must stay as it is")
	}
	return e, nil
}

func (e Exception) key() [3]string { return [3]string{e.Analyzer, e.Path, e.Thing} }

// Exceptions are a module's list while its packages are looked at. They may be used concurrently.
type Exceptions struct {
	file string // of the list
	root string // of the module
	list []Exception

	mu     sync.Mutex
	used   map[[3]string]bool
	looked map[string]bool // files and folders that were looked at, from the root
}

// OpenList reads the list of the module around dir. If file is "", it is the one called List, which need not be there.
func OpenList(dir, file string) (*Exceptions, error) {
	root, err := moduleRoot(dir)
	if err != nil {
		return nil, err
	}
	x := &Exceptions{file: file, root: root, used: map[[3]string]bool{}, looked: map[string]bool{}}
	if file == "" {
		x.file = filepath.Join(root, filepath.FromSlash(List))
	}
	text, err := os.ReadFile(x.file)
	if errors.Is(err, fs.ErrNotExist) && file == "" {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of exceptions: %w", err)
	}
	if x.list, err = ParseList(string(text)); err != nil {
		return nil, fmt.Errorf("reading %s: %w", x.file, err)
	}
	return x, nil
}

func moduleRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return filepath.EvalSymlinks(at)
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("finding the module: there is no go.mod in %s or above", dir)
		}
	}
}

// place is a file's path from the root; "" if it lies elsewhere.
func (x *Exceptions) place(file string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	at, err := filepath.Rel(x.root, file)
	if err != nil || !filepath.IsLocal(at) {
		return ""
	}
	return filepath.ToSlash(at)
}

func (x *Exceptions) look(file string) {
	at := x.place(file)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.looked[at], x.looked[path.Dir(at)] = true, true
}

func (x *Exceptions) allow(analyzer, file, thing string) bool {
	at := x.place(file)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.list {
		if e.Analyzer == analyzer && e.Thing == thing && (e.Path == at || e.Path == path.Dir(at)) {
			x.used[e.key()] = true
			return true
		}
	}
	return false
}

// unused are the exceptions that nothing needs: what they name was looked at without such a finding, or is not there.
func (x *Exceptions) unused() (unused []Finding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.list {
		_, err := os.Stat(filepath.Join(x.root, filepath.FromSlash(e.Path)))
		if gone := errors.Is(err, fs.ErrNotExist); gone || x.looked[e.Path] && !x.used[e.key()] {
			unused = append(unused, Finding{File: x.file, Line: e.Line, Column: 1, Analyzer: e.Analyzer,
				Message: fmt.Sprintf("%s: nothing in %s needs this exception: take it off the list", e.Thing, e.Path)})
		}
	}
	return unused
}
