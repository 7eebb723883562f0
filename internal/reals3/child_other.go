//go:build !linux

package reals3

import "syscall"

// dieWithParent cannot be had here: a test that is killed leaves its server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
