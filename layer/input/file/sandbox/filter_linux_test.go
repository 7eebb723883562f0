package sandbox_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// TestTheFilterByItself runs the filter in another machine than the kernel's, for what no worker can try: calls of other
// architectures, and arguments with high halves.
func TestTheFilterByItself(t *testing.T) { // SYSTEM N2
	var list []bpf.Instruction
	for _, i := range sandbox.Program(77) {
		list = append(list, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K}.Disassemble())
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatal(err)
	}
	const allowed, killed, unknown = unix.SECCOMP_RET_ALLOW & 0xffff0000, uint32(unix.SECCOMP_RET_KILL_PROCESS), unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	here := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	for _, c := range []struct {
		name   string
		arch   uint32
		number uint32
		args   [6]uint32
		want   uint32
	}{
		{"reading", here, unix.SYS_READ, [6]uint32{}, allowed},
		{"reading by another architecture's number", unix.AUDIT_ARCH_I386, unix.SYS_READ, [6]uint32{}, killed},
		{"reading by the other set of numbers", here, unix.SYS_READ | 0x40000000, [6]uint32{}, killed},
		{"opening", here, unix.SYS_OPENAT, [6]uint32{}, killed},
		{"a call that is not made yet", here, 9999, [6]uint32{}, killed},
		{"a thread", here, unix.SYS_CLONE, [6]uint32{unix.CLONE_THREAD | unix.CLONE_VM | unix.CLONE_SIGHAND}, allowed},
		{"a process", here, unix.SYS_CLONE, [6]uint32{uint32(unix.SIGCHLD)}, killed},
		{"a process that shares memory", here, unix.SYS_CLONE, [6]uint32{unix.CLONE_VM}, killed},
		{"clone3", here, unix.SYS_CLONE3, [6]uint32{}, unknown},
		{"memory", here, unix.SYS_MMAP, [6]uint32{0, 1, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_ANON | unix.MAP_PRIVATE}, allowed},
		{"memory with code", here, unix.SYS_MMAP, [6]uint32{0, 1, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_ANON | unix.MAP_PRIVATE}, killed},
		{"a file as memory", here, unix.SYS_MMAP, [6]uint32{0, 1, unix.PROT_READ, unix.MAP_PRIVATE}, killed},
		{"interrupting itself", here, unix.SYS_TGKILL, [6]uint32{77, 78, 23}, allowed},
		{"interrupting another", here, unix.SYS_TGKILL, [6]uint32{1, 1, 9}, killed},
		{"naming memory", here, unix.SYS_PRCTL, [6]uint32{unix.PR_SET_VMA}, allowed},
		{"any other setting", here, unix.SYS_PRCTL, [6]uint32{unix.PR_SET_DUMPABLE, 1}, killed},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := binary.BigEndian.AppendUint32(nil, c.number) // this machine reads in network order, the kernel's in its own
			data = binary.BigEndian.AppendUint32(data, c.arch)
			data = append(data, make([]byte, 8)...)
			for _, a := range c.args {
				data = append(binary.BigEndian.AppendUint32(data, a), 0, 0, 0, 0)
			}
			got, err := vm.Run(data)
			if err != nil || uint32(got) != c.want {
				t.Errorf("got %#x, %v, want %#x", got, err, c.want)
			}
		})
	}
}
