package sandbox

import (
	"encoding/json"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// marker is a worker's name, its argument zero. It is no secret: a process that was started under it, by whomever, can only confine
// itself, read the file that it was given and write to the pipe that it was given. An environment variable cannot make one.
const marker = "redoubt: sandboxed worker"

// The descriptors that a worker inherits.
const (
	fileFD  = 3
	sayFD   = 4
	orderFD = 5
)

// How a worker ends by itself, other than well. 2 is the Go runtime's own.
const (
	exitRuntime   = 2
	exitUnstarted = 3
	exitPanicked  = 4
)

// grace is how long a worker waits for its job to be registered, that is, for the packages between this one and the job's to be
// initialised. If it never is, main must not run for long.
const grace = 5 * time.Second

// mostStack bounds a job that calls itself: Go's own bound, a gigabyte, is above ours on all memory.
const mostStack = 32 << 20

// A worker is this process, where it is one.
type worker struct {
	job   string
	order order
	file  *os.File
	says  *os.File
	late  *time.Timer
}

// awaited is nil in a program that runs as itself. It is a variable's value and no init's work, because Go sets variables in the
// order in which they need each other, so that it is there before the first job is registered, this package's own included.
var awaited = recognise()

// recognise finds out whether this process is a worker, and does so in every program that imports the package: none can forget to.
func recognise() *worker {
	if len(os.Args) != 2 || os.Args[0] != marker {
		return nil
	}
	if !inherited() {
		os.Stderr.WriteString("This is what redoubt starts to look at one untrusted file. It is of no use when started by hand.\n")
		syscall.Exit(exitUnstarted)
	}
	w := &worker{job: os.Args[1], file: os.NewFile(fileFD, "upload"), says: os.NewFile(sayFD, "answers")}
	told := os.NewFile(orderFD, "order")
	text, err := io.ReadAll(io.LimitReader(told, mostOrder+1))
	told.Close()
	if err != nil || len(text) > mostOrder || json.Unmarshal(text, &w.order) != nil {
		syscall.Exit(exitUnstarted)
	}
	// Also makes the runtime open what it needs to wait for a time, while descriptors can still be had.
	w.late = time.AfterFunc(grace, func() { syscall.Exit(exitUnstarted) })
	return w
}

// serve is a worker's whole life after the packages are initialised. It exits by the system call, so that nothing that a program
// has put behind its exit runs here.
func serve[In, Out any](w *worker, run func(*os.File, In, func([]byte) error) Out) {
	held, err := confine(w.order)
	if err != nil {
		syscall.Exit(exitUnstarted)
	}
	w.late.Stop()
	debug.SetMaxStack(mostStack)
	var in In
	if json.Unmarshal(w.order.In, &in) != nil {
		syscall.Exit(exitUnstarted)
	}
	w.say(frameHeld, held)

	defer func() {
		if recover() != nil {
			syscall.Exit(exitPanicked)
		}
	}()
	out := run(w.file, in, func(b []byte) error { return writeFrame(w.says, framePart, b) })
	w.say(frameAnswer, out)
	syscall.Exit(0)
}

// say sends what is JSON. Where the parent no longer listens there is nothing left to do.
func (w *worker) say(kind byte, what any) {
	text, err := json.Marshal(what)
	if err != nil || writeFrame(w.says, kind, text) != nil {
		syscall.Exit(exitPanicked)
	}
}
