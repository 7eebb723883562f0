package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stragglers are the children of a server of data that is gone. One that is busy computing does not notice for a while.
func stragglers(data string) []int {
	real, err := filepath.EvalSymlinks(data)
	if err != nil {
		return nil
	}
	folders, _ := filepath.Glob("/proc/[1-9]*/cwd") // the only error is a bad pattern
	var all []int
	for _, folder := range folders {
		if target, err := os.Readlink(folder); err != nil || target != real {
			continue
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(folder), "cmdline"))
		pid, errPID := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		if err == nil && errPID == nil && strings.HasPrefix(string(line), "postgres: ") {
			all = append(all, pid)
		}
	}
	return all
}

// runsIn reports whether pid is a server of PostgreSQL whose data directory is data: a server changes into it. Where another
// account's process hides its folder, its command line has to do.
func runsIn(pid int, data string) bool {
	proc := fmt.Sprintf("/proc/%d", pid)
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil || len(line) == 0 { // a zombie has an empty command line
		return false
	}
	words := strings.Split(string(line), "\x00")
	if name := filepath.Base(words[0]); name != "postgres" && name != "postmaster" {
		return false
	}
	folder, err := os.Readlink(proc + "/cwd")
	if err != nil {
		return strings.Contains(string(line), data)
	}
	real, err := filepath.EvalSymlinks(data)
	return err == nil && folder == real
}
