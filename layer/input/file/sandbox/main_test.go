package sandbox_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// doomed is the environment of the parent that dies.
const doomed = "REDOUBT_TEST_DOOMED_PARENT"

// raise starts a worker that sleeps, and says which processes are this one's children.
func raise() error {
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return err
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			lists, _ := filepath.Glob("/proc/self/task/*/children")
			for _, list := range lists {
				if text, err := os.ReadFile(list); err == nil && len(bytes.Fields(text)) > 0 {
					fmt.Println(string(bytes.Fields(text)[0]))
				}
			}
		}
	}()
	_, _, err = sleep.Run(context.Background(), box, f, true)
	return err
}

// TestMain keeps two kinds of process from running the tests: a worker that was started for a job that there is not, and the parent
// that a test starts in order to kill it.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == sandbox.Marker:
		select {}
	case os.Getenv(doomed) != "":
		if err := raise(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}
