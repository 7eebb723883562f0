//go:build !unix

package origin

import "net"

// alive cannot look without waiting here: what was closed is found out by the request.
func alive(net.Conn) bool { return true }
