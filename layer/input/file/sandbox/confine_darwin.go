package sandbox

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A way is how a worker is parted from its parent when it is started. Here there is one: macOS has no filter and no namespaces
// that a program can put on itself by a documented call.
type way struct {
	name       string
	namespaces bool
	threads    uint64
}

func ways() []way { return []way{{name: "limits"}} }

func (way) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// executable is this program; an empty path cannot be started.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// reopen hands down the file itself: what is unlinked cannot be opened again here. The worker cannot make it longer (RLIMIT_FSIZE).
func reopen(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var again int
	var opening error
	if err := raw.Control(func(fd uintptr) { again, opening = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if opening != nil {
		return nil, opening
	}
	return os.NewFile(uintptr(again), "upload"), nil
}

// inherited reports whether the descriptors are what a parent of ours hands down.
func inherited() bool {
	var file, say, told unix.Stat_t
	return unix.Fstat(fileFD, &file) == nil && unix.Fstat(sayFD, &say) == nil && unix.Fstat(orderFD, &told) == nil &&
		say.Mode&unix.S_IFMT == unix.S_IFIFO && told.Mode&unix.S_IFMT == unix.S_IFIFO
}

// confine limits what this process uses.
func confine(o order) ([]protection, error) {
	of := map[int]uint64{unix.RLIMIT_CPU: uint64(o.CPU), unix.RLIMIT_DATA: uint64(o.Memory), unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0}
	for what, most := range of {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return nil, fmt.Errorf("limiting resource %d: %w", what, err)
		}
	}
	return []protection{limits}, nil
}
