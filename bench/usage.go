package bench

import (
	"runtime"
	"syscall"
	"time"
)

// ownUsage is what this process has used so far.
func ownUsage() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}
	}
	memory := int64(r.Maxrss)
	if runtime.GOOS == "linux" {
		memory <<= 10 // Linux counts in KiB, others in bytes
	}
	return usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Memory: memory}
}
