package command_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/command"
	"github.com/redoubt-dev/redoubt/commons"
)

// TestMain lets the test binary be the command that it tests: `up` starts its own executable as the application.
func TestMain(m *testing.M) {
	if at := os.Getenv(originVariable); at != "" {
		originProcess(at, os.Getenv("REDOUBT_TEST_WRITTEN")) // does not return
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		command.Main(commons.App)
	}
	code := m.Run()
	shared.stop()
	os.Exit(code)
}

// ready is the last line of the start, as a program reads it.
type ready struct {
	Event   string   `json:"event"`
	URL     string   `json:"url"`
	HTTPURL string   `json:"http_url"`
	Issuer  string   `json:"issuer"`
	CAFile  string   `json:"ca_file"`
	AppPID  int      `json:"app_pid"`
	People  []person `json:"people"`
}

type person struct {
	Email        string `json:"email"`
	Organization string `json:"organization"`
	Role         string `json:"role"`
	APIKey       string `json:"api_key"`
}

func (r ready) key(t testing.TB, email, organization string) string {
	t.Helper()
	for _, p := range r.People {
		if p.Email == email && p.Organization == organization {
			return p.APIKey
		}
	}
	t.Fatalf("nobody called %s in %s", email, organization)
	return ""
}

// A running `up`, as a process of its own.
type running struct {
	ready
	cmd    *exec.Cmd
	stderr *strings.Builder
	rest   chan string // what it printed after it was ready
}

// dataDir is a folder that the database's account can reach; t.TempDir is not, under root.
func dataDir(t testing.TB) string {
	t.Helper()
	base := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "redoubt-up-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

func start(dir string, args ...string) (*running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &running{stderr: &strings.Builder{}, rest: make(chan string, 1)}
	r.cmd = exec.Command(self, append([]string{"up", "--json", "--listen", "127.0.0.1:0", "--data-dir", dir}, args...)...)
	r.cmd.Stderr = r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(2*time.Minute, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(stdout)
	for r.Event != "ready" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			r.cmd.Wait()
			return r, fmt.Errorf("up ended before it was ready: %s", r.stderr)
		}
		if err := json.Unmarshal(line, &r.ready); err != nil {
			return r, fmt.Errorf("up printed a line that is no JSON: %q", line)
		}
	}
	go func() {
		rest, _ := io.ReadAll(lines)
		r.rest <- string(rest)
	}()
	return r, nil
}

func mustStart(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	r, err := start(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end() })
	return r
}

