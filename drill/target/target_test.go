package target_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// work makes a template of the program as it is, with nothing cut.
func work(t *testing.T) (dir string, template *target.Template) {
	t.Helper()
	dir, err := target.Work()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "redoubt")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/redoubt-dev/redoubt/cmd/redoubt").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	if template, err = target.NewTemplate(t.Context(), program, dir); err != nil {
		t.Fatal(err)
	}
	return dir, template
}

// TestACopyIsWholeApartAndGoneWithoutATrace has two at once, in which the same people do different things.
func TestACopyIsWholeApartAndGoneWithoutATrace(t *testing.T) { // SYSTEM G5
	dir, template := work(t)
	var copies [2]*target.Copy
	for i := range copies {
		c, err := template.Start(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		copies[i] = c
	}
	bob := copies[0].Client(target.Inside)
	if err := bob.SignIn(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	program := copies[0].Client(target.Inside)
	program.Bearer = copies[0].Key("bob")
	if a, err := program.Ask(t.Context(), "POST", "/api/v1/posts", map[string]string{"body": "only in one"}); err != nil || a.Status != 201 {
		t.Fatalf("writing answers %d %v", a.Status, err)
	}
	for i, want := range []int{1, 0} {
		var got int
		if err := copies[i].Admin().QueryRow(t.Context(), `select count(*) from commons.post where body = 'only in one'`).Scan(&got); err != nil || got != want {
			t.Errorf("copy %d has %d posts, want %d (%v)", i, got, want, err)
		}
	}
	if a, err := copies[0].Client(target.Outside).Get(t.Context(), "/"); err != nil || a.Status/100 == 2 {
		t.Errorf("from outside: %d %v", a.Status, err)
	}
	if copies[0].Port() != "" || len(copies[0].Missed()) != 0 {
		t.Errorf("a whole copy listens at %q and misses %v", copies[0].Port(), copies[0].Missed())
	}
	processes := append(family(t, copies[0]), family(t, copies[1])...)
	for _, c := range copies {
		if err := c.Stop(); err != nil || c.Alive() {
			t.Errorf("stopping: %v, alive %t", err, c.Alive())
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "copy-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
	gone(t, processes)
}

// family is the processes of a copy: those whose program or folder is in its own.
func family(t *testing.T, c *target.Copy) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.Data())
	for _, p := range all {
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && (strings.HasPrefix(exe, dir+"/") || strings.HasPrefix(cwd, dir+"/")) {
			pids = append(pids, pid)
		}
	}
	if len(pids) < 3 {
		t.Fatalf("a copy has %d processes", len(pids))
	}
	return pids
}

func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			if state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); errors.Is(err, fs.ErrNotExist) || strings.Contains(string(state), ") Z ") {
				break
			}
			if time.Since(began) > 10*time.Second {
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

// TestAKilledDrillLeavesNothingForLong kills the process that has started a copy, as no defer survives that.
func TestAKilledDrillLeavesNothingForLong(t *testing.T) { // SYSTEM G5
	dir, _ := work(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStartsACopyAndWaits$")
	cmd.Env = append(os.Environ(), "TARGET_TEST_WORK="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy-1", "ready")
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(copied); err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the other process does not start a copy")
		}
	}
	var pids []int
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, exe := range all {
		if at, _ := os.Readlink(exe); strings.HasPrefix(at, dir+"/copy-1/") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	if len(pids) < 2 {
		t.Fatalf("the copy has %d processes", len(pids))
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	gone(t, pids)

	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil { // whose folder it is
		t.Fatal(err)
	}
	next, err := target.Work()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(next)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next drill leaves the folder of one that was killed: %v", err)
	}
}

// TestStartsACopyAndWaits is the process that TestAKilledDrillLeavesNothingForLong kills; by itself it has nothing to do.
func TestStartsACopyAndWaits(t *testing.T) {
	dir := os.Getenv("TARGET_TEST_WORK")
	if dir == "" {
		return
	}
	template, err := target.OpenTemplate(filepath.Join(dir, "redoubt"), dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := template.Start(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(c.Data()), "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}
