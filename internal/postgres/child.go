package postgres

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A child is a running program of PostgreSQL.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; readable once done is closed
}

// launch starts cmd so that it gets the signal if we die. The kernel ties this to the thread that starts the child, not to the
// process, so the thread is kept until the child ends and thrown away with it.
func launch(cmd *exec.Cmd, onDeath syscall.Signal) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		dieWithParent(cmd.SysProcAttr, onDeath)
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

// end stops a child that is of no use any more.
func (c *child) end() {
	c.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-c.done:
	case <-time.After(patience):
		c.cmd.Process.Kill()
		<-c.done // what is killed ends
	}
}
