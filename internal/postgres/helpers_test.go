package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

const password = "only-for-these-tests"

// TestMain also is the other process of tests about dying parents: it starts a cluster, prints its process id and waits.
func TestMain(m *testing.M) {
	if dir := os.Getenv("POSTGRES_TEST_PARENT"); dir != "" {
		os.Exit(parent(dir))
	}
	os.Exit(m.Run())
}

func parent(dir string) int {
	b, err := postgres.Find(context.Background(), postgres.FindConfig{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c, err := postgres.Start(context.Background(), postgres.Config{Binaries: b, Dir: dir, Profile: postgres.Disposable, Password: password})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.PID())
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	select {
	case <-interrupted.Done():
	case <-time.After(time.Minute): // should the test forget us
	}
	c.Stop(context.Background())
	return 0
}

// folder makes a short folder that the server's account can reach, in memory if possible.
func folder(t testing.TB) string {
	t.Helper()
	base := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "redoubt-pg-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o711))
	return dir
}

func find(t testing.TB) postgres.Binaries {
	t.Helper()
	b, err := postgres.Find(t.Context(), postgres.FindConfig{})
	if err != nil {
		t.Fatalf("%v\n%s", err, hint(err))
	}
	return b
}

func hint(err error) string {
	if e := new(postgres.Error); errors.As(err, &e) {
		return e.Hint()
	}
	return ""
}

func start(t testing.TB, c postgres.Config) *postgres.Cluster {
	t.Helper()
	cluster, err := postgres.Start(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, hint(err))
	}
	t.Cleanup(func() { stop(cluster) })
	return cluster
}

func stop(cluster *postgres.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return cluster.Stop(ctx)
}

func disposable(t testing.TB) postgres.Config {
	return postgres.Config{Binaries: find(t), Dir: filepath.Join(folder(t), "c"), Profile: postgres.Disposable, Password: password}
}

func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func admin(t testing.TB, c *postgres.Cluster) *pgx.Conn {
	t.Helper()
	return connect(t, c.ConnString(postgres.Superuser, password, "postgres"))
}

func ask(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	var answer string
	must(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	return answer
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// alive reports whether a process runs; one that has ended and not been waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(syscall.Kill(pid, 0), nil)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// eventually waits a little for what the kernel and other processes do in their own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	must(t, err)
	return n
}
