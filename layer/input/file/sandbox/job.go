package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// mostOrder bounds what a job is told. It fits the smallest pipe that Linux gives, so that writing it never waits for a reader.
const mostOrder = 4 << 10

// An order is what the parent tells a worker, through a pipe, since arguments can be read by everybody on the machine.
type order struct {
	CPU     int64           `json:"cpu"` // seconds
	Memory  int64           `json:"memory"`
	Threads uint64          `json:"threads,omitempty"`
	Omit    []protection    `json:"omit,omitempty"`
	In      json.RawMessage `json:"in"`
}

// A Job is something that workers can do. In is small and travels as JSON; Out too.
type Job[In, Out any] struct{ name string }

// Register makes a Job. It is called by the variable that keeps the Job, at package level, and its name is the package's and its
// own. In a worker that was started for this name it does not return: it confines the process, runs the job and exits.
//
// The job reads the file by ReadAt, and sends what is large by part, in order. What it returns is the answer, its own refusals
// included: it has no error, since nobody but Out's type could say what one means. It must not start from init functions of its
// own package, which have not run.
func Register[In, Out any](name string, run func(f *os.File, in In, part func([]byte) error) Out) Job[In, Out] {
	if w := awaited; w != nil && w.job == name {
		serve(w, run)
	}
	return Job[In, Out]{name}
}

// Run has a worker do the job on f, from its first byte to its last; f's own offset is neither used nor moved. The error is a
// *layer.Refusal by layer.Input where the job had to wait for too many others or too long, and a *Fault where the worker gave no
// answer.
//
// Whoever controls the file may, by a fault in the job, control the answer: check it like anything that came from outside.
func (j Job[In, Out]) Run(ctx context.Context, b *Box, f *os.File, in In) (out Out, parts [][]byte, err error) {
	text, err := json.Marshal(in)
	if err != nil {
		return out, nil, &Fault{Unstarted, fmt.Errorf("writing the order: %w", err)}
	}
	if err := b.pool.enter(ctx); err != nil {
		return out, nil, err
	}
	defer b.pool.leave()
	got, err := b.run(ctx, j.name, f, text)
	if err != nil {
		return out, nil, err
	}
	if err := json.Unmarshal(got.answer, &out); err != nil {
		return out, nil, &Fault{Name: Garbled}
	}
	return out, got.parts, nil
}

// run starts a worker, hears it out, and waits until it is gone.
func (b *Box) run(ctx context.Context, job string, f *os.File, in []byte) (got reply, err error) {
	timed, cancel := context.WithTimeout(ctx, b.c.Wall)
	defer cancel()
	w, err := b.start(timed, job, f, in)
	if err != nil {
		return got, &Fault{Unstarted, err}
	}
	defer w.answers.Close()

	got, fault := readReply(w.answers, b.c)
	if fault != nil {
		cancel() // kills it: nothing more that it could say is of interest
	}
	ended := w.cmd.Wait()
	switch {
	case fault != nil:
		return got, fault
	case ctx.Err() != nil:
		return got, interrupted(ctx)
	case timed.Err() != nil:
		return got, &Fault{Name: TimedOut}
	case ended != nil:
		return got, &Fault{Name: autopsy(w.cmd.ProcessState, b.c)}
	case got.answer == nil:
		return got, &Fault{Name: Silent}
	}
	return got, b.believe(got.held)
}

// believe compares what a worker holds with what New's held: none may be less confined than Describe says.
func (b *Box) believe(held []protection) error {
	if b.held == nil {
		b.held = held
	}
	if !slices.Equal(b.held, held) {
		return &Fault{Unstarted, errors.New("the worker is less confined than the first one")}
	}
	return nil
}

// A worked is a worker as its parent sees it.
type worked struct {
	cmd     *exec.Cmd
	answers *os.File
}

// start starts a worker that inherits the file, the pipe for its answers and the pipe with its order, and not even a name.
func (b *Box) start(ctx context.Context, job string, f *os.File, in []byte) (*worked, error) {
	own, err := reopen(f)
	if err != nil {
		return nil, fmt.Errorf("opening the file for the worker: %w", err)
	}
	defer own.Close()
	told, err := b.tell(in)
	if err != nil {
		return nil, err
	}
	defer told.Close()
	answers, says, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for answers: %w", err)
	}
	defer says.Close()

	cmd := exec.CommandContext(ctx, executable())
	cmd.Args = []string{marker, job}
	cmd.Env = []string{ // nothing of ours: Go's own settings alone, and TZ so that no file is read for the time of day
		"GOMAXPROCS=1", fmt.Sprintf("GOMEMLIMIT=%d", b.c.Memory/4*3), "GOTRACEBACK=none", "TZ="}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{own, says, told} // fileFD, sayFD, orderFD
	cmd.SysProcAttr = b.way.attributes()
	if err := cmd.Start(); err != nil {
		answers.Close()
		return nil, fmt.Errorf("starting the worker: %w", err)
	}
	return &worked{cmd, answers}, nil
}

// tell writes the order into a pipe and returns the end to read it from.
func (b *Box) tell(in []byte) (*os.File, error) {
	text, err := json.Marshal(order{int64(b.c.CPU.Seconds()), b.c.Memory, b.way.threads, b.omit, in})
	if err == nil && len(text) > mostOrder {
		err = fmt.Errorf("%d bytes, %d fit", len(text), mostOrder)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the order: %w", err)
	}
	told, tells, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the order: %w", err)
	}
	defer tells.Close()
	if _, err := tells.Write(text); err != nil {
		told.Close()
		return nil, fmt.Errorf("writing the order: %w", err)
	}
	return told, nil
}
