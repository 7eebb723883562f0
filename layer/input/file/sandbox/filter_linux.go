package sandbox

import "golang.org/x/sys/unix"

// The filter is the kernel's classic BPF over struct seccomp_data (linux/seccomp.h): what is asked, on which architecture, with
// which six arguments. It is put together here and not by a module, because a reviewer can then read all of it on one screen, and
// because a module's tables of every call of every architecture would be made anew at the start of each worker.
const (
	atNumber = 0  // seccomp_data.nr
	atArch   = 4  // seccomp_data.arch
	atArgs   = 16 // seccomp_data.args, 8 bytes each, low half first on the architectures of our tables

	x32 = 0x40000000 // marks amd64's other set of calls, which has numbers of its own
)

// A test says that an argument, of which only the bits of mask are looked at, must equal want.
type test struct{ argument, mask, want uint32 }

// A call may be made if its arguments pass the tests.
type call struct {
	number uint32
	tests  []test
}

// program lets through what is in plain, and what is in tested with the arguments that it may have. The answer to everything
// else is the end of the process: a worker that asks for more has been taken over, and an error would only let it try on.
func program(pid uint32) []unix.SockFilter {
	p := []unix.SockFilter{
		load(atArch), onlyIf(architecture, 1), returns(unix.SECCOMP_RET_KILL_PROCESS),
		load(atNumber), {Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: x32}, returns(unix.SECCOMP_RET_KILL_PROCESS),
	}
	for _, number := range plain {
		p = append(p, elseSkip(number, 1), returns(unix.SECCOMP_RET_ALLOW))
	}
	for _, c := range tested(pid) {
		p = append(p, c.program()...)
	}
	// The C library tries clone3 for threads, whose flags a filter cannot see, and clone if that is unknown.
	p = append(p, elseSkip(unix.SYS_CLONE3, 1), returns(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	return append(p, returns(unix.SECCOMP_RET_KILL_PROCESS))
}

// tested are the calls whose arguments matter.
func tested(pid uint32) []call {
	noCode := test{2, unix.PROT_EXEC, 0}
	return []call{
		{unix.SYS_CLONE, []test{{0, unix.CLONE_THREAD | unix.CLONE_VM, unix.CLONE_THREAD | unix.CLONE_VM}}}, // threads, never processes
		{unix.SYS_MMAP, []test{noCode, {3, unix.MAP_ANONYMOUS, unix.MAP_ANONYMOUS}}},                        // memory, never files or code
		{unix.SYS_MPROTECT, []test{noCode}},
		{unix.SYS_TGKILL, []test{{0, ^uint32(0), pid}}},            // how Go interrupts its own threads
		{unix.SYS_PRCTL, []test{{0, ^uint32(0), unix.PR_SET_VMA}}}, // how Go names its memory in /proc
	}
}

func (c call) program() []unix.SockFilter {
	n := len(c.tests)
	p := []unix.SockFilter{elseSkip(c.number, 3*n+2)}
	for i, t := range c.tests {
		p = append(p, load(atArgs+8*t.argument), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: t.mask},
			elseSkip(t.want, 3*(n-i-1)+1))
	}
	return append(p, returns(unix.SECCOMP_RET_ALLOW), returns(unix.SECCOMP_RET_KILL_PROCESS))
}

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func returns(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// onlyIf skips over n instructions if what is loaded equals k.
func onlyIf(k uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(n), K: k}
}

// elseSkip skips over n instructions unless what is loaded equals k.
func elseSkip(k uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(n), K: k}
}
