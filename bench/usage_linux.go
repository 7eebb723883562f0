package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat. It has been a hundredth of a second on every machine that Go runs on.
const tick = 10 * time.Millisecond

// childrenOf reads the processor time of a process and of its children, by their ids: PostgreSQL serves each connection with a
// process of its own.
func childrenOf(parent int) map[int]time.Duration {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	all := map[int]time.Duration{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if pid, of, spent, ok := parseStat(string(text)); ok && (pid == parent || of == parent) {
			all[pid] = spent
		}
	}
	return all
}

// ranFor is how long a process of one thread, as a backend of PostgreSQL is, has run on a processor so far: the first field of
// /proc/PID/schedstat, in nanoseconds (the kernel's Documentation/scheduler/sched-stats.rst).
func ranFor(pid int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/schedstat")
	if err != nil {
		return 0, fmt.Errorf("reading how long a process ran: %w", err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("reading how long a process ran: it is not a number")
	}
	return time.Duration(n), nil
}

// parseStat reads the id, the parent's id and the processor time, of user and kernel, out of /proc/PID/stat (proc_pid_stat(5)).
// The second field is the program's name in parentheses, which may hold anything.
func parseStat(text string) (pid, parent int, spent time.Duration, ok bool) {
	first, _, _ := strings.Cut(text, " ")
	name := strings.LastIndexByte(text, ')')
	if name < 0 {
		return 0, 0, 0, false
	}
	fields := strings.Fields(text[name+1:])
	if len(fields) < 13 {
		return 0, 0, 0, false
	}
	var n [4]int
	for i, f := range []string{first, fields[1], fields[11], fields[12]} {
		v, err := strconv.Atoi(f)
		if err != nil || v < 0 {
			return 0, 0, 0, false
		}
		n[i] = v
	}
	return n[0], n[1], time.Duration(n[2]+n[3]) * tick, true
}
