package policy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
)

const (
	everybody = "@public(\"all\") permit(principal, action, resource);\n"
	notAdmin  = "forbid(principal, action, resource in Path::\"app.example/admin\");\n"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// letsIn reports whether nobody sees a path by the policies in force.
func letsIn(s *policy.Store, path string) bool {
	return s.Set().Decide(policy.Request{Host: "app.example", Path: path, Method: "GET", Client: away}).Allow
}

// Policies are taken while the edge runs; what has a problem is not, and opens nothing (SYSTEM P4).
func TestPoliciesAreReloaded(t *testing.T) {
	folder := t.TempDir()
	file, other := filepath.Join(folder, "a.cedar"), filepath.Join(folder, "b.cedar")
	synctest.Test(t, func(t *testing.T) {
		write(t, file, everybody+notAdmin)
		s, err := policy.Open(names, folder)
		if err != nil {
			t.Fatal(err)
		}
		var lock sync.Mutex
		var told []error
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() {
			s.Watch(ctx, 0, func(err error) {
				lock.Lock()
				defer lock.Unlock()
				told = append(told, err)
			})
			close(ended)
		}()
		step := func(sentence string, change func(), wait time.Duration, home, admin bool, reports int, says string) {
			t.Helper()
			lock.Lock()
			told = nil
			lock.Unlock()
			change()
			time.Sleep(wait)
			synctest.Wait()
			lock.Lock()
			defer lock.Unlock()
			if got := letsIn(s, "/"); got != home {
				t.Errorf("%s: home page %t, want %t", sentence, got, home)
			}
			if got := letsIn(s, "/admin"); got != admin {
				t.Errorf("%s: admin %t, want %t", sentence, got, admin)
			}
			if len(told) != reports {
				t.Fatalf("%s: told %v, want %d reports", sentence, told, reports)
			}
			if reports > 0 && (told[0] == nil) != (says == "") || reports > 0 && says != "" && !strings.Contains(told[0].Error(), says) {
				t.Errorf("%s: told %v, want %q", sentence, told, says)
			}
		}
		long := 10*time.Second + time.Millisecond
		step("nothing changes", func() {}, long, true, false, 0, "")
		step("a file loses the rule that shuts out, for a moment", func() { write(t, file, everybody) }, time.Second, true, false, 0, "")
		step("and has it again", func() { write(t, file, everybody+notAdmin) }, long, true, false, 0, "")
		step("a problem", func() {
			write(t, file, everybody+"forbid(principal, action, resource in Path::\"app.example/admin/\");")
		}, long, true, false, 1, "a.cedar:2:39: the path ends with a slash")
		step("another problem", func() { write(t, file, everybody+"forbid(") }, long, true, false, 1, "not Cedar")
		step("an empty file lets nobody in", func() { write(t, file, "") }, long, false, false, 1, "")
		step("it is as it was", func() { write(t, file, everybody+notAdmin) }, long, true, false, 1, "")
		step("another file shuts everybody out", func() { write(t, other, "forbid(principal, action, resource);") }, long, false, false, 1, "")
		step("which is taken away", func() { _ = os.Remove(other) }, long, true, false, 1, "")
		step("no file is left", func() { _ = os.Remove(file) }, long, true, false, 1, "has no files of policies")
		step("a folder stands in its place", func() { _ = os.Mkdir(file, 0o700) }, long, true, false, 1, "not a regular file")
		step("the rule that shuts out is taken back for good", func() { _ = os.Remove(file); write(t, file, everybody) }, long, true, true, 1, "")
		step("a file that is too long", func() { write(t, file, strings.Repeat(" ", policy.MaxFile+1)) }, long, true, true, 1, "longer than")
		cancel()
		<-ended
		step("nobody watches any more", func() { write(t, file, notAdmin) }, long, true, true, 0, "")
	})
}

func TestAnEdgeDoesNotStartWithHalfAPolicy(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "a.cedar")
	for _, c := range []struct {
		sentence string
		make     func()
		paths    []string
		want     string
	}{
		{"no path", func() {}, nil, "no files of policies"},
		{"a file that is not there", func() {}, []string{file}, "no such file"},
		{"an empty folder", func() {}, []string{folder}, "no files of policies"},
		{"a hidden file", func() { write(t, filepath.Join(folder, ".a.cedar"), everybody) }, []string{folder}, "no files of policies"},
		{"a pipe", func() { _ = syscall.Mkfifo(file, 0o600) }, []string{folder}, "not a regular file"},
		{"a problem", func() { _ = os.Remove(file); write(t, file, "permit(principal, action, resource);") }, []string{folder}, "lets everybody in"},
	} {
		c.make()
		if _, err := policy.Open(names, c.paths...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.sentence, err, c.want)
		}
	}
	write(t, file, everybody)
	s, err := policy.Open(names, folder, file)
	if err != nil || !letsIn(s, "/") {
		t.Errorf("the same file twice: %v", err)
	}
	var problems policy.Problems
	write(t, file, "x")
	if _, err := policy.Open(names, file); !errors.As(err, &problems) || problems[0].File != file {
		t.Errorf("got %v", err)
	}
}
