package command

import "syscall"

// childAttributes keeps Ctrl-C, which the terminal sends to the whole group, off the child: we end it in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
