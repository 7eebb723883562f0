package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// A crime is what a worker is told to try, as code would that has taken it over.
type crime struct {
	What string `json:"what"`
	On   int    `json:"on,omitempty"` // a process
}

var commit = sandbox.Register("sandbox_test.commit", func(f *os.File, in crime, part func([]byte) error) string {
	return crimes[in.What](f, in, part)
})

// said is how an attempt went, for a crime whose process survives it.
func said(err error) string {
	if err != nil {
		return err.Error()
	}
	return "done"
}

func call(number uintptr, args ...uintptr) string {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return said(errno)
	}
	return "done"
}

type attempt = func(*os.File, crime, func([]byte) error) string

var (
	sink  []byte
	hoard [][]byte
)

var crimes = map[string]attempt{
	"nothing": func(*os.File, crime, func([]byte) error) string { return "done" },
	"opens the password file": func(*os.File, crime, func([]byte) error) string {
		_, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
		return said(err)
	},
	"makes a file": func(*os.File, crime, func([]byte) error) string {
		fd, err := unix.Open("/tmp", unix.O_TMPFILE|unix.O_RDWR, 0o600)
		if err == nil {
			_, err = unix.Write(fd, []byte("x"))
		}
		return said(err)
	},
	"makes a socket": func(*os.File, crime, func([]byte) error) string {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		return said(err)
	},
	"dials the loopback": func(*os.File, crime, func([]byte) error) string {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}})
		}
		return said(err)
	},
	"becomes another program": func(*os.File, crime, func([]byte) error) string {
		return said(unix.Exec("/bin/true", []string{"true"}, nil))
	},
	"forks": func(*os.File, crime, func([]byte) error) string {
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno == 0 && pid == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		if errno != 0 {
			return said(errno)
		}
		return "done"
	},
	"tries clone3":      func(*os.File, crime, func([]byte) error) string { return call(unix.SYS_CLONE3, 0, 0) },
	"signals a process": func(_ *os.File, in crime, _ func([]byte) error) string { return said(unix.Kill(in.On, 0)) },
	"signals a thread elsewhere": func(_ *os.File, in crime, _ func([]byte) error) string {
		return call(unix.SYS_TGKILL, uintptr(in.On), uintptr(in.On), 0)
	},
	"traces a process": func(_ *os.File, in crime, _ func([]byte) error) string {
		return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(in.On), 0, 0)
	},
	"reads a process's memory": func(_ *os.File, in crime, _ func([]byte) error) string {
		return call(unix.SYS_PROCESS_VM_READV, uintptr(in.On), 0, 0, 0, 0, 0)
	},
	"lifts its limits": func(*os.File, crime, func([]byte) error) string {
		return said(unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
	},
	"makes memory executable": func(*os.File, crime, func([]byte) error) string {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
		return said(err)
	},
	"turns memory into code": func(*os.File, crime, func([]byte) error) string {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err == nil {
			err = unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
		}
		return said(err)
	},
	"maps the file": func(f *os.File, _ crime, _ func([]byte) error) string {
		_, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
		return said(err)
	},
	"becomes dumpable": func(*os.File, crime, func([]byte) error) string {
		return said(unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	},
	"makes namespaces":  func(*os.File, crime, func([]byte) error) string { return said(unix.Unshare(unix.CLONE_NEWUSER)) },
	"reads where it is": func(*os.File, crime, func([]byte) error) string { dir, err := unix.Getwd(); return dir + said(err) },
	"writes to its file": func(f *os.File, _ crime, _ func([]byte) error) string {
		_, err := unix.Write(int(f.Fd()), []byte("x"))
		return said(err)
	},
	"reads the environment": func(*os.File, crime, func([]byte) error) string { return strings.Join(os.Environ(), " ") },
	"lists descriptors": func(*os.File, crime, func([]byte) error) string {
		var all []string
		for fd := range 1024 {
			var s unix.Stat_t
			if unix.Fstat(fd, &s) == nil && s.Mode&unix.S_IFMT != 0 {
				all = append(all, fmt.Sprint(fd))
			}
		}
		return strings.Join(all, " ")
	},

	"asks for a gigabyte at once": func(*os.File, crime, func([]byte) error) string { sink = make([]byte, 1<<30); return "done" },
	"fills memory": func(*os.File, crime, func([]byte) error) string {
		for {
			hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
		}
	},
	"calls itself without end": func(*os.File, crime, func([]byte) error) string { return fmt.Sprint(deeper(1)) },
	"computes forever": func(*os.File, crime, func([]byte) error) string {
		for i := 0; ; i++ {
			sink = nil
		}
	},
	"sleeps forever": func(*os.File, crime, func([]byte) error) string { time.Sleep(time.Hour); return "done" },
	"says no more and lives on": func(*os.File, crime, func([]byte) error) string {
		time.Sleep(time.Hour + time.Duration(len(said(unix.Close(4)))))
		return "done"
	},
	"starts threads": func(*os.File, crime, func([]byte) error) string {
		for range 1000 {
			go func() { runtime.LockOSThread(); unix.Nanosleep(&unix.Timespec{Sec: 100}, nil) }()
		}
		time.Sleep(time.Second)
		return "done"
	},
	"leaves a goroutine": func(*os.File, crime, func([]byte) error) string {
		go func() {
			for {
				sink = nil
			}
		}()
		return "done"
	},

	"floods with large parts": func(_ *os.File, _ crime, part func([]byte) error) string {
		for {
			if err := part(make([]byte, 1<<20)); err != nil {
				return said(err)
			}
		}
	},
	"floods with empty parts": func(_ *os.File, _ crime, part func([]byte) error) string {
		for {
			if err := part(nil); err != nil {
				return said(err)
			}
		}
	},
	"announces four gigabytes": func(*os.File, crime, func([]byte) error) string { return utter("P\xff\xff\xff\xff") },
	"answers at great length":  func(*os.File, crime, func([]byte) error) string { return strings.Repeat("x", 1<<17) },
	"says what is no frame":    func(*os.File, crime, func([]byte) error) string { return utter("garbage of any kind") },
	"says what is no JSON":     func(*os.File, crime, func([]byte) error) string { return utter("A\x00\x00\x00\x01{") + exit(0) },
	"answers of another type":  func(*os.File, crime, func([]byte) error) string { return utter("A\x00\x00\x00\x0242") + exit(0) },
	"answers twice":            func(*os.File, crime, func([]byte) error) string { return utter("A\x00\x00\x00\x02\"\"") },
	"confines itself again":    func(*os.File, crime, func([]byte) error) string { return utter("H\x00\x00\x00\x02[]") },
	"stops in mid frame":       func(*os.File, crime, func([]byte) error) string { return utter("P\x00\x00\x10\x00abc") + exit(0) },
	"leaves without a word":    func(*os.File, crime, func([]byte) error) string { return exit(0) },
	"leaves with an odd word":  func(*os.File, crime, func([]byte) error) string { return exit(77) },
	"panics":                   func(*os.File, crime, func([]byte) error) string { panic("at the disco") },
	"follows a wild pointer": func(*os.File, crime, func([]byte) error) string {
		return fmt.Sprint(*(*int)(unsafe.Add(nil, 8)))
	},
	"panics on a side track": func(*os.File, crime, func([]byte) error) string {
		go func() { panic("elsewhere") }()
		select {}
	},
	"aborts": func(*os.File, crime, func([]byte) error) string {
		return said(unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGABRT)) + fmt.Sprint(time.After(time.Hour))
	},
}

