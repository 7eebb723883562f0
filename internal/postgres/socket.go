package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// longestSocket is the longest path of a Unix socket that every supported system takes: 107 bytes on Linux, 103 on macOS.
const (
	longestSocket = 103
	socketName    = "/.s.PGSQL." + port + ".lock" // the longer of the two files that the server makes there
	shortPrefix   = "/tmp/redoubt-pg-"
)

// socketFolder makes an empty folder for the socket that only the server's account may enter. It is Dir/run, or, if that would be
// too long a path for a socket, a folder under /tmp with a name that nobody can have taken before.
func socketFolder(c Config, last string, who account) (dir string, err error) {
	forget(last, who)
	dir = filepath.Join(c.Dir, "run")
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("removing the old socket: %w", err)
	}
	if len(dir+socketName) <= longestSocket {
		if err := who.makeFolder(dir); err != nil {
			return "", fmt.Errorf("making the socket's folder: %w", err)
		}
		return dir, nil
	}
	dir, err = os.MkdirTemp(filepath.Dir(shortPrefix), filepath.Base(shortPrefix)+"*")
	if err == nil {
		err = who.give(dir)
	}
	if err != nil {
		return "", fmt.Errorf("making the socket's folder: %w", err)
	}
	return dir, nil
}

// forget removes the folder that an earlier server had under /tmp and could not remove because it was killed. The name comes from
// a file, so it must look like ours and belong to the server's account.
func forget(dir string, who account) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || filepath.Clean(dir) != dir || !strings.HasPrefix(dir, shortPrefix) ||
		strings.Contains(strings.TrimPrefix(dir, shortPrefix), "/") || info.Sys().(*syscall.Stat_t).Uid != who.uid {
		return
	}
	os.RemoveAll(dir) // best effort: a folder that stays takes nothing but a name
}
