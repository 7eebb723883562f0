package knockout

// knockedout is the package that the copy has and no other program: which units are out.
const knockedout = `// Package knockedout belongs to a disposable copy that a drill attacks. It is in no repository and in no release.
package knockedout

import (
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

var (
	self, _ = os.Executable()
	out     = read()
	noted   sync.Map
)

func read() map[string]bool {
	all := map[string]bool{}
	text, err := os.ReadFile(self + ".out")
	if err != nil {
		return all
	}
	for _, unit := range strings.Fields(string(text)) {
		all[unit] = true
	}
	return all
}

// Out reports whether a unit is out, and notes, once, that it was missed.
func Out(unit string) bool {
	if !out[unit] {
		return false
	}
	if _, again := noted.LoadOrStore(unit, true); !again {
		Note(".used", unit)
	}
	return true
}

// Note adds a line to the file beside the program that ends so.
func Note(ending, line string) {
	f, err := os.OpenFile(self+ending, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	f.WriteString(line + "\n")
	f.Close()
}

var listening sync.Once

// Listen serves h on a port of this machine, which nobody but a drill would have opened, and notes its address.
func Listen(h http.Handler) {
	listening.Do(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return
		}
		Note(".port", l.Addr().String())
		go http.Serve(l, h)
	})
}
`
