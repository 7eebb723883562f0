// Package pgtest gives tests a real PostgreSQL. One disposable server serves a whole run of `go test ./...`: the first test
// process has it started, the others join, and it ends a moment after the last of them, however that one ended. Each test gets
// databases of its own, cloned from templates that are built once.
//
// A package that uses it says so in its TestMain:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// The server is started and stopped by the reaper: a copy of the test binary in a session of its own, which `go test` does not
// wait for. Everyone who uses the server holds a shared lock that the kernel lets go of with the process; when the reaper can
// have the lock to itself nobody is left. Should the reaper itself be killed, the server goes with it (package postgres), and
// the next test process clears away what remains.
package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

// KeyEnv, if set, has the test process use a server of its own, shared only with others that have the same value.
const KeyEnv = "REDOUBT_PGTEST_KEY"

// inMain says that Main runs, and so that a copy of this binary would be a reaper and not the tests once more.
var inMain atomic.Bool

// Main runs the tests of a package that uses databases. It does not return.
func Main(m *testing.M) {
	if dir := os.Getenv(reaperEnv); dir != "" {
		os.Exit(reap(dir))
	}
	inMain.Store(true)
	code := m.Run()
	if err := dropShared(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// join answers with the server of this process, which it keeps in use until the process ends.
func join(tb testing.TB) server {
	tb.Helper()
	if !inMain.Load() {
		tb.Fatal("pgtest: add to this package: func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	s, err := joined()
	if err != nil {
		var advised interface{ Hint() string }
		if errors.As(err, &advised) {
			tb.Fatalf("pgtest: %v\n%s", err, advised.Hint())
		}
		tb.Fatalf("pgtest: %v", err)
	}
	return s
}

var joined = sync.OnceValues(func() (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	binaries, err := postgres.Find(ctx, postgres.FindConfig{})
	if err != nil {
		return server{}, err
	}
	dir, err := folder(binaries)
	if err != nil {
		return server{}, err
	}
	return enter(ctx, dir, binaries)
})

// folder is where the server of this account and these programs lives. Whoever may pass there can still read nothing: the files
// in it are private, and the server asks for a password.
func folder(b postgres.Binaries) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join([]string{b.Bin, b.Version, os.Getenv(KeyEnv)}, "\x00")))
	return filepath.Join(base(), fmt.Sprintf("redoubt-test-%d-%s", os.Geteuid(), hex.EncodeToString(sum[:6]))), nil
}

// base is memory if there is enough of it: tests care for speed and nothing else. Containers often have 64 MB there, too little.
func base() string {
	const memory, enough = "/dev/shm", 1 << 30
	var room syscall.Statfs_t
	if err := syscall.Statfs(memory, &room); err == nil && uint64(room.Bavail)*uint64(room.Bsize) >= enough {
		return memory
	}
	return os.TempDir()
}
