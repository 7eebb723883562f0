package knockout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/redoubt-dev/redoubt"

// A BuildConfig says what is built.
type BuildConfig struct {
	Program string // the import path of the program's main package; required
	Dir     string // a folder of the program's module; zero is the current one
	Work    string // an empty folder for the source and what is made of it; required
	Units   []Unit // whose cuts are put in; none leaves the source as it is
}

// Build makes a copy of Redoubt's source in Work, puts the cuts in, and builds the program from it. Nothing outside of Work changes.
// Where this copy of the program finds a file of its own name with ".out" at its end, it leaves out the units that the file names,
// one to a line, and notes in a file that ends in ".used" those that it was asked for.
func Build(ctx context.Context, c BuildConfig) (program string, err error) {
	if c.Program == "" || c.Work == "" {
		return "", errors.New("building the copy: Program and Work are required")
	}
	found, err := find(ctx, c.Dir)
	if err != nil {
		return "", err
	}
	source := filepath.Join(c.Work, "source")
	if err := copySource(found.Dir, source); err != nil {
		return "", fmt.Errorf("copying the source: %w", err)
	}
	if err := cut(source, c.Units); err != nil {
		return "", fmt.Errorf("cutting the source: %w", err)
	}
	at, mod := source, filepath.Join(source, "go.mod")
	if !found.Main { // the program belongs to another module, which needs Redoubt
		at, mod = c.Dir, filepath.Join(c.Work, "go.mod")
		if err := replaced(ctx, found.program, mod, source); err != nil {
			return "", err
		}
	}
	program = filepath.Join(c.Work, "redoubt")
	if _, err := run(ctx, at, "build", "-mod=mod", "-modfile="+mod, "-buildvcs=false", "-trimpath", "-o", program, c.Program); err != nil {
		return "", fmt.Errorf("building the copy: %w", err)
	}
	return program, nil
}

// A goModule is where Redoubt's source is, by the go command's word: of a module that is replaced, where the replacement is.
type goModule struct {
	Dir     string
	Main    bool   // it is the program's own
	program string // the go.mod of the program's module, if it is another
}

// find asks the go command where Redoubt's source is.
func find(ctx context.Context, dir string) (m goModule, err error) {
	out, err := run(ctx, dir, "list", "-mod=readonly", "-m", "-json", module)
	if err != nil {
		return m, fmt.Errorf("looking for Redoubt's source: %w", err)
	}
	if err := json.Unmarshal(out, &m); err != nil || m.Dir == "" {
		return m, errors.New("looking for Redoubt's source: the go command does not say where it is; run `go mod download`")
	}
	if !m.Main {
		out, err := run(ctx, dir, "env", "GOMOD")
		if err != nil {
			return m, fmt.Errorf("looking for the program's module: %w", err)
		}
		m.program = strings.TrimSpace(string(out))
	}
	return m, nil
}

// run runs the go command without anything that would point it elsewhere.
func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// replaced writes the program's go.mod, and go.sum, with the copied source in place of Redoubt, wherever that was taken from. What else
// it replaces stays where it is: the go command reads such paths from the folder of the module and not of this file.
func replaced(ctx context.Context, original, mod, source string) error {
	for _, ending := range []string{".mod", ".sum"} {
		text, err := os.ReadFile(strings.TrimSuffix(original, ".mod") + ending)
		if errors.Is(err, fs.ErrNotExist) && ending == ".sum" {
			continue // it needs nothing but what lies on this machine
		}
		if err == nil {
			err = os.WriteFile(strings.TrimSuffix(mod, ".mod")+ending, text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copying the program's requirements: %w", err)
		}
	}
	if _, err := run(ctx, filepath.Dir(mod), "mod", "edit", "-replace="+module+"="+source, mod); err != nil {
		return fmt.Errorf("replacing Redoubt's source: %w", err)
	}
	return nil
}

// copySource copies what a build needs. What is read-only, as in the module cache, is not so in the copy.
func copySource(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && name != "." && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
}
