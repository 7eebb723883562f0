package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// A measure is a job as it is meant: it reads the file, sends back what is large, and answers what is small.
var measure = sandbox.Register("sandbox_test.measure", func(f *os.File, in int, part func([]byte) error) []int {
	b := make([]byte, in)
	n, _ := f.ReadAt(b, 0)
	if part(b[:n]) != nil || part(bytes.ToUpper(b[:n])) != nil {
		return nil
	}
	return []int{n, bytes.Count(b, []byte("e"))}
})

// sleep is a job that never ends.
var sleep = sandbox.Register("sandbox_test.sleep", func(*os.File, bool, func([]byte) error) bool { time.Sleep(time.Hour); return true })

// small is a box whose limits are met soon.
func small(t testing.TB) *sandbox.Box { return bounded(t, 4*time.Second) }

func bounded(t testing.TB, wall time.Duration) *sandbox.Box {
	box, err := sandbox.New(sandbox.Config{Concurrent: 2, CPU: time.Second, Wall: wall, Memory: 256 << 20, Output: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// upload is a file of 8 KiB without a name.
func upload(t testing.TB) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(8<<10)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAJobIsDone(t *testing.T) { // SYSTEM N2
	f := upload(t)
	if _, err := f.WriteAt([]byte("three trees"), 0); err != nil {
		t.Fatal(err)
	}
	got, parts, err := measure.Run(t.Context(), small(t), f, 11)
	if err != nil || !slices.Equal(got, []int{11, 4}) || len(parts) != 2 || string(parts[0]) != "three trees" || string(parts[1]) != "THREE TREES" {
		t.Errorf("got %v, %q, %v", got, parts, err)
	}
}

func TestTheDefaultsSuffice(t *testing.T) {
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, sentence := range box.Describe() {
		t.Log(sentence)
	}
	if got := len(box.Describe()); got != 6 {
		t.Errorf("%d things are said about what protects, want 6", got)
	}
	if missing := strings.Count(strings.Join(box.Without("filter", "descriptors").Describe(), "\n"), "NOT HELD"); missing < 2 {
		t.Errorf("%d protections are said to be missing, want two at least", missing)
	}
}

func TestAMissingFilterIsATellingOne(t *testing.T) {
	box, err := sandbox.New(sandbox.Config{InsecureWithoutFilter: true})
	if err != nil || !strings.Contains(strings.Join(box.Describe(), "\n"), "NOT HELD: the filter") {
		t.Errorf("got %v", err)
	}
}

func TestEveryFaultOfAConfigurationIsToldAtOnce(t *testing.T) {
	_, err := sandbox.New(sandbox.Config{Concurrent: -1, Waiting: -1, CPU: time.Millisecond, Wall: 1, Memory: 1, Output: 1, Parts: -1})
	for _, field := range []string{"Concurrent", "Waiting", "CPU", "Wall", "Memory", "Output", "Parts"} {
		if err == nil || !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("nothing is said of %s: %v", field, err)
		}
	}
}

func TestAWorkerThatIsLessConfinedThanTheFirstIsNotBelieved(t *testing.T) { // SYSTEM N2
	_, _, err := measure.Run(t.Context(), small(t).Forgetful(), upload(t), 1)
	var fault *sandbox.Fault
	if !errors.As(err, &fault) || fault.Name != sandbox.Unstarted || !fault.Ours() {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderHasABound(t *testing.T) { // SYSTEM T6
	big := sandbox.Register("sandbox_test.big", func(*os.File, string, func([]byte) error) bool { return true })
	_, _, err := big.Run(t.Context(), small(t), upload(t), strings.Repeat("x", 4<<10))
	var fault *sandbox.Fault
	if !errors.As(err, &fault) || fault.Name != sandbox.Unstarted || !strings.Contains(err.Error(), "fit") {
		t.Errorf("got %v", err)
	}
}

func TestAJobThatThereIsNotIsGivenUp(t *testing.T) { // SYSTEM T6
	late := sandbox.Register("sandbox_test.late", func(*os.File, bool, func([]byte) error) bool { return true }) // too late: no variable of the package
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, _, err = late.Run(t.Context(), box, upload(t), true)
	var fault *sandbox.Fault
	if !errors.As(err, &fault) || fault.Name != sandbox.Unstarted {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
}

func TestACallerWhoLeavesTakesTheWorkerAlong(t *testing.T) { // SYSTEM T6
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, _, err := sleep.Run(ctx, small(t), upload(t), true)
	refused(t, err, layer.Unavailable)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func refused(t *testing.T, err error, reason layer.Reason) {
	t.Helper()
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.By != layer.Input || refusal.Reason != reason || refusal.Public == "" {
		t.Errorf("got %v, want a refusal of input's that is %s", err, reason)
	}
}

func TestTheQueueHasAnEnd(t *testing.T) { // SYSTEM T6
	synctest.Test(t, func(t *testing.T) {
		pool := sandbox.NewPool(1, 2)
		if err := pool.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waited := make(chan error, 2)
		go func() { waited <- pool.Enter(hurried) }()
		go func() { waited <- pool.Enter(t.Context()) }()
		synctest.Wait()
		refused(t, pool.Enter(t.Context()), layer.Limited)

		time.Sleep(2 * time.Second) // one of the two gives up, and its place is free again
		refused(t, <-waited, layer.Unavailable)
		go func() { waited <- pool.Enter(t.Context()) }()
		synctest.Wait()
		refused(t, pool.Enter(t.Context()), layer.Limited)

		for range 2 {
			pool.Leave()
			if err := <-waited; err != nil {
				t.Errorf("the next one waits on: %v", err)
			}
		}
		pool.Leave()
	})
}

func FuzzReply(f *testing.F) {
	held := "H\x00\x00\x00\x02[]"
	for _, seed := range []string{"", held, held + "A\x00\x00\x00\x01{", held + "P\x00\x00\x00\x00P\x00\x00\x00\x01xA\x00\x00\x00\x02{}",
		held + "P\xff\xff\xff\xff", "P", held + held, "H\x00\x00\x00\x04null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		parts, answer, name := sandbox.ReadReply(bytes.NewReader(said), sandbox.Config{Output: 1 << 10, Parts: 4})
		total := len(answer)
		for _, p := range parts {
			total += len(p)
		}
		if total > 1<<10 || len(parts) > 4 || name != "" && !slices.Contains(sandbox.Faults, name) {
			t.Errorf("%d bytes, %d parts, %q", total, len(parts), name)
		}
	})
}

// BenchmarkStart is what a process of its own costs each job.
func BenchmarkStart(b *testing.B) {
	box, f := small(b), upload(b)
	for b.Loop() {
		if _, _, err := measure.Run(b.Context(), box, f, 1); err != nil {
			b.Fatal(err)
		}
	}
}
