package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Each program of a test is bounded in time, like the installation of what it needs.
const (
	installLimit = 5 * time.Minute
	startLimit   = 30 * time.Second
)

// program finds a program, or fails with the sentence that mends it.
func program(t testing.TB, name, packages string) string {
	t.Helper()
	for _, at := range []string{"/usr/bin/" + name, "/usr/sbin/" + name} { // Debian's own first: its packages belong to it
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	at, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install --no-install-recommends %s", name, packages)
	}
	return at
}

// start runs a program until the test ends, and returns the first line that it prints, if it is to print one.
func start(t testing.TB, dir string, environment []string, says bool, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", filepath.Base(name), complaints.Bytes())
		}
	})
	if !says {
		return ""
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		if text == "" {
			t.Fatalf("%s ended: %s", filepath.Base(name), complaints.Bytes())
		}
		return text
	case <-time.After(startLimit):
		t.Fatalf("%s does not start", filepath.Base(name))
	}
	panic("unreachable")
}

// express is a folder with the packages that testdata/express/package-lock.json pins by digest, installed once.
var express = sync.OnceValues(func() (string, error) {
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join("testdata", "express", name))
		if err != nil {
			return "", err
		}
		files[name] = content
		sum.Write(content)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	place := filepath.Join(cache, "redoubt", "express-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(place); err == nil {
		return place, nil
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(place), ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), installLimit)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing Express with npm (apt-get install --no-install-recommends npm): %w\n%s", err, out)
	}
	// Another process may have finished first; it had the same digests.
	if err := os.Rename(work, place); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", err
	}
	return place, nil
})

// printed is the first block of a language in docs/assertion.md.
func printed(t testing.TB, language string) []byte {
	t.Helper()
	page, err := os.ReadFile("../../../docs/assertion.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n```" + language + "\n(.*?\n)```\n").FindSubmatch(page)
	if block == nil {
		t.Fatalf("docs/assertion.md has no block of %s", language)
	}
	return block[1]
}

func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func given(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The applications of docs/assertion.md, one for each language. They return their address.
var languages = map[string]func(t testing.TB, environment ...string) string{
	"Node.js": startExpress,
	"Python": func(t testing.TB, environment ...string) string {
		dir := t.TempDir()
		write(t, dir, map[string][]byte{"app.py": given(t, "python/app.py"), "assertion.py": printed(t, "python")})
		return start(t, dir, environment, true, program(t, "python3", "python3 python3-cryptography"), "app.py")
	},
	"Go": func(t testing.TB, environment ...string) string {
		dir := t.TempDir()
		write(t, dir, map[string][]byte{"main.go": given(t, "golang/main.go"), "assertion.go": printed(t, "go")})
		app := filepath.Join(dir, "app")
		build := exec.Command("go", "build", "-o", app, filepath.Join(dir, "main.go"), filepath.Join(dir, "assertion.go"))
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building the program of docs/assertion.md: %v\n%s", err, out)
		}
		return start(t, dir, environment, true, app)
	},
}

func startExpress(t testing.TB, environment ...string) string {
	t.Helper()
	place, err := express()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"app.mjs": given(t, "express/app.mjs"), "assertion.mjs": printed(t, "js"), "package.json": given(t, "express/package.json")})
	if err := os.Symlink(filepath.Join(place, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return start(t, dir, environment, true, program(t, "node", "nodejs npm"), "app.mjs")
}
