//go:build !linux

package command

import "syscall"

// childAttributes keeps Ctrl-C off the child. Where the kernel does not end it with us, the end of its standard input does.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
