package perimeter

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	CPU    time.Duration `json:"cpu"`
	Memory int64         `json:"memory"` // bytes resident now; the most ever, where that cannot be told
}

func ownUsage() (u usage) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u
	}
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.Memory = int64(r.Maxrss)
	if runtime.GOOS == "linux" {
		u.Memory <<= 10 // Linux counts in KiB, others in bytes
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		u.Memory = max(resident(string(text)), 0)
	}
	return u
}

// resident reads the second figure of /proc/PID/statm, in pages (proc_pid_statm(5)); -1 if it is not there.
func resident(text string) int64 {
	var size, pages int64
	if _, err := fmt.Sscan(text, &size, &pages); err != nil || pages < 0 || pages > 1<<40 {
		return -1
	}
	return pages * int64(os.Getpagesize())
}
