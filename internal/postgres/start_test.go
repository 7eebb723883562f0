package postgres_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

func TestANewClusterIsPrivate(t *testing.T) {
	config := disposable(t)
	config.Profile = postgres.Durable
	cluster := start(t, config)
	conn := admin(t, cluster)
	for setting, want := range map[string]string{
		"listen_addresses": "", "password_encryption": "scram-sha-256", "log_statement": "none", "fsync": "on", "full_page_writes": "on",
		"data_checksums": "on", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0", "log_min_error_statement": "panic",
		"server_encoding": "UTF8", "lc_messages": "C", "TimeZone": "UTC", "wal_level": "minimal", "cluster_name": "redoubt",
	} {
		if got := ask(t, conn, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := ask(t, conn, "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules"); got != "scram-sha-256" {
		t.Errorf("hba lets in by %q", got)
	}
	if got := ask(t, conn, "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'postgres'"); got != "SCRAM-SHA-256" {
		t.Errorf("the password is stored as %q", got)
	}
	checkPrivate(t, cluster.Socket())
	checkPrivate(t, filepath.Join(config.Dir, "pg"))
	checkNotRoot(t, cluster.PID())
	for _, left := range []string{"pg.new", "pg/password"} {
		if _, err := os.Lstat(filepath.Join(config.Dir, left)); err == nil {
			t.Errorf("%s was left behind", left)
		}
	}
}

func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	must(t, err)
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("%s has mode %04o", dir, got)
	}
}

// checkNotRoot looks at the server's accounts, and at what it inherited from us.
func checkNotRoot(t *testing.T, pid int) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(proc + "/status")
	if errors.Is(err, os.ErrNotExist) {
		return // no /proc on this system
	}
	must(t, err)
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(value)
		if (name == "Uid" || name == "Gid") && strings.Join(fields, " ") != strings.Repeat(fields[0]+" ", 3)+fields[0] {
			t.Errorf("%s", line)
		}
		if name == "Uid" && fields[0] == "0" || name == "Groups" && os.Geteuid() == 0 && len(fields) > 0 {
			t.Errorf("the server runs with %s", line)
		}
	}
	environment, err := os.ReadFile(proc + "/environ")
	must(t, err)
	for variable := range bytes.SplitSeq(bytes.TrimRight(environment, "\x00"), []byte{0}) {
		name, _, _ := bytes.Cut(variable, []byte("="))
		// PG_GRANDPARENT_PID and PGSYSCONFDIR, PGLOCALEDIR are of its own making.
		if n := string(name); n != "LC_ALL" && n != "TZ" && n != "PATH" && !strings.HasPrefix(n, "PG") {
			t.Errorf("the server inherited %s", name)
		}
	}
	if folder, err := os.Readlink(proc + "/cwd"); err != nil || !strings.HasSuffix(folder, "/pg") {
		t.Errorf("the server runs in %s, %v", folder, err)
	}
}

func TestOnlyThePasswordLetsIn(t *testing.T) {
	cluster := start(t, disposable(t))
	for _, address := range []string{
		cluster.ConnString(postgres.Superuser, "wrong", "postgres"),
		cluster.ConnString(postgres.Superuser, "", "postgres"),
		cluster.ConnString("nobody", password, "postgres"),
	} {
		if conn, err := pgx.Connect(t.Context(), address); err == nil {
			conn.Close(t.Context())
			t.Error("let in")
		}
	}
}

func TestAddressesSurviveOddNames(t *testing.T) {
	cluster := start(t, disposable(t))
	conn := admin(t, cluster)
	const odd = `o'dd "na\me" %20&?@/`
	_, err := conn.Exec(t.Context(), "CREATE ROLE "+pgx.Identifier{odd}.Sanitize()+` LOGIN PASSWORD 'p@ss/w:rd?&%20'''`)
	must(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{odd}.Sanitize())
	must(t, err)
	other := connect(t, cluster.ConnString(odd, `p@ss/w:rd?&%20'`, odd))
	if got := ask(t, other, "SELECT current_user || '|' || current_database()"); got != odd+"|"+odd {
		t.Errorf("got %q", got)
	}
}