// end stops it in order and returns how it ended.
func (r *running) end() error {
	if r.cmd.ProcessState != nil {
		return nil
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.rest
	return r.cmd.Wait()
}

func (r *running) client(t testing.TB) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(r.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &http.Client{Timeout: 30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask sends one request with an API key and returns the status and the body.
func (r *running) ask(t testing.TB, method, path, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// shared is one system for the tests that leave it as they found it.
var shared sharedSystem

type sharedSystem struct {
	once sync.Once
	dir  string
	up   *running
	err  error
}

func system(t *testing.T) *running {
	t.Helper()
	shared.once.Do(func() {
		base := os.TempDir()
		if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
			base = "/dev/shm"
		}
		if shared.dir, shared.err = os.MkdirTemp(base, "redoubt-up-"); shared.err != nil {
			return
		}
		os.Chmod(shared.dir, 0o755)
		shared.up, shared.err = start(filepath.Join(shared.dir, "data"))
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.up
}

func (s *sharedSystem) stop() {
	if s.up != nil {
		s.up.end()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

func TestTheApplicationHoldsNoListeningSocket(t *testing.T) { // SYSTEM P1
	up := system(t)
	if n := listening(t, up.AppPID); n != 0 {
		t.Errorf("the application's process %d has %d listening or UDP sockets", up.AppPID, n)
	}
	// The same look at up itself must see the edge's, or it sees nothing at all.
	if n := listening(t, up.cmd.Process.Pid); n < 3 {
		t.Errorf("up's process shows %d listening sockets; the edge, the redirect and the provider make three", n)
	}
}

// listening counts the TCP sockets in state LISTEN, and all UDP sockets, that the process pid holds, from the kernel's own list.
func listening(t *testing.T, pid int) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lists a process's sockets under /proc")
	}
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 { // a process that has ended holds no socket either: that would prove nothing
		t.Fatalf("process %d shows no open files (%v)", pid, err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	n := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // no IPv6 here
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) > 9 && inodes[f[9]] && (f[3] == "0A" || strings.HasPrefix(table, "udp")) {
				n++
			}
		}
	}
	return n
}

func TestTheRedirectAndTheAuthority(t *testing.T) { // SYSTEM P2
	up := system(t)
	resp, err := up.client(t).Get(up.HTTPURL + "/orders?x=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Location")), "308 "+up.URL+"/orders?x=1"; got != want {
		t.Errorf("plain HTTP answers %q, want %q", got, want)
	}
	if status, _ := up.ask(t, "GET", "/", "", ""); status != http.StatusOK {
		t.Errorf("the front page answers %d over TLS by the authority in ca_file", status)
	}
}

func TestPrivateFilesArePrivate(t *testing.T) { // SYSTEM P3, S3
	up := system(t)
	data := filepath.Dir(filepath.Dir(up.CAFile))
	private := 0
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "pg" || d.Name() == "run") {
			return filepath.SkipDir // the server's own, and it refuses to run if they are open
		}
		info, err := d.Info()
		if err != nil || d.IsDir() || path == up.CAFile {
			return err
		}
		private++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if private < 10 {
		t.Errorf("saw %d private files, fewer than there must be", private)
	}
}

func TestASecondUpIsRefusedByName(t *testing.T) {
	up := system(t)
	second, err := start(filepath.Dir(filepath.Dir(up.CAFile)))
	if err == nil {
		second.end()
		t.Fatal("a second up runs on the same directory")
	}
	said := second.stderr.String()
	if !strings.Contains(said, fmt.Sprintf("(pid %d)", up.cmd.Process.Pid)) || !strings.Contains(said, "redoubt: hint:") {
		t.Errorf("the refusal names no process or gives no hint: %s", said)
	}
}

func TestUpKeepsWhatWasAcknowledged(t *testing.T) {
	dir := dataDir(t)
	first := mustStart(t, dir)
	key := first.key(t, "bob@acme.test", "Acme")
	status, body := first.ask(t, "POST", "/api/v1/posts", key, `{"body":"acknowledged"}`)
	if status != http.StatusCreated {
		t.Fatalf("publishing answers %d: %s", status, body)
	}
	if err := first.end(); err != nil {
		t.Errorf("SIGTERM ends up with %v: %s", err, first.stderr)
	}
	second := mustStart(t, dir)
	if got := second.key(t, "bob@acme.test", "Acme"); got != key {
		t.Error("the development key has changed although it lives")
	}
	if _, body := second.ask(t, "GET", "/api/v1/posts?limit=1", key, ""); !strings.Contains(body, "acknowledged") {
		t.Errorf("the post is gone after a restart: %s", body)
	}

	// A kill without warning leaves neither processes nor damage.
	pids := descendants(t, second.cmd.Process.Pid)
	second.cmd.Process.Kill()
	<-second.rest
	second.cmd.Wait()
	gone(t, pids)
	third := mustStart(t, dir)
	if _, body := third.ask(t, "GET", "/api/v1/posts?limit=1", key, ""); !strings.Contains(body, "acknowledged") {
		t.Errorf("the post is gone after a kill: %s", body)
	}
	if err := third.end(); err != nil {
		t.Error(err)
	}

	fresh := mustStart(t, dir, "--reset")
	if _, body := fresh.ask(t, "GET", "/api/v1/posts?limit=100", fresh.key(t, "bob@acme.test", "Acme"), ""); strings.Contains(body, "acknowledged") {
		t.Error("--reset kept a post")
	}
	if status, _ := fresh.ask(t, "GET", "/api/v1/me", key, ""); status != http.StatusUnauthorized {
		t.Errorf("--reset kept a key: %d", status)
	}
}

// descendants lists the processes below pid.
func descendants(t *testing.T, pid int) []int {
	t.Helper()
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(text)) {
			var child int
			fmt.Sscan(f, &child)
			all = append(append(all, child), descendants(t, child)...)
		}
	}
	return all
}

