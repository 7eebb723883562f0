package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A process is one server under measurement. It ends when its standard input does, so it cannot outlive us.
type process struct {
	name    string
	address string // where it listens; empty for one that does not
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	log     string
}

// startLimit bounds how long a server may take to be ready.
const startLimit = 30 * time.Second

func launch(ctx context.Context, command []string, dir string, t task) (*process, error) {
	p := &process{name: t.Server, log: filepath.Join(dir, t.Server+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a server's log: %w", err)
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Stderr = log
	p.cmd.Env = append(os.Environ(), "TZ=UTC")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it in order
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", t.Server, err)
	}
	if err := p.begin(ctx, t); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) begin(ctx context.Context, t task) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })()
	var said ready
	if err := errors.Join(json.NewEncoder(p.in).Encode(t), p.out.Decode(&said)); err != nil {
		return fmt.Errorf("starting %s: %w%s", p.name, errors.Join(ctx.Err(), err), p.lastWords())
	}
	p.address = said.Address
	return nil
}

// usage asks the process what it has used so far.
func (p *process) usage() (u usage, err error) {
	kill := time.AfterFunc(grace, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	if _, err = p.in.Write([]byte("{}\n")); err == nil {
		err = p.out.Decode(&u)
	}
	if err != nil {
		return u, fmt.Errorf("asking %s what it has used: %w%s", p.name, err, p.lastWords())
	}
	return u, nil
}

// stop lets the process write its profile, and then makes sure that it has ended.
func (p *process) stop() {
	p.in.Close()
	kill := time.AfterFunc(startLimit, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Wait() // how it ended does not matter any more
}

// lastWords is the end of what the process wrote to its log, for an error's text.
func (p *process) lastWords() string {
	const most = 1 << 10
	text, err := os.ReadFile(p.log)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it said: " + string(text[max(0, len(text)-most):])
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func originAt(address string) string { return "https://localhost:" + portOf(address) }

// usage is what a process has used so far.
type usage struct {
	CPU    time.Duration `json:"cpu"`
	Memory int64         `json:"memory"` // bytes, the most at one time
}
