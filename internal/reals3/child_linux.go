package reals3

import "syscall"

// dieWithParent has the kernel kill the server when the thread that started it ends, however we end.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
