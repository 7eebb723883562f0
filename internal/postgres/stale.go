package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settle deals with what an earlier server left in the data directory. We hold the folder's lock, so whoever started that server
// is gone. If the server itself still runs, because it is just shutting down or because its parent was killed where the kernel
// does not tell, it is stopped. If its process id now belongs to something else, its pid file is removed: PostgreSQL would take
// any process of its own account for itself and refuse to start.
func settle(ctx context.Context, data string) error {
	pid, err := readPID(data)
	if err != nil || pid == 0 {
		return err
	}
	if runsIn(pid, data) {
		if err := stopLeftover(ctx, pid, data); err != nil {
			return err
		}
	}
	for _, child := range stragglers(data) {
		syscall.Kill(child, syscall.SIGQUIT) // its server is dead and what it computes is lost
	}
	if syscall.Kill(pid, 0) == nil { // alive, but not ours; PostgreSQL itself deals with dead ones
		return removePIDFile(data)
	}
	return nil
}

func stopLeftover(ctx context.Context, pid int, data string) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping the server that was left behind (pid %d): %w", pid, err)
		}
		if gone(ctx, pid, data) {
			return nil
		}
	}
	return problem("end it by hand, then try again", "%s is still in use by a server that was left behind (pid %d)", data, pid)
}

const pidFile = "postmaster.pid"

// readPID reads the first line of the pid file; 0 if there is none. A file that cannot be read as a number was cut short by a
// crash, and PostgreSQL refuses it for ever ("bogus data in lock file"), so it is removed.
func readPID(data string) (int, error) {
	path := filepath.Join(data, pidFile)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the server's pid file: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return 0, fmt.Errorf("reading the server's pid file: %w", err)
	}
	pid, ok := parsePID(string(content))
	if !ok {
		return 0, removePIDFile(data)
	}
	return pid, nil
}

// removePIDFile does not mind if a server that was just ending has been faster.
func removePIDFile(data string) error {
	if err := os.Remove(filepath.Join(data, pidFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the pid file of a server that is gone: %w", err)
	}
	return nil
}

// parsePID takes the number in the first line. A negative one, by which a server without clients marks itself, counts as its
// amount.
func parsePID(content string) (int, bool) {
	line, _, _ := strings.Cut(content, "\n")
	pid, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(line), "-"), 10, 32)
	return int(pid), err == nil && pid > 1
}

// gone waits until pid no longer is the server of data, for as long as a server may take to stop.
func gone(ctx context.Context, pid int, data string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for runsIn(pid, data) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}
