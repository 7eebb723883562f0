//go:build !linux

package realidp

import "syscall"

// dieWithParent cannot be had here: a test that is killed leaves its provider behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
