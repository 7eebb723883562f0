//go:build !linux

package postgres

import "syscall"

// dieWithParent cannot be had here: if we are killed the server stays, and the next Start on its folder stops it first (settle).
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
