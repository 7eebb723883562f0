package pgtest_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/pgtest"
)

// What a copy of this test binary is to do: see TestOneUser.
const (
	lingerEnv = "PGTEST_TEST_LINGER"
	noMainEnv = "PGTEST_TEST_NO_MAIN"
)

func TestMain(m *testing.M) {
	if os.Getenv(noMainEnv) != "" {
		os.Exit(m.Run())
	}
	pgtest.Main(m)
}

// build fails when it runs a second time on a server, or twice at once: roles belong to the whole server.
func build(role string) func(context.Context, string) error {
	return func(ctx context.Context, admin string) error {
		conn, err := pgx.Connect(ctx, admin)
		if err != nil {
			return err
		}
		// Left open on purpose: a template must not be blocked by a build that forgets to close.
		_, err = conn.Exec(ctx, "CREATE TABLE note (text text); INSERT INTO note VALUES ('from the template'); CREATE ROLE "+role+
			" LOGIN PASSWORD 'app'; GRANT SELECT, INSERT ON note TO "+role)
		return err
	}
}

func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func count(t testing.TB, address, what string) (n int) {
	t.Helper()
	if err := connect(t, address).QueryRow(t.Context(), "SELECT count(*) FROM "+what).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOneUser is an ordinary user of the package. Run as a copy by the tests below, it says where its server is and stays.
func TestOneUser(t *testing.T) {
	d := pgtest.Database(t, "one user", build("one_user"))
	if got := count(t, d.ConnString("one_user", "app"), "note"); got != 1 {
		t.Errorf("got %d rows, want the template's 1", got)
	}
	if os.Getenv(lingerEnv) == "" {
		return
	}
	dir, err := pgtest.Folder()
	pid, errPID := os.ReadFile(filepath.Join(dir, "server/pg/postmaster.pid"))
	fmt.Println("server", strings.Fields(string(pid))[0], dir, errors.Join(err, errPID))
	bufio.NewReader(os.Stdin).ReadString('\n') // until we are told to end, or the one who tells us has gone
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	var first string
	t.Run("one", func(t *testing.T) {
		a, b := pgtest.Database(t, "own", build("own")), pgtest.Database(t, "own", build("own"))
		first = a.Name
		if _, err := connect(t, a.ConnString("own", "app")).Exec(t.Context(), "INSERT INTO note VALUES ('mine')"); err != nil {
			t.Fatal(err)
		}
		if x, y := count(t, a.Admin, "note"), count(t, b.Admin, "note"); x != 2 || y != 1 || a.Name == b.Name {
			t.Errorf("got %d and %d rows in %s and %s", x, y, a.Name, b.Name)
		}
	})
	d := pgtest.Database(t, "own", build("own"))
	if got := count(t, d.Admin, "pg_database WHERE datname = '"+first+"'"); got != 0 {
		t.Error("the database of the test that has ended is still there")
	}
}

func TestSharedIsOneForThePackage(t *testing.T) {
	a, b := pgtest.Shared(t, "shared", build("shared")), pgtest.Shared(t, "shared", build("shared"))
	if a != b {
		t.Errorf("got %s and %s", a.Name, b.Name)
	}
}

func TestManyDatabasesAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if d := pgtest.Database(t, "many", build("many")); d.Name == "" {
				t.Error("no database")
			}
		})
	}
	wg.Wait()
}

// recorder is a test that is expected to fail.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	panic(r)
}

func TestAFailedBuildLeavesNoTemplate(t *testing.T) {
	r, key := &recorder{TB: t}, rand.Text()
	func() {
		defer func() { recover() }()
		pgtest.Database(r, key, func(context.Context, string) error { return errors.New("syntax error in 0001.sql") })
	}()
	if !strings.Contains(r.said, "syntax error in 0001.sql") {
		t.Errorf("the test says %q", r.said)
	}
	d := pgtest.Database(t, key, build("failing_"+key))
	if got := count(t, d.Admin, "note"); got != 1 {
		t.Errorf("got %d rows", got)
	}
}

func TestABuildThatWasKilledIsDoneAgain(t *testing.T) {
	key := rand.Text()
	killed := func(context.Context, string) error { panic("killed") }
	func() {
		defer func() { recover() }()
		pgtest.Database(&recorder{TB: t}, key, killed)
	}()
	if got := count(t, pgtest.Database(t, key, build("killed_"+key)).Admin, "note"); got != 1 {
		t.Errorf("got %d rows", got)
	}
}

