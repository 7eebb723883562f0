//go:build linux || darwin

package sandbox

import (
	"os"
	"syscall"
)

// autopsy says what a worker died of, by what the kernel reports.
func autopsy(s *os.ProcessState, c Config) Name {
	status, ok := s.Sys().(syscall.WaitStatus)
	switch used := s.UserTime() + s.SystemTime(); {
	case !ok:
		return Crashed
	case status.Exited():
		return told(status.ExitStatus())
	case status.Signal() == syscall.SIGSYS, status.Signal() == syscall.SIGXFSZ:
		return Forbidden
	case status.Signal() == syscall.SIGXCPU, status.Signal() == syscall.SIGKILL && used >= c.CPU/2: // the kernel's two ways of counting differ
		return Overworked
	case status.Signal() == syscall.SIGKILL:
		return Killed
	}
	return Crashed
}

// told says what a worker meant that ended by itself.
func told(code int) Name {
	switch code {
	case exitRuntime:
		return Exhausted
	case exitUnstarted:
		return Unstarted
	}
	return Crashed
}
