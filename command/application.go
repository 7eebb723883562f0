package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// An application is the child process that serves. It is a process of its own so that it holds what it needs and nothing else:
// no key of the certificate authority or of the edge, no password of another role, no listening socket.
type application struct {
	cmd    *exec.Cmd
	orders io.Closer // its standard input: closing it ends it
	done   chan struct{}
	err    error // how it ended; read it after done is closed
}

func (a *application) pid() int { return a.cmd.Process.Pid }

// linkLimit is how long the application may take to reach the edge.
const linkLimit = 30 * time.Second

func (s *system) startApplication(ctx context.Context) error {
	o, err := s.applicationOrder()
	if err != nil {
		return err
	}
	log, err := s.logTo("application")
	if err != nil {
		return err
	}
	defer log.Close()
	linked := make(chan struct{})
	if s.child, err = startChild(o, log, linked); err != nil {
		return err
	}
	s.later(s.child.stop)
	select {
	case <-linked:
	case <-s.child.done:
		return hinted{errors.New("the application ended while it started"), "read " + s.dir.log("application")}
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(linkLimit):
		return hinted{errors.New("the application does not reach its edge"), "read " + s.dir.log("application")}
	}
	s.background(func() error {
		<-s.child.done
		if s.child.err == nil {
			return nil
		}
		return hinted{errors.New("the application has ended by itself"), "read " + s.dir.log("application")}
	})
	s.tell.step("application", fmt.Sprintf("process %d, no listening port, linked to the edge", s.child.pid()))
	return nil
}

// startChild runs this very program as `serve`. The kernel ends it when we die, and so does the end of its standard input.
func startChild(o order, log *os.File, linked chan<- struct{}) (*application, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.Command(self, "serve")
	cmd.Stderr = log
	cmd.Env = []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=" + os.Getenv("GOMAXPROCS"), "TZ=UTC"}
	cmd.Dir = "/"
	cmd.SysProcAttr = childAttributes()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a := &application{cmd: cmd, orders: stdin, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends, not the process: this thread stays until then.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		watch(stdout, linked)
		a.err = cmd.Wait()
		close(a.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the application: %w", err)
	}
	if err := json.NewEncoder(stdin).Encode(o); err != nil {
		return nil, fmt.Errorf("giving the application its orders: %w", err)
	}
	return a, nil
}

// watch reads the child's events until it ends.
func watch(stdout io.Reader, linked chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	told := false
	for lines.Scan() {
		var event struct {
			Event string `json:"event"`
		}
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == "linked" && !told {
			told = true
			close(linked)
		}
	}
	io.Copy(io.Discard, stdout)
}

// stop lets the application finish the requests under way.
func (a *application) stop(ctx context.Context) error {
	a.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		a.orders.Close()
		a.cmd.Process.Kill()
		<-a.done
		return errors.New("the application did not end in time and was ended")
	}
}
