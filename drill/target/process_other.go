//go:build !linux

package target

import "syscall"

// attributes puts a copy into a group of its own, so that a Ctrl-C is the drill's, which ends its copies itself.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
