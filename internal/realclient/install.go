package realclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// installLimit bounds each program that is run.
const installLimit = 10 * time.Minute

// suiteModule is a Go module that carries the JSON Schema test suite whole: its own repository is none, and its packages elsewhere are of
// drafts long past.
const (
	suiteModule = "cuelang.org/go"
	suiteFolder = "encoding/jsonschema/testdata/external/tests/draft2020-12"
)

// Install puts everything into Place, unless it is there, and says on words what it does. All is made beside its place and moved
// there in one step, so that an interruption leaves nothing that looks complete.
func Install(ctx context.Context, words io.Writer) error {
	place, err := Place()
	if err != nil {
		return fmt.Errorf("finding the folder of downloads: %w", err)
	}
	if _, err := installed(); err == nil {
		fmt.Fprintln(words, "the client generator of tests is installed in "+place)
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("finding npm: it is missing (apt-get install --no-install-recommends npm)")
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return fmt.Errorf("making the folder of downloads: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(place), ".new-")
	if err != nil {
		return fmt.Errorf("making the folder of downloads: %w", err)
	}
	defer os.RemoveAll(work)
	fmt.Fprintln(words, "installing the client generator and Node.js with npm")
	if err := installNode(ctx, filepath.Join(work, "node")); err != nil {
		return fmt.Errorf("installing the client generator: %w", err)
	}
	fmt.Fprintln(words, "installing the JSON Schema test suite with go")
	if err := installSuite(ctx, work); err != nil {
		return fmt.Errorf("installing the JSON Schema test suite: %w", err)
	}
	// Another process may have finished first; it had the same digests.
	if err := os.Rename(work, place); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	fmt.Fprintln(words, "installed in "+place)
	return os.Chmod(place, 0o755)
}

// installNode lets npm fetch what the lock file names, with the digests there, without running anything of it.
func installNode(ctx context.Context, dir string) error {
	if err := unpack(dir, map[string]string{"package.json": "package.json", "package-lock.json": "package-lock.json"}); err != nil {
		return err
	}
	_, err := run(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
	return err
}

// installSuite copies the suite out of its module, whose digest is in suite.sum: the go command refuses any other.
func installSuite(ctx context.Context, work string) error {
	dir := filepath.Join(work, "module")
	if err := unpack(dir, map[string]string{"suite.mod": "go.mod", "suite.sum": "go.sum"}); err != nil {
		return err
	}
	out, err := run(ctx, dir, "go", "mod", "download", "-json", suiteModule)
	if err != nil {
		return err
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("reading what go has downloaded: %w", err)
	}
	return os.CopyFS(filepath.Join(work, "suite"), os.DirFS(filepath.Join(module.Dir, suiteFolder)))
}

// unpack writes files of the folder pinned, each under its name of the map.
func unpack(dir string, files map[string]string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for from, to := range files {
		content, err := pinned.ReadFile("pinned/" + from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		var said *exec.ExitError
		if errors.As(err, &said) {
			out = said.Stderr
		}
		return nil, fmt.Errorf("running %s %s: %w\n%s", name, args[0], err, out[max(0, len(out)-4<<10):])
	}
	return out, nil
}
