package pgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

const (
	startLimit = 3 * time.Minute // for a server to be there, waiting for others who start it included
	pause      = 20 * time.Millisecond

	startLock = "start.lock" // held by whoever starts or ends the server
	useLock   = "use.lock"   // shared by all who use it
	lifeLock  = "life.lock"  // held by the reaper as long as it lives
	stateFile = "state.json" // how to reach the server, once it is ready
	errorFile = "error.txt"  // why it is not
)

// A server is how to reach a running one.
type server struct {
	Socket   string
	Password string
	use      *os.File // holding it keeps the server alive
}

func (s server) address(database string) string {
	return postgres.Address(s.Socket, postgres.Superuser, s.Password, database)
}

// enter makes this process a user of the server in dir, and has it started if it does not run.
func enter(ctx context.Context, dir string, b postgres.Binaries) (server, error) {
	start, err := lockFolder(ctx, dir)
	if err != nil {
		return server{}, err
	}
	defer start.Close()
	use, err := os.OpenFile(filepath.Join(dir, useLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return server{}, err
	}
	if err := await(ctx, use, syscall.LOCK_SH); err != nil {
		return server{}, fmt.Errorf("joining the test server: %w", err)
	}
	running, err := reaperLives(dir)
	if err == nil && !running {
		err = startReaper(ctx, dir, b)
	}
	if err != nil {
		use.Close()
		return server{}, err
	}
	s := server{use: use}
	return s, s.read(dir)
}

func (s *server) read(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return fmt.Errorf("joining the test server: %w", err)
	}
	return json.Unmarshal(content, s)
}

// lockFolder makes dir and takes its start lock. The reaper removes the folder together with the lock, so a lock that has been
// waited for may be one that nobody else will ever see; then it is taken anew.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	for {
		if err := errors.Join(ctx.Err(), makeFolder(dir)); err != nil {
			return nil, err
		}
		start, err := os.OpenFile(filepath.Join(dir, startLock), os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) { // removed in between
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := await(ctx, start, syscall.LOCK_EX); err != nil {
			start.Close()
			return nil, fmt.Errorf("waiting for the test server to be started by another process: %w", err)
		}
		if current(start) {
			return start, nil
		}
		start.Close()
	}
}

// makeFolder makes dir, or refuses one that somebody else has put in its place.
func makeFolder(dir string) error {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the server runs as another account and must pass
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the test server's folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed in between; the caller tries again
	}
	if err != nil {
		return err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); !info.IsDir() || owner != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a private folder of this account; remove it", dir)
	}
	return nil
}

// current reports whether f still is the file of its name.
func current(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(open, named)
}

// await takes a lock, asking again and again so that ctx can end the wait.
func await(ctx context.Context, f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// try takes a lock if nobody has it.
func try(f *os.File, how int) bool { return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) == nil }

func reaperLives(dir string) (bool, error) {
	life, err := os.OpenFile(filepath.Join(dir, lifeLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer life.Close()
	return !try(life, syscall.LOCK_EX), nil
}

// startReaper starts a reaper and waits until its server is ready. The caller holds the start lock.
func startReaper(ctx context.Context, dir string, b postgres.Binaries) error {
	if err := clear(dir); err != nil {
		return fmt.Errorf("clearing away an earlier test server: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	binaries, err := json.Marshal(b)
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = []string{reaperEnv + "=" + dir, binariesEnv + "=" + string(binaries), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	// No standard streams: `go test` waits for whoever has its pipe. A session of its own: Ctrl-C is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the reaper: %w", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	return awaitReady(ctx, dir, ended)
}

func awaitReady(ctx context.Context, dir string, ended <-chan struct{}) error {
	for {
		if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil {
			return nil
		}
		select {
		case <-ended:
			why, err := os.ReadFile(filepath.Join(dir, errorFile))
			return fmt.Errorf("starting the test server: %s", errors.Join(errors.New(string(why)), err))
		case <-ctx.Done():
			return fmt.Errorf("starting the test server: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// clear removes what a reaper that was killed left behind, except the locks. Its server may still be writing for a moment.
func clear(dir string) error {
	var err error
	for range 20 {
		if err = clearOnce(dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func clearOnce(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".lock" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