// gone waits until none of the processes runs.
func gone(t *testing.T, pids []int) {
	t.Helper()
	if len(pids) < 2 {
		t.Fatalf("saw %d processes below up; the application and the database are two", len(pids))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, pid := range pids {
		for {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || strings.Contains(string(stat), ") Z ") {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("process %d outlives up: %s", pid, stat)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestADataDirectoryThatOnlyRootCanEnter is what a temporary folder of root's is: the server, which is never root, has its files
// elsewhere then.
func TestADataDirectoryThatOnlyRootCanEnter(t *testing.T) {
	before, _ := filepath.Glob("/var/lib/redoubt/clusters/*")
	t.Cleanup(func() {
		after, _ := filepath.Glob("/var/lib/redoubt/clusters/*")
		for _, cluster := range after {
			if !slices.Contains(before, cluster) {
				os.RemoveAll(cluster)
			}
		}
	})
	dir := filepath.Join(t.TempDir(), "deep", "data") // t.TempDir's parent is closed to others
	first := mustStart(t, dir)
	key := first.key(t, "bob@acme.test", "Acme")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	again := mustStart(t, dir)
	if status, body := again.ask(t, "GET", "/api/v1/me", key, ""); status != http.StatusOK {
		t.Errorf("after a restart a key answers %d: %s", status, body)
	}
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fresh := mustStart(t, dir) // the same name, and nothing of the old
	if status, _ := fresh.ask(t, "GET", "/api/v1/me", key, ""); status != http.StatusUnauthorized {
		t.Errorf("a new data directory of the same name knows an old key: %d", status)
	}
	if err := fresh.end(); err != nil {
		t.Fatal(err)
	}
}

func TestFlagsThatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an address that others can reach":   {[]string{"up", "--listen", "0.0.0.0:8443"}, 2, "not an address of this machine alone"},
		"a name that is not ours":            {[]string{"up", "--listen", "example.com:8443"}, 2, "not an address of this machine alone"},
		"an address without a port":          {[]string{"up", "--listen", "127.0.0.1"}, 2, "not host:port"},
		"a port that is none":                {[]string{"up", "--listen", "127.0.0.1:99999"}, 2, "no port between"},
		"a database address that is none":    {[]string{"up", "--data-dir", dataDir(t), "--database-url", "mysql://x"}, 2, "not a postgres:// address"},
		"a database that is not there":       {[]string{"up", "--data-dir", dataDir(t), "--database-url", "postgres://u:hunter2@127.0.0.1:1/d"}, 1, "cannot be reached"},
		"a bucket that is none":              {[]string{"up", "--data-dir", dataDir(t), "--files-s3", "s3://bucket"}, 2, "not the address of a bucket"},
		"a bucket with keys in its address":  {[]string{"up", "--data-dir", dataDir(t), "--files-s3", "https://key:hunter2@s3.example.com/bucket?region=x"}, 2, "not the address of a bucket"},
		"a bucket without TLS":               {[]string{"up", "--data-dir", dataDir(t), "--files-s3", "http://s3.example.com/bucket?region=x"}, 2, "--files-s3"},
		"a bucket without keys":              {[]string{"up", "--data-dir", dataDir(t), "--files-s3", "https://s3.example.com/bucket?region=x"}, 2, "--files-s3"},
		"a flag that does not exist":         {[]string{"up", "--fast"}, 2, "unknown flag"},
		"a command that does not exist":      {[]string{"down"}, 2, "unknown command"},
		"trust before there is an authority": {[]string{"trust", "--data-dir", dataDir(t)}, 1, "no certificate authority"},
		"migrating nowhere":                  {[]string{"migrate", "--database-url", "mysql://x"}, 2, "not a postgres:// address"},
		"migrating without passwords":        {[]string{"migrate", "--database-url", "postgres://u:hunter2@127.0.0.1:1/d"}, 1, "no password for redoubt_"},
		"serve without orders":               {[]string{"serve"}, 1, "not readable"},
		"a word where none is taken":         {[]string{"up", "now"}, 2, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			code := command.Run(t.Context(), commons.App, c.args, strings.NewReader(""), &out, &errs)
			if code != c.code || !strings.HasPrefix(errs.String(), "redoubt: error: ") || !strings.Contains(errs.String(), c.says) {
				t.Errorf("exit code %d, want %d; it says:\n%s", code, c.code, errs.String())
			}
			if !strings.Contains(errs.String(), "redoubt: hint: ") {
				t.Errorf("no hint: %s", errs.String())
			}
			if strings.Contains(errs.String(), "hunter2") {
				t.Errorf("the error shows a password: %s", errs.String())
			}
		})
	}
}
