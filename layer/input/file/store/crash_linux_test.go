package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/input/file/store/storetest"
)

// child runs one test of this program in a process of its own, which is told where the folder is.
func child(t *testing.T, test, path string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), "STORE_FOLDER="+path)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Each test below that is a child does nothing unless it is told a folder.

func TestChildThatIsKilled(t *testing.T) {
	if path := os.Getenv("STORE_FOLDER"); path != "" {
		kill := struct{ io.Reader }{&dying{left: 5}}
		folder(t, path).Put(t.Context(), storetest.NewKey(t), kill, 1<<20)
	}
}

// dying kills its process in the middle.
type dying struct{ left int }

func (d *dying) Read(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {}
	}
	return min(len(p), 1000), nil
}

func TestACrashLeavesNoHalfObject(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	said, err := child(t, "TestChildThatIsKilled", path)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("got %v\n%s", err, said)
	}
	if left := unfinished(t, path); len(left) != 1 {
		t.Errorf("left unfinished: %v", left)
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Errorf("besides what is unfinished: %v, %v", entries, err)
	}
}

const room = 512 << 10 // of a disk that is full

// TestChildOnAFullDisk has the kernel refuse to write more than room into a file, as a full disk does.
func TestChildOnAFullDisk(t *testing.T) {
	path := os.Getenv("STORE_FOLDER")
	if path == "" {
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
		t.Fatal(err)
	}
	d, key, small := folder(t, path), storetest.NewKey(t), storetest.NewKey(t)
	out(t, path, key, "storing", put(t, d, key, storetest.Random(room+1)))
	storetest.Absent(t, d, key)
	if left := unfinished(t, path); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	storetest.Put(t, d, small, storetest.Random(room))
	fmt.Println("the child has seen to the end of it")
}

func TestAFullDiskLeavesNothing(t *testing.T) { // SYSTEM N2
	if said, err := child(t, "TestChildOnAFullDisk", filepath.Join(t.TempDir(), "objects")); err != nil || !strings.Contains(said, "the child has seen to the end of it") {
		t.Errorf("got %v\n%s", err, said)
	}
}

func TestAPipeIsNoObject(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	d, key := folder(t, path), storetest.NewKey(t)
	storetest.Put(t, d, key, []byte("x"))
	if err := errors.Join(os.Remove(at(path, key)), syscall.Mkfifo(at(path, key), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := d.Open(t.Context(), key) // whoever opens it waits for ever
	out(t, path, key, "opening", err)
	if _, err := store.OpenDir(at(path, key)); err == nil {
		t.Error("it is opened as a folder")
	}
}
