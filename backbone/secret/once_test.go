package secret_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/backbone/secret"
)

func TestMain(m *testing.M) {
	// The child of TestOnceAgreesAcrossProcesses.
	if dir := os.Getenv("SECRET_TEST_ONCE"); dir != "" {
		v, err := secret.Dir(dir).Once("key", 32)
		fmt.Print(v.Reveal(), err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOnceMakesASecretAndKeepsIt(t *testing.T) {
	dir := filepath.Join(private(t), "a", "secrets")
	first, err := secret.Dir(dir).Once("key", 32)
	must(t, err)
	second, err := secret.Dir(dir).Once("key", 32)
	must(t, err)
	got, err := secret.Dir(dir).Get(t.Context(), "key")
	must(t, err)
	if !first.Equal(second) || !first.Equal(got) {
		t.Error("three readings differ")
	}
	if raw, err := base64.RawURLEncoding.DecodeString(first.Reveal()); err != nil || len(raw) != 32 {
		t.Errorf("got %d bytes, %v", len(raw), err)
	}
	other, err := secret.Dir(dir).Once("other", 32)
	must(t, err)
	if first.Equal(other) {
		t.Error("two secrets are the same")
	}
	checkMode(t, dir, 0o700)
	checkMode(t, dir+"/key", 0o600)
}

func TestOnceHealsWhatACrashLeaves(t *testing.T) {
	for name, content := range map[string]string{
		"an empty file":                          "",
		"a file of zero bytes after a power cut": strings.Repeat("\x00", 43),
		"zero bytes and a line end":              "\x00\x00\n",
		"a file with only a line end":            "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := private(t)
			write(t, dir+"/key", content)
			write(t, dir+"/.new-ABC", "half a secr")
			write(t, dir+"/.new-DEF", "")
			v, err := secret.Dir(dir).Once("key", 32)
			must(t, err)
			if len(v.Reveal()) != 43 {
				t.Errorf("got %d characters", len(v.Reveal()))
			}
			if got := list(t, dir); got != "key" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
}

func TestOnceNeverOverwritesASecret(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"an operator's own, longer one", strings.Repeat("k", 60), ""},
		{"an operator's own, with spaces and signs", "correct horse battery staple, and then some more %!", ""},
		{"one that was cut short", "dGhpcyBpcyBo", "12 characters where at least 43 are expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := private(t)
			write(t, dir+"/key", c.content)
			v, err := secret.Dir(dir).Once("key", 32)
			if c.want == "" && (err != nil || v.Reveal() != c.content) {
				t.Errorf("got %q, %v", v.Reveal(), err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.content)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if now, err := os.ReadFile(dir + "/key"); err != nil || string(now) != c.content {
				t.Errorf("the file is now %q, %v", now, err)
			}
		})
	}
}

func TestOnceRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		bytes   int
		prepare func(t *testing.T, dir string)
		want    string
	}{
		{"too few bytes", 15, nil, "16 to 1024"},
		{"too many bytes", 1025, nil, "16 to 1024"},
		{"a folder that others may write", 32, func(t *testing.T, dir string) { chmod(t, dir, 0o777) }, "mode 0777"},
		{"an empty file that others may write", 32, func(t *testing.T, dir string) {
			write(t, dir+"/key", "")
			chmod(t, dir+"/key", 0o666)
		}, "mode 0666"},
		{"a dangling symbolic link", 32, func(t *testing.T, dir string) { must(t, os.Symlink("gone", dir+"/key")) }, "symbolic link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := private(t)
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			v, err := secret.Dir(dir).Once("key", c.bytes)
			checkOutcome(t, v, err, c.want)
		})
	}
}

func TestOnceAgreesAcrossGoroutines(t *testing.T) {
	for _, start := range []string{"", "empty"} {
		dir := private(t)
		if start != "" {
			write(t, dir+"/key", "")
		}
		got := make([]string, 16)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				v, err := secret.Dir(dir).Once("key", 32)
				got[i] = fmt.Sprint(v.Reveal(), err)
			})
		}
		wg.Wait()
		checkAgree(t, got)
	}
}

func TestOnceAgreesAcrossProcesses(t *testing.T) {
	dir := private(t)
	write(t, dir+"/key", "")
	got := make([]string, 4)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "SECRET_TEST_ONCE="+dir)
			out, err := cmd.CombinedOutput()
			got[i] = string(out)
			if err != nil {
				got[i] += err.Error()
			}
		})
	}
	wg.Wait()
	checkAgree(t, got)
}

func checkAgree(t *testing.T, got []string) {
	t.Helper()
	for _, g := range got {
		if g != got[0] || len(g) != 43+len("<nil>") || !strings.HasSuffix(g, "<nil>") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestOnceWaitsForItsTurnOnlySoLong(t *testing.T) {
	dir := private(t)
	holder, err := os.Open(dir)
	must(t, err)
	defer holder.Close()
	must(t, syscall.Flock(int(holder.Fd()), syscall.LOCK_EX))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		v, err := secret.Dir(dir).Once("key", 32)
		checkOutcome(t, v, err, "another process has held it for 10s")
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	must(t, os.Mkdir(dir, 0o700))
	return dir
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func checkMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %04o, want %04o", path, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	must(t, os.Chmod(path, mode))
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
