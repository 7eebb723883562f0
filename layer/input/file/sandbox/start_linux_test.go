package sandbox_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWorkerDiesWithItsParent(t *testing.T) { // SYSTEM T6
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), doomed+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	worker := said.Text()
	if !alive(worker) {
		t.Errorf("%q is not a process", worker)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for range 200 {
		if !alive(worker) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the worker outlives its parent")
}

// alive reports whether there is such a process, and it is more than an entry that its new parent has not read.
func alive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	_, after, _ := strings.Cut(string(text), ") ")
	return pid != "" && err == nil && !strings.HasPrefix(after, "Z")
}

func TestAWorkerStartedByHandDoesNothing(t *testing.T) {
	for name, args := range map[string][]string{
		"for a job that there is":   {sandbox.Marker, "sandbox_test.commit"},
		"for one that there is not": {sandbox.Marker, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(self(t))
			cmd.Args = args
			said, err := cmd.CombinedOutput()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != 3 || !strings.Contains(string(said), "of no use when started by hand") {
				t.Errorf("got %v and %q", err, said)
			}
		})
	}
	cmd := exec.Command(self(t), "-test.run=^$", sandbox.Marker, "sandbox_test.commit")
	cmd.Env = append(os.Environ(), sandbox.Marker+"=sandbox_test.commit", "REDOUBT_SANDBOX=1")
	if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), "PASS") {
		t.Errorf("environment and arguments made a worker of a program that is none: %v, %q", err, said)
	}
}