func deeper(n int) int {
	if n == 0 {
		return 0
	}
	return deeper(n+1) + n
}

func utter(text string) string {
	_, err := unix.Write(4, []byte(text))
	return said(err)
}

func exit(code int) string { unix.Exit(code); return "" }

// tell is the worker's answer, or the name of its fault.
func tell(t *testing.T, box *sandbox.Box, in crime) string {
	t.Helper()
	answer, _, err := commit.Run(t.Context(), box, upload(t), in)
	var fault *sandbox.Fault
	switch {
	case errors.As(err, &fault):
		return string(fault.Name)
	case err != nil:
		return err.Error()
	}
	return answer
}

// The protections that a test leaves out.
const (
	filter      = "filter"
	descriptors = "descriptors"
	limits      = "limits"
	privileges  = "privileges"
)

// TestACrimeCostsTheWorkerItsLife commits each with everything in its way, and then with protections taken away one after the
// other: as long as one remains that is meant for it, the crime fails, and when the last has gone, it succeeds.
func TestACrimeCostsTheWorkerItsLife(t *testing.T) { // SYSTEM N2, T6
	box, patient := small(t), bounded(t, time.Minute)
	me := os.Getpid()
	const none, denied, gone = "too many open files", "operation not permitted", "no such process"
	for _, c := range []struct {
		what    string
		on      int
		without []string
		alone   bool // without namespaces, as this process's own user
		patient bool // by a parent whose clock waits for the kernel's
		want    string
	}{
		{what: "opens the password file", want: "forbidden"},
		{what: "opens the password file", without: []string{descriptors}, want: "forbidden"},
		{what: "opens the password file", without: []string{filter}, want: none},
		{what: "opens the password file", without: []string{filter, descriptors}, want: "done"},
		{what: "makes a file", want: "forbidden"},
		{what: "makes a file", without: []string{filter}, want: none},
		{what: "makes a file", without: []string{filter, descriptors}, want: "file too large"},
		{what: "makes a file", without: []string{filter, descriptors, limits}, want: "done"},
		{what: "makes a socket", want: "forbidden"},
		{what: "makes a socket", without: []string{filter}, want: none},
		{what: "makes a socket", without: []string{filter, descriptors}, want: "done"},
		{what: "dials the loopback", without: []string{filter, descriptors}, want: "network is unreachable"},
		{what: "dials the loopback", without: []string{filter, descriptors}, alone: true, want: "connection refused"},
		{what: "becomes another program", want: "forbidden"},
		{what: "becomes another program", without: []string{filter}, want: "crashed"},             // its loader opens nothing
		{what: "becomes another program", without: []string{filter, descriptors}, want: "silent"}, // it did, and the other program says nothing
		{what: "forks", want: "forbidden"},
		{what: "forks", without: []string{filter}, want: "done"},
		{what: "tries clone3", want: unix.ENOSYS.Error()},
		{what: "tries clone3", without: []string{filter}, want: "invalid argument"},
		{what: "signals a process", on: me, want: "forbidden"},
		{what: "signals a process", on: me, without: []string{filter}, want: gone},
		{what: "signals a process", on: me, without: []string{filter, privileges}, alone: true, want: "done"},
		{what: "signals a thread elsewhere", on: me, want: "forbidden"},
		{what: "signals a thread elsewhere", on: me, without: []string{filter}, want: gone},
		{what: "traces a process", on: me, want: "forbidden"},
		{what: "traces a process", on: me, without: []string{filter}, want: gone},
		{what: "reads a process's memory", on: me, want: "forbidden"},
		{what: "reads a process's memory", on: me, without: []string{filter}, want: "done"}, // of length zero
		{what: "lifts its limits", want: "forbidden"},
		{what: "lifts its limits", without: []string{filter}, want: denied},
		{what: "makes memory executable", want: "forbidden"},
		{what: "makes memory executable", without: []string{filter}, want: "done"},
		{what: "turns memory into code", want: "forbidden"},
		{what: "turns memory into code", without: []string{filter}, want: "done"},
		{what: "maps the file", want: "forbidden"},
		{what: "maps the file", without: []string{filter}, want: "done"},
		{what: "becomes dumpable", want: "forbidden"},
		{what: "becomes dumpable", without: []string{filter}, want: "done"},
		{what: "makes namespaces", want: "forbidden"},
		{what: "writes to its file", want: "bad file descriptor"},
		{what: "reads where it is", want: "forbidden"},
		{what: "reads where it is", without: []string{filter}, want: "/done"},

		{what: "asks for a gigabyte at once", want: "exhausted"},
		{what: "asks for a gigabyte at once", without: []string{filter}, want: "exhausted"},
		{what: "asks for a gigabyte at once", without: []string{limits}, want: "done"},
		{what: "fills memory", patient: true, want: "exhausted"},
		{what: "calls itself without end", patient: true, want: "exhausted"},
		{what: "computes forever", patient: true, want: "overworked"},
		{what: "computes forever", without: []string{filter}, patient: true, want: "overworked"},
		{what: "computes forever", without: []string{limits}, want: "timed-out"},
		{what: "sleeps forever", want: "timed-out"},
		{what: "says no more and lives on", want: "timed-out"},
		{what: "starts threads", want: "exhausted"},
		{what: "leaves a goroutine", want: "done"},

		{what: "floods with large parts", want: "flooded"},
		{what: "floods with empty parts", want: "flooded"},
		{what: "announces four gigabytes", want: "flooded"},
		{what: "answers at great length", want: "flooded"},
		{what: "says what is no frame", want: "garbled"},
		{what: "says what is no JSON", want: "garbled"},
		{what: "answers of another type", want: "garbled"},
		{what: "answers twice", want: "garbled"},
		{what: "confines itself again", want: "garbled"},
		{what: "stops in mid frame", want: "silent"},
		{what: "leaves without a word", want: "silent"},
		{what: "leaves with an odd word", want: "crashed"},
		{what: "panics", want: "crashed"},
		{what: "follows a wild pointer", want: "crashed"},
		{what: "panics on a side track", want: "exhausted"},
		{what: "aborts", want: "exhausted"},
		{what: "no crime at all", want: "crashed"},
		{what: "nothing", want: "done"},
	} {
		name := c.what
		if c.without != nil {
			name += " without " + strings.Join(c.without, " and ")
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := box
			if c.patient {
				with = patient
			}
			if c.without != nil {
				with = with.Without(c.without...)
			}
			if c.alone {
				with = with.Together()
			}
			if got := tell(t, with, crime{c.what, c.on}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAWorkerInheritsNothing(t *testing.T) { // SYSTEM N2
	leaked, err := unix.Dup(1) // as a parent would that knows nothing of close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leaked)
	t.Setenv("A_SECRET", "of the parent's")
	box := small(t)
	if got, want := tell(t, box, crime{What: "lists descriptors"}), "0 1 2 3 4"; got != want {
		t.Errorf("the worker has the descriptors %s, want %s", got, want)
	}
	if got := tell(t, box.Without(descriptors), crime{What: "lists descriptors"}); got == "0 1 2 3 4" {
		t.Error("nothing was leaked, so that nothing was tested")
	}
	got, want := tell(t, box, crime{What: "reads the environment"}), "GOMAXPROCS=1 GOMEMLIMIT=201326592 GOTRACEBACK=none TZ="
	if got != want {
		t.Errorf("the worker's environment is %q, want %q", got, want)
	}
}

func TestNothingRemains(t *testing.T) { // SYSTEM T6
	box := small(t)
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	f := upload(t)
	before := count()
	for range 5 {
		for _, what := range []string{"nothing", "opens the password file", "panics", "floods with large parts", "says what is no frame", "leaves without a word"} {
			_, _, _ = commit.Run(t.Context(), box, f, crime{What: what})
		}
	}
	if got := count(); got != before {
		t.Errorf("%d descriptors are open, %d were", got, before)
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child remains (%v)", err)
	}
	if at, err := f.Seek(0, io.SeekCurrent); at != 0 || err != nil {
		t.Errorf("the file's offset has moved to %d (%v)", at, err)
	}
}