// SYSTEM U5: neither a statement nor a parameter nor a row reaches the log, even if it fails.
func TestTheLogHoldsNoDataEvenOnErrors(t *testing.T) {
	config := disposable(t)
	var log syncBuffer
	config.Log = &log
	cluster := start(t, config)
	conn := admin(t, cluster)
	const data = "alice-at-example"
	for _, sql := range []string{
		"CREATE ROLE r PASSWORD '" + data + "'", "CREATE ROLE r PASSWORD '" + data + "'",
		"CREATE TABLE t (a text PRIMARY KEY)", "INSERT INTO t VALUES ('" + data + "')", "INSERT INTO t VALUES ('" + data + "')",
		"SELECT '" + data + "'::int",
	} {
		conn.Exec(t.Context(), sql) // every second one fails, which is the point
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO t VALUES ($1)", data); err == nil {
		t.Error("a double key was taken")
	}
	must(t, stop(cluster))
	if got := log.String(); !strings.Contains(got, "already exists") || !strings.Contains(got, "duplicate key") {
		t.Errorf("the log lacks the errors: %s", got)
	}
	for line := range strings.Lines(log.String()) {
		// The cast quotes its input in the message itself; that the message is logged is what an administrator must know.
		if strings.Contains(line, data) && !strings.Contains(line, "invalid input syntax") {
			t.Errorf("the log says: %s", line)
		}
	}
}

func TestSecondStartIsRefusedByName(t *testing.T) {
	config := disposable(t)
	cluster := start(t, config)
	_, err := postgres.Start(t.Context(), config)
	want := fmt.Sprintf("%s is in use by %s (pid %d)", config.Dir, filepath.Base(os.Args[0]), os.Getpid())
	if err == nil || err.Error() != want || hint(err) == "" {
		t.Errorf("got %v, want %s", err, want)
	}
	must(t, stop(cluster))
	must(t, stop(start(t, config)))
}

