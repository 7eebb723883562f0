package sandbox

import "golang.org/x/sys/unix"

// Program is the filter of system calls.
func Program(pid uint32) []unix.SockFilter { return program(pid) }
