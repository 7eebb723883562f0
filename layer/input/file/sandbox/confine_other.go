//go:build !linux && !darwin

package sandbox

import (
	"errors"
	"os"
	"syscall"
)

// A way is how a worker is parted from its parent. There is none on this system, and so New refuses.
type way struct {
	name       string
	namespaces bool
	threads    uint64
}

var errSystem = errors.New("workers run on Linux and macOS alone")

func ways() []way                            { return []way{{name: "nothing"}} }
func (way) attributes() *syscall.SysProcAttr { return nil }
func executable() string                     { return "" }
func reopen(*os.File) (*os.File, error)      { return nil, errSystem }
func inherited() bool                        { return false }
func confine(order) ([]protection, error)    { return nil, errSystem }
func autopsy(*os.ProcessState, Config) Name  { return Crashed }
