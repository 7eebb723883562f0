package reals3

import (
	"context"
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

// installLimit bounds the build, which takes some minutes from nothing.
const installLimit = 20 * time.Minute

// Install builds the pinned server into Place, unless it is there, and says on words what it does. It is built beside its place and
// moved there in one step, so that an interruption leaves nothing that looks complete.
func Install(ctx context.Context, words io.Writer) error {
	place, err := Place()
	if err != nil {
		return fmt.Errorf("finding the folder of downloads: %w", err)
	}
	if _, err := installed(); err == nil {
		fmt.Fprintln(words, "the S3 server of tests is installed in "+place)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return fmt.Errorf("making the folder of downloads: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(place), ".new-")
	if err != nil {
		return fmt.Errorf("making the folder of downloads: %w", err)
	}
	defer os.RemoveAll(work)
	fmt.Fprintln(words, "building versitygw: some minutes the first time")
	if err := build(ctx, work); err != nil {
		return fmt.Errorf("building versitygw: %w", err)
	}
	// Another process may have finished first; it had the same digests.
	if err := os.Rename(work, place); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	fmt.Fprintln(words, "installed in "+place)
	return os.Chmod(place, 0o755)
}

// build makes the server a part of a module of its own, so that every module beneath it is the one whose digest versitygw.sum holds;
// -mod=readonly refuses any other.
func build(ctx context.Context, dir string) error {
	for from, to := range map[string]string{"versitygw.mod": "go.mod", "versitygw.sum": "go.sum"} {
		content, err := pinned.ReadFile("pinned/" + from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), content, 0o644); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", "versitygw", "github.com/versity/versitygw/cmd/versitygw")
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running go build: %w\n%s", err, out[max(0, len(out)-4<<10):])
	}
	return nil
}
