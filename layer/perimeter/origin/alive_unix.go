//go:build unix

package origin

import (
	"net"
	"syscall"
)

// alive looks, without waiting, whether the application has closed a kept connection, or said something on it unasked: either way it
// is of no further use. Without it a request that must not be sent twice would be lost to every connection that the application gave up.
func alive(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), one[:])
		silent = err == syscall.EAGAIN
		return true
	})
	return err == nil && silent
}
