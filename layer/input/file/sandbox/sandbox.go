// Package sandbox runs one job on one untrusted file in a process of its own, which can do nothing else: it has no network, no
// files, no other programs, little memory and little time (SYSTEM N2, T6). A decoder that crashes, is tricked or never ends costs
// one upload.
//
// The worker is this very program, started once more for each job under a name that nobody types. A variable of this package
// sees the name, and the variable that registers the job then runs it and exits, before main and without it. So no program that
// imports the package can forget to ask whether it is a worker, tests included.
//
// # What it assumes has failed
//
// The decoder. The file was made by somebody who knows a fault in it, and the code behind the fault now does what they want. What
// the worker answers is theirs too, so its frames are bounded before they are read, and its caller checks what they say.
//
// # What it stops
//
// On Linux, on amd64 and arm64, files, sockets, other programs and other processes are out of reach by two mechanisms at least, and
// so are memory and time. An allow-list of system calls that the kernel enforces (seccomp, for all threads at once) has none that
// opens, executes, connects or signals; whoever tries ends there. The bound on descriptors (RLIMIT_NOFILE) is zero, so nothing is
// opened even without the list, and no program finds its libraries. In namespaces of the worker's own there is no network, no
// other process and no other user; root becomes nobody, and no_new_privs is set. Memory: RLIMIT_DATA, and below it Go's own bound.
// Time: RLIMIT_CPU, and the parent's clock. Writing: RLIMIT_FSIZE is zero, and the file is opened again for reading. The worker
// inherits the file and two pipes, no environment, no directory, no terminal; it cannot be traced or dumped, and it dies with its
// parent. Copies of itself the list alone forbids; without it they are bounded by RLIMIT_NPROC and have no more than the worker.
//
// RLIMIT_DATA and not RLIMIT_AS bounds the memory. Go reserves addresses that it never uses: a worker that does nothing has 1.2 GiB
// of them, and the sum moves from release to release, while it can write to 70 MiB and has touched 4.
//
// On macOS there are a process, its limits and the clock, no filter and no namespaces: enough against bombs and
// crashes, not against code that was taken over. Other systems have no workers. Describe says what holds where the program runs.
//
// # What it does not stop
//
// A wrong answer: a worker that was taken over can return any picture that it likes, of the bytes that it was given. Faults of
// the kernel in the system calls that remain. What the processor leaks between processes.
//
// # How it is knocked out in a drill
//
// A protection is left out of the order that the parent writes to the worker, one at a time and in pairs; this package's tests show
// that each attack then succeeds that is only stopped by what was left out, and that the others do not.
//
// # Example
//
//	var count = sandbox.Register("example.count", func(f *os.File, in Request, part func([]byte) error) Answer {
//		... // reads f by ReadAt, sends large results by part, returns the small one
//	})
//
//	box, err := sandbox.New(sandbox.Config{}) // at start; err means that the kernel refuses
//	...
//	answer, parts, err := count.Run(ctx, box, f, Request{})
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

// Config bounds the workers. The zero Config is good for pictures of fifty million pixels.
type Config struct {
	Concurrent int           // jobs at a time; zero is half of the processors, at least one
	Waiting    int           // jobs that wait for their turn, more are refused; zero is 32
	CPU        time.Duration // processor time of one job, whole seconds; zero is 10 seconds
	Wall       time.Duration // time of one job from its start, by the parent's clock; zero is 30 seconds
	Memory     int64         // bytes that one worker may have to write to; zero is 768 MiB, the least is 128 MiB
	Output     int64         // bytes that one worker may answer, all frames together; zero is 20 MiB
	Parts      int           // binary parts of one answer; zero is 64

	// InsecureWithoutFilter lets workers run on a Linux whose kernel or container refuses the filter of system calls. False, the
	// default, makes New say so.
	InsecureWithoutFilter bool
}

const (
	leastMemory = 128 << 20 // below, Go's runtime does not start: it maps its heap by 64 MiB
	mostJobs    = 1024
	mostOutput  = 1 << 30
)

func (c Config) withDefaults() Config {
	orDefault(&c.Concurrent, max(1, runtime.NumCPU()/2))
	orDefault(&c.Waiting, 32)
	orDefault(&c.CPU, 10*time.Second)
	orDefault(&c.Wall, 30*time.Second)
	orDefault(&c.Memory, 768<<20)
	orDefault(&c.Output, 20<<20)
	orDefault(&c.Parts, 64)
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) check() error {
	var all []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Concurrent < 1 || c.Concurrent > mostJobs, "Concurrent is %d: say 1 to %d", c.Concurrent, mostJobs)
	wrong(c.Waiting < 1 || c.Waiting > mostJobs, "Waiting is %d: say 1 to %d", c.Waiting, mostJobs)
	wrong(c.CPU < time.Second || c.CPU%time.Second != 0, "CPU is %v: say whole seconds, the kernel counts no others", c.CPU)
	wrong(c.Wall < time.Second, "Wall is %v: say a second or more", c.Wall)
	wrong(c.Memory < leastMemory, "Memory is %d: say %d or more", c.Memory, leastMemory)
	wrong(c.Output < 1<<10 || c.Output > mostOutput, "Output is %d: say %d to %d", c.Output, 1<<10, mostOutput)
	wrong(c.Parts < 1 || c.Parts > mostJobs, "Parts is %d: say 1 to %d", c.Parts, mostJobs)
	return errors.Join(all...)
}

// A Box starts workers, a bounded number at a time. It may be used concurrently.
type Box struct {
	c    Config
	pool *pool
	way  way          // how workers are parted from this process; found by New
	held []protection // what a worker of ours has said that it holds; each must say the same again
	omit []protection // what a test has taken away
}

// hello is New's own job: that a worker starts, confines itself and answers.
var hello = Register("sandbox.hello", func(*os.File, struct{}, func([]byte) error) bool { return true })

// New finds out how much the kernel gives, by starting a worker that does nothing: first with everything, then with less. What is
// missing is told by Describe; a missing filter on Linux is an error.
func New(c Config) (*Box, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("checking the sandbox's configuration: %w", err)
	}
	b := &Box{c: c, pool: newPool(c.Concurrent, c.Waiting)}
	if c.InsecureWithoutFilter {
		b.omit = []protection{filter}
	}
	var all []error
	for _, b.way = range ways() {
		err := b.greet()
		if err == nil {
			return b, nil
		}
		all = append(all, fmt.Errorf("starting a worker with %s: %w", b.way.name, err))
	}
	return nil, errors.Join(all...)
}

// greet runs the job that does nothing on the one file that is always there.
func (b *Box) greet() error {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("opening the empty file: %w", err)
	}
	defer f.Close()
	_, _, err = hello.Run(context.Background(), b, f, struct{}{})
	return err
}
