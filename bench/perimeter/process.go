package perimeter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A process is one server under measurement. It ends when its standard input does, so it cannot outlive us.
type process struct {
	name    string
	address string // of its public side, or of what it listens on
	hop     string // where it is dialled from within; empty for most
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	log     string
}

// startLimit bounds how long a server may take to be ready, and to end.
const startLimit = 40 * time.Second

// launch starts a server and waits until it can be asked.
func (r *run) launch(ctx context.Context, t task) (*process, error) {
	r.started++
	name := fmt.Sprintf("%s-%d", t.Server, r.started)
	t.Public, t.Service = r.public, r.credential.digest
	if r.cfg.Profiles != "" {
		t.Profile = filepath.Join(r.cfg.Profiles, name+".pprof")
	}
	p := &process{name: t.Server, log: filepath.Join(r.dir, name+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a server's log: %w", err)
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(r.cfg.Server[0], r.cfg.Server[1:]...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it in order
	if err := p.start(ctx, t); err != nil {
		return nil, fmt.Errorf("starting %s: %w", t.Server, err)
	}
	return p, nil
}

func (p *process) start(ctx context.Context, t task) error {
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.in, p.out = in, json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	defer stop()
	var said ready
	if err := errors.Join(json.NewEncoder(p.in).Encode(t), p.out.Decode(&said)); err != nil {
		p.stop()
		return fmt.Errorf("%w%s", errors.Join(ctx.Err(), err), p.lastWords())
	}
	p.address, p.hop = said.Address, said.Hop
	return nil
}

// usage asks the process what it has used so far.
func (p *process) usage() (u usage, err error) {
	kill := time.AfterFunc(grace, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	if err = json.NewEncoder(p.in).Encode(question{}); err == nil {
		err = p.out.Decode(&u)
	}
	if err != nil {
		return u, fmt.Errorf("asking %s what it has used: %w%s", p.name, err, p.lastWords())
	}
	return u, nil
}

// stop ends the process in order, and after a while anyhow.
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
