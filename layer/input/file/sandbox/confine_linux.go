package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody is the user and the group that own nothing, on every Linux.
const nobody = 65534

// runtimesOwn are the descriptors that the Go runtime itself keeps open.
var runtimesOwn = []string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]"}

// inherited reports whether the descriptors are what a parent of ours hands down.
func inherited() bool {
	for fd, kind := range map[int][]uint32{fileFD: {unix.S_IFREG, unix.S_IFCHR}, sayFD: {unix.S_IFIFO}, orderFD: {unix.S_IFIFO}} {
		var s unix.Stat_t
		if unix.Fstat(fd, &s) != nil || !slices.Contains(kind, s.Mode&unix.S_IFMT) {
			return false
		}
	}
	return true
}

// confine takes everything from this process that it does not need to compute. After it, the process is believed no more.
func confine(o order) (held []protection, err error) {
	for _, step := range []struct {
		what protection
		do   func(order) error
	}{
		{limits, limit}, {privileges, drop}, {descriptors, shut}, {filter, fence},
	} {
		if slices.Contains(o.Omit, step.what) {
			continue
		}
		switch err := step.do(o); {
		case errors.Is(err, errors.ErrUnsupported):
		case err != nil:
			return nil, fmt.Errorf("holding %s: %w", step.what, err)
		default:
			held = append(held, step.what)
		}
	}
	return held, nil
}

func limit(o order) error {
	of := map[int]uint64{unix.RLIMIT_CPU: uint64(o.CPU), unix.RLIMIT_DATA: uint64(o.Memory),
		unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0}
	if o.Threads > 0 {
		of[unix.RLIMIT_NPROC] = o.Threads
	}
	for what, most := range of {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limiting resource %d: %w", what, err)
		}
	}
	return nil
}

// drop gives up being root, where New found no other way, and the ways to become it.
func drop(order) error {
	if os.Geteuid() == 0 {
		err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(nobody, nobody, nobody), syscall.Setresuid(nobody, nobody, nobody))
		if err != nil {
			return fmt.Errorf("becoming nobody: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding memory: %w", err)
	}
	return noNewPrivileges()
}

// noNewPrivileges binds the calling thread; the filter carries it to the others.
func noNewPrivileges() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// shut closes what the parent's own parents have left open in it, and makes sure that nothing more is opened.
func shut(order) error {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("listing descriptors: %w", err)
	}
	for _, e := range all {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		fd, _ := strconv.Atoi(e.Name())
		if err != nil || fd < orderFD || slices.Contains(runtimesOwn, to) {
			continue // an error is the list's own, closed by now
		}
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("closing a descriptor: %w", err)
		}
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{})
}

// fence hands the kernel the list of what all threads of this process may still ask for.
func fence(order) error {
	if len(plain) == 0 {
		return errors.ErrUnsupported
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := noNewPrivileges(); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	p := program(uint32(os.Getpid()))
	list := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&list)))
	if errno != 0 {
		return errno
	}
	if r != 0 { // the thread that could not be brought along
		return errors.New("a thread is not filtered")
	}
	return nil
}