func TestWithoutMainNothingIsStarted(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestOneUser$")
	cmd.Env = append(os.Environ(), noMainEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "func TestMain(m *testing.M) { pgtest.Main(m) }") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestWithoutPostgreSQLTheTestFailsAndSaysWhatToDo(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestOneUser$")
	cmd.Env = append(os.Environ(), "REDOUBT_PG_BIN=/nonexistent")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "let REDOUBT_PG_BIN name the folder") || strings.Contains(string(out), "SKIP") {
		t.Errorf("got %v: %s", err, out)
	}
}

// A process is a copy of this test binary that uses a server.
type process struct {
	cmd    *exec.Cmd
	input  *os.File
	server int    // the server's process id
	dir    string // the server's folder
}

// user starts a copy of this test binary that runs TestOneUser with the server of key, and waits until it has a database.
func user(t *testing.T, key string) *process {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOneUser$", "-test.v")
	cmd.Env = append(os.Environ(), lingerEnv+"=1", pgtest.KeyEnv+"="+key)
	cmd.Stdin = read
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read.Close()
	p := &process{cmd: cmd, input: write}
	t.Cleanup(func() { p.input.Close(); cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if fields := strings.Fields(lines.Text()); len(fields) == 4 && fields[0] == "server" {
			p.server, _ = strconv.Atoi(fields[1])
			p.dir = fields[2]
			return p
		}
	}
	t.Fatalf("the user has no database: %s", strings.Join(said, "\n"))
	return nil
}

// end lets the process end by itself.
func (p *process) end() error {
	p.input.Close()
	return p.cmd.Wait()
}

func gone(t *testing.T, p *process) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(p.dir)
		if !alive(p.server) && os.IsNotExist(err) && len(reapers(p.dir)) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left: server alive %v, folder %v, reapers %v", alive(p.server), err == nil, reapers(p.dir))
		}
	}
}

func alive(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if os.IsNotExist(err) {
		return syscall.Kill(pid, 0) == nil && !hasProc()
	}
	return len(line) > 0 // a zombie has none
}

func hasProc() bool {
	_, err := os.Stat("/proc/self")
	return err == nil
}

// reapers are the processes whose environment names dir as a reaper's folder.
func reapers(dir string) (pids []int) {
	files, _ := filepath.Glob("/proc/[1-9]*/environ")
	for _, file := range files {
		if environment, err := os.ReadFile(file); err == nil && strings.Contains(string(environment), pgtest.ReaperEnv+"="+dir+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestUsersShareOneServerAndNothingStays(t *testing.T) {
	key := "s" + rand.Text()
	var users [3]*process
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() { users[i] = user(t, key) })
	}
	wg.Wait()
	for _, u := range users {
		if u == nil || u.server != users[0].server || u.dir != users[0].dir {
			t.Fatalf("got %+v and %+v", u, users[0])
		}
	}
	if got := len(reapers(users[0].dir)); got != 1 {
		t.Errorf("%d reapers", got)
	}
	for _, u := range users[1:] {
		if err := u.end(); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // longer than the grace after the last user
	if !alive(users[0].server) {
		t.Fatal("the server ended under its last user")
	}
	if err := users[0].end(); err != nil {
		t.Error(err)
	}
	// The user has ended and closed its output while the reaper still lives: `go test` would not have waited for it.
	if !alive(users[0].server) {
		t.Error("no grace for the next package")
	}
	gone(t, users[0])
}

func TestTheNextPackageJoinsWithinTheGrace(t *testing.T) {
	key := "n" + rand.Text()
	first := user(t, key)
	first.end()
	second := user(t, key)
	if first.server != second.server {
		t.Error("a second server was started")
	}
	second.end()
	gone(t, second)
}

func TestAKilledUserIsNotWaitedFor(t *testing.T) {
	u := user(t, "u"+rand.Text())
	u.cmd.Process.Kill()
	u.cmd.Wait()
	gone(t, u)
}

func TestAKilledReaperTakesTheServerAlongAndIsReplaced(t *testing.T) {
	key := "r" + rand.Text()
	first := user(t, key)
	for _, pid := range reapers(first.dir) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	second := user(t, key)
	if first.server == second.server {
		t.Error("the same server")
	}
	first.cmd.Process.Kill()
	first.cmd.Wait()
	second.end()
	gone(t, first)
	gone(t, second)
}

func TestAKilledServerIsReplaced(t *testing.T) {
	key := "d" + rand.Text()
	first := user(t, key)
	syscall.Kill(first.server, syscall.SIGKILL)
	for end := time.Now().Add(10 * time.Second); len(reapers(first.dir)) > 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	second := user(t, key)
	if first.server == second.server {
		t.Error("the same server")
	}
	second.end()
	first.cmd.Process.Kill()
	first.cmd.Wait()
	gone(t, second)
}

func BenchmarkDatabase(b *testing.B) {
	for b.Loop() {
		pgtest.Database(b, "benchmark", build("benchmark"))
	}
}
