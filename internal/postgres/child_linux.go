package postgres

import "syscall"

// dieWithParent has the kernel send the signal to the child when the thread that started it ends, however we end.
func dieWithParent(attributes *syscall.SysProcAttr, signal syscall.Signal) {
	attributes.Pdeathsig = signal
}
