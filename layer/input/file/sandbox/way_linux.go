package sandbox

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// mostThreads bounds a worker's threads, of which Go takes about six. In a user namespace of its own the kernel counts no other
// process with it; elsewhere it would count all of the user's.
const mostThreads = 64

// A way is how a worker is parted from its parent when it is started.
type way struct {
	name       string
	namespaces bool
	threads    uint64 // the most that a worker may have; zero where the kernel would count other processes with them
	apart      func(*syscall.SysProcAttr)
}

// ways are tried by New from the strongest to the weakest. Containers and hardened kernels refuse some of them; a worker of the
// last still has its filter, its limits and no descriptors.
func ways() []way {
	own := way{"namespaces of its own", true, mostThreads, apartUser}
	plain := way{"no namespaces", false, 0, func(*syscall.SysProcAttr) {}}
	if os.Geteuid() != 0 {
		return []way{own, plain}
	}
	return []way{own,
		{"namespaces of root's and as nobody", true, 0, func(a *syscall.SysProcAttr) { a.Cloneflags, a.Credential = parted, asNobody() }},
		{"as nobody", false, 0, func(a *syscall.SysProcAttr) { a.Credential = asNobody() }},
		plain}
}

// parted are the namespaces that hold nothing: a network without an interface, no other processes, no queues, mounts of its own.
const parted = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWUTS

func asNobody() *syscall.Credential { return &syscall.Credential{Uid: nobody, Gid: nobody} }

// apartUser gives the worker a world with one user, nobody. Root's worker is nobody outside of it as well; another user's worker
// remains that user's to the outside, since only root may map a user who is not itself.
func apartUser(a *syscall.SysProcAttr) {
	a.Cloneflags = unix.CLONE_NEWUSER | parted
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = nobody, nobody
		a.Credential, a.GidMappingsEnableSetgroups = asNobody(), true
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: uid, Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: gid, Size: 1}}
}

// attributes are those of every worker: a session without a terminal, and death with its parent.
func (w way) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	w.apart(a)
	return a
}

// executable is this program, also where its file has been replaced since it was started, or lies where nobody may not look.
func executable() string { return "/proc/self/exe" }

// reopen gives the worker a view of the file of its own, which cannot be written through and whose offset is not its parent's.
func reopen(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var again *os.File
	var opening error
	err = raw.Control(func(fd uintptr) { again, opening = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	if err == nil {
		err = opening
	}
	return again, err
}