func TestSecondProcessIsRefusedByName(t *testing.T) {
	config := disposable(t)
	other, _ := startElsewhere(t, config.Dir)
	_, err := postgres.Start(t.Context(), config)
	want := fmt.Sprintf("(pid %d)", other.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// startElsewhere has another process of this test start a cluster. It answers with that process and the server's id.
func startElsewhere(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "POSTGRES_TEST_PARENT="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return cmd, number(t, line)
}

func TestServerDiesWithAKilledParent(t *testing.T) {
	config := disposable(t)
	other, pid := startElsewhere(t, config.Dir)
	must(t, other.Process.Kill())
	other.Wait()
	eventually(t, "the server has ended", func() bool { return !alive(pid) })
	if _, err := os.Stat(filepath.Join(config.Dir, "pg/postmaster.pid")); err == nil {
		t.Error("it did not end in order")
	}
	must(t, stop(start(t, config)))
}

// No wait in between: the old server may still be shutting down.
func TestStartRightAfterTheParentWasKilled(t *testing.T) {
	config := disposable(t)
	other, pid := startElsewhere(t, config.Dir)
	must(t, other.Process.Kill())
	other.Wait()
	cluster := start(t, config)
	if alive(pid) || cluster.PID() == pid {
		t.Error("two servers on the same data")
	}
}

func TestServerThatIsKilledIsNoticedAndStartsAgain(t *testing.T) {
	config := disposable(t)
	config.Profile = postgres.Durable
	cluster := start(t, config)
	conn := admin(t, cluster)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
	must(t, err)
	busy := admin(t, cluster)
	go busy.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 200000000)") // keeps the shared memory for a while
	time.Sleep(100 * time.Millisecond)
	must(t, syscall.Kill(cluster.PID(), syscall.SIGKILL))
	select {
	case <-cluster.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if err := stop(cluster); err == nil {
		t.Error("Stop calls this an orderly end")
	}
	again := start(t, config)
	if got := ask(t, admin(t, again), "SELECT count(*)::text FROM kept"); got != "1" {
		t.Errorf("got %s rows", got)
	}
}

func TestInterruptedInitdbHeals(t *testing.T) {
	config := disposable(t)
	must(t, os.MkdirAll(filepath.Join(config.Dir, "pg.new/pg/base"), 0o700))
	must(t, os.Chmod(config.Dir, 0o711))
	must(t, os.WriteFile(filepath.Join(config.Dir, "pg.new/password"), []byte("old"), 0o600))
	must(t, os.WriteFile(filepath.Join(config.Dir, "pg.new/pg/PG_VERSION"), []byte("15\n"), 0o600))
	start(t, config)
	if _, err := os.Lstat(filepath.Join(config.Dir, "pg.new")); err == nil {
		t.Error("the half-made cluster is still there")
	}
}

func TestCancelledInitdbLeavesNothing(t *testing.T) {
	config := disposable(t)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := postgres.Start(ctx, config); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	for _, name := range []string{"pg", "pg.new", "run"} {
		if _, err := os.Lstat(filepath.Join(config.Dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	start(t, config)
}

// A pid file outlives a power cut, and its number then belongs to some other process.
func TestStalePidFileDoesNotBlock(t *testing.T) {
	config := disposable(t)
	must(t, stop(start(t, config)))
	bystander := exec.Command("sleep", "60")
	bystander.SysProcAttr = sameAccount(t, filepath.Join(config.Dir, "pg"))
	must(t, bystander.Start())
	t.Cleanup(func() { bystander.Process.Kill(); bystander.Wait() })
	for name, content := range map[string]string{
		"of a process that has ended":      "2147483646\n" + config.Dir + "/pg\n",
		"of a process that is another now": fmt.Sprintf("%d\n%s/pg\n1700000000\n5432\n\n\n", bystander.Process.Pid, config.Dir),
		"empty":                            "",
		"cut short":                        "\n",
		"of no process":                    "0\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(config.Dir, "pg/postmaster.pid")
			must(t, os.WriteFile(path, []byte(content), 0o600))
			giveLike(t, path, filepath.Join(config.Dir, "pg"))
			must(t, stop(start(t, config)))
			if !alive(bystander.Process.Pid) {
				t.Fatal("the other process was ended")
			}
		})
	}
}

func sameAccount(t *testing.T, path string) *syscall.SysProcAttr {
	info, err := os.Stat(path)
	must(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
}

func giveLike(t *testing.T, path, like string) {
	t.Helper()
	if attributes := sameAccount(t, like); attributes != nil {
		must(t, os.Chown(path, int(attributes.Credential.Uid), int(attributes.Credential.Gid)))
	}
}

func TestStopTurnsClientsAway(t *testing.T) {
	cluster := start(t, disposable(t))
	conn := admin(t, cluster)
	began := time.Now()
	must(t, stop(cluster))
	must(t, stop(cluster)) // again changes nothing
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if conn.Ping(t.Context()) == nil {
		t.Error("the client is still served")
	}
	if alive(cluster.PID()) {
		t.Error("the server is still there")
	}
	if _, err := os.Stat(cluster.Socket()); err == nil {
		t.Error("the socket's folder is still there")
	}
}

func TestStopWithoutPatienceInterrupts(t *testing.T) {
	config := disposable(t)
	cluster := start(t, config)
	// A server that is stopped (SIGSTOP) follows no signal but SIGKILL, until it goes on.
	must(t, syscall.Kill(cluster.PID(), syscall.SIGSTOP))
	time.AfterFunc(300*time.Millisecond, func() { syscall.Kill(cluster.PID(), syscall.SIGCONT) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Stop(ctx); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	start(t, config)
}

func TestALongPathGetsAShortSocket(t *testing.T) {
	config := disposable(t)
	config.Dir = filepath.Join(config.Dir, strings.Repeat("long", 25))
	must(t, os.Mkdir(filepath.Dir(config.Dir), 0o711))
	other, pid := startElsewhere(t, config.Dir)
	sockets := func() []string { all, _ := filepath.Glob("/tmp/redoubt-pg-*"); return all }
	before := len(sockets())
	must(t, other.Process.Kill())
	other.Wait()
	eventually(t, "the server has ended", func() bool { return !alive(pid) })
	cluster := start(t, config)
	if len(cluster.Socket()) > 80 {
		t.Errorf("the socket is in %s", cluster.Socket())
	}
	checkPrivate(t, cluster.Socket())
	if after := len(sockets()); before == 0 || after > before {
		t.Errorf("folders under /tmp: %d, then %d: the killed one's was not removed", before, after)
	}
}

func TestRootWithoutAWayInNamesTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root changes accounts
	}
	config := disposable(t)
	closed := filepath.Dir(config.Dir)
	must(t, os.Chmod(closed, 0o700))
	_, err := postgres.Start(t.Context(), config)
	if err == nil || !strings.Contains(err.Error(), "(the folder "+closed+" keeps it out)") || !strings.Contains(hint(err), "/var/lib/redoubt") {
		t.Errorf("got %v; %s", err, hint(err))
	}
}

func TestStartRefuses(t *testing.T) {
	good := disposable(t)
	must(t, stop(start(t, good)))
	for _, c := range []struct {
		name   string
		change func(t *testing.T, c *postgres.Config)
		want   string
	}{
		{"no binaries", func(t *testing.T, c *postgres.Config) { c.Binaries = postgres.Binaries{} }, "Binaries"},
		{"a relative folder", func(t *testing.T, c *postgres.Config) { c.Dir = "data" }, "absolute"},
		{"no profile", func(t *testing.T, c *postgres.Config) { c.Profile = 0 }, "Profile"},
		{"no password", func(t *testing.T, c *postgres.Config) { c.Password = "" }, "Password"},
		{"a password of two lines", func(t *testing.T, c *postgres.Config) { c.Password = "a\nb" }, "Password"},
		{"another password than before", func(t *testing.T, c *postgres.Config) { c.Password = "other" }, "another superuser password"},
		{"listening on a port", func(t *testing.T, c *postgres.Config) { c.Settings = map[string]string{"listen_addresses": "*"} }, "listen_addresses"},
		{"logging statements", func(t *testing.T, c *postgres.Config) { c.Settings = map[string]string{"log_statement": "all"} }, "log_statement"},
		{"a setting that is an option", func(t *testing.T, c *postgres.Config) { c.Settings = map[string]string{"x -c y": "1"} }, "a name that is none"},
		{"a setting that does not exist", func(t *testing.T, c *postgres.Config) { c.Settings = map[string]string{"no_such": "1"} }, "unrecognized configuration parameter"},
		{"data of another major version", func(t *testing.T, c *postgres.Config) { c.Binaries.Major++ }, "was made by PostgreSQL"},
		{"a folder that others may write to", func(t *testing.T, c *postgres.Config) { must(t, os.Chmod(c.Dir, 0o777)) }, "other accounts may write"},
		{"a folder with something else in it", func(t *testing.T, c *postgres.Config) {
			c.Dir = filepath.Join(folder(t), "d")
			must(t, os.MkdirAll(filepath.Join(c.Dir, "pg/photos"), 0o755))
		}, "holds no PostgreSQL cluster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := good
			c.change(t, &config)
			cluster, err := postgres.Start(t.Context(), config)
			if err == nil {
				stop(cluster)
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), password) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			os.Chmod(good.Dir, 0o711)
		})
	}
	start(t, good) // none of it did harm
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	_, err := postgres.Start(t.Context(), postgres.Config{Settings: map[string]string{"port": "1", "ssl": "on"}})
	for _, want := range []string{"Binaries", "Dir", "Profile", "Password", "port", "ssl"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s among them", err, want)
		}
	}
}

func TestALargeLogIsPutAside(t *testing.T) {
	config := disposable(t)
	must(t, stop(start(t, config)))
	log := filepath.Join(config.Dir, "postgres.log")
	must(t, os.Truncate(log, 17<<20))
	must(t, stop(start(t, config)))
	info, err := os.Stat(log)
	must(t, err)
	if old, err := os.Stat(log + ".1"); err != nil || old.Size() != 17<<20 || info.Size() > 1<<20 || info.Mode().Perm() != 0o600 {
		t.Errorf("log of %d bytes, mode %v; old one: %v", info.Size(), info.Mode(), err)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
