package target

import "syscall"

// attributes puts a copy into a group of its own, so that a Ctrl-C is the drill's, which ends its copies itself. The kernel ends the copy
// when the thread dies that started it, however the drill ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
