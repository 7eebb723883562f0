package sandbox

import "fmt"

// A Name says how a worker went wrong. The vocabulary is closed: it is for audit trails and for tables of sentences.
type Name string

// The names.
const (
	Overworked Name = "overworked" // used up its processor time
	Exhausted  Name = "exhausted"  // its Go runtime gave up: out of memory, a stack without end, a panic on a side track
	Crashed    Name = "crashed"    // the job panicked, or the process was ended by a signal of its own making
	Forbidden  Name = "forbidden"  // asked the kernel for something that a worker must not do
	Flooded    Name = "flooded"    // answered more than it may
	Garbled    Name = "garbled"    // answered what is no answer
	Silent     Name = "silent"     // ended well without an answer
	TimedOut   Name = "timed-out"  // did not end in time, though it did not use its processor time up
	Killed     Name = "killed"     // was ended by somebody else: an operator, or a system without memory
	Unstarted  Name = "unstarted"  // could not be started, or not be confined
)

// A Fault is the error of a job that gave no answer. It holds nothing that the worker said.
type Fault struct {
	Name Name
	Err  error // for Unstarted: what was being done; otherwise nil
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Err != nil {
		return fmt.Sprintf("sandbox: %s: %v", f.Name, f.Err)
	}
	return "sandbox: " + string(f.Name)
}

// Unwrap gives Err to errors.Is.
func (f *Fault) Unwrap() error { return f.Err }

// Ours reports whether the fault lies with this machine and not with the file, so that the same file may be taken another time.
func (f *Fault) Ours() bool {
	return f.Name == TimedOut || f.Name == Killed || f.Name == Unstarted
}
