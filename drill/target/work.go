package target

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const workPrefix = "redoubt-drill-"

// Work makes an empty folder for a drill, in memory where there is room, which the database's account can pass through. Its maker removes
// it. What a drill has left that was killed is removed first.
func Work() (string, error) {
	base := os.TempDir()
	if roomy("/dev/shm") {
		base = "/dev/shm"
	}
	sweep(base)
	dir, err := os.MkdirTemp(base, workPrefix)
	if err != nil {
		return "", fmt.Errorf("making a folder for the drill: %w", err)
	}
	return dir, errors.Join(os.Chmod(dir, 0o711), os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o600))
}

// room is what a drill needs: source, program, a template and a copy for each lane, with space to grow.
const room = 2 << 30

// roomy reports whether a folder is there and has room.
func roomy(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= room
}

// sweep removes folders whose drill lives no more. The kernel has ended their processes.
func sweep(base string) {
	all, err := filepath.Glob(filepath.Join(base, workPrefix+"*", "pid"))
	if err != nil {
		return
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil && pid > 1 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(filepath.Dir(file)) // what cannot be removed is tried again by the next
		}
	}
}
