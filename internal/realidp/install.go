package realidp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// installLimit bounds each program that is run; building Dex from nothing takes some minutes.
const installLimit = 20 * time.Minute

// oldestNode is the first major version of Node.js on which the pinned oidc-provider runs.
const oldestNode = 20

// Install puts the pinned providers into Place, unless they are there, and says on words what it does. Everything is made beside its
// place and moved there in one step, so that an interruption leaves nothing that looks complete.
func Install(ctx context.Context, words io.Writer) error {
	place, err := Place()
	if err != nil {
		return fmt.Errorf("finding the folder of downloads: %w", err)
	}
	if _, err := installed(); err == nil {
		fmt.Fprintln(words, "the identity providers of tests are installed in "+place)
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
	fmt.Fprintln(words, "installing oidc-provider and Node.js with npm")
	if err := installNode(ctx, filepath.Join(work, "node")); err != nil {
		return fmt.Errorf("installing oidc-provider: %w", err)
	}
	fmt.Fprintln(words, "building Dex: some minutes the first time")
	if err := buildDex(ctx, filepath.Join(work, "dex")); err != nil {
		return fmt.Errorf("building Dex: %w", err)
	}
	// Another process may have finished first; it had the same digests.
	if err := os.Rename(work, place); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	fmt.Fprintln(words, "installed in "+place)
	return os.Chmod(place, 0o755)
}

// checkNode looks at the Node.js that tests would use.
func checkNode(ctx context.Context, dir string) error {
	node, err := findNode(dir)
	if err != nil {
		return fmt.Errorf("finding Node.js: version %d or later is needed", oldestNode)
	}
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, _ := strconv.Atoi(major); err != nil || n < oldestNode {
		return fmt.Errorf("finding Node.js: version %d or later is needed, and %s says %q", oldestNode, node, out)
	}
	return nil
}

// installNode lets npm fetch what the lock file names, with the digests there, without running anything of it.
func installNode(ctx context.Context, dir string) error {
	if err := unpack(dir, map[string]string{"package.json": "package.json", "package-lock.json": "package-lock.json"}); err != nil {
		return err
	}
	if err := run(ctx, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"); err != nil {
		return err
	}
	return checkNode(ctx, dir)
}

// buildDex builds Dex as a part of a module of its own, because its own module cannot be installed by name. Its digests are those of
// dex.sum; -mod=readonly refuses any other.
func buildDex(ctx context.Context, dir string) error {
	if err := unpack(dir, map[string]string{"dex.mod": "go.mod", "dex.sum": "go.sum"}); err != nil {
		return err
	}
	settings := []string{"GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "GOWORK=off"}
	return run(ctx, dir, settings, "go", "build", "-trimpath", "-o", "dex", "github.com/dexidp/dex/cmd/dex")
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

func run(ctx context.Context, dir string, settings []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), settings...), time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, args[0], err, out[max(0, len(out)-4<<10):])
	}
	return nil
}
