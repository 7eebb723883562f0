package reals3

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	startTime = 30 * time.Second // until the server answers, on a busy machine
	maxWords  = 64 << 10         // of what it says, kept for a test that fails
)

// A Server is a running S3 server with one empty bucket.
type Server struct {
	Endpoint  string // host:port, without TLS
	Region    string
	Bucket    string
	AccessKey string
	SecretKey string
	Folder    string // where the bucket's objects lie, each a file under its name
	stop      func()
}

// Config says what is not as usual.
type Config struct {
	Versioning bool // whether buckets may keep what is deleted; zero means that they cannot
}

// find returns the server's program, or ends the test in the way that is right here.
func find(t testing.TB) string {
	t.Helper()
	program, err := installed()
	switch {
	case err == nil:
		return program
	case os.Getenv("CI") != "":
		t.Fatalf("%v: run %s", err, Command)
	default:
		t.Skipf("%v: run %s", err, Command)
	}
	panic("unreachable")
}

// Start starts a server, which ends with the test.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	program, root := find(t), t.TempDir()
	s := &Server{Endpoint: freeAddress(t), Region: "us-east-1", Bucket: "redoubt-test", AccessKey: rand.Text(), SecretKey: rand.Text() + rand.Text()}
	s.Folder = filepath.Join(root, "buckets", s.Bucket) // a folder at the top is a bucket
	args := []string{"--port", s.Endpoint, "--keep-alive", "--quiet", "--health", "/alive", "posix"}
	folders := []string{s.Folder, filepath.Join(root, "attributes"), filepath.Join(root, "versions")}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if cfg.Versioning {
		args = append(args, "--versioning-dir", folders[2])
	}
	// Beside the objects, because not every file system of a test takes extended attributes.
	args = append(args, "--sidecar", folders[1], filepath.Dir(s.Folder))
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey, "VGW_REGION="+s.Region)
	said := &words{}
	s.stop = start(t, cmd, said)
	await(t, s.Endpoint, said)
	return s
}

// Stop ends the server before the test ends.
func (s *Server) Stop() { s.stop() }

// words are what the server says, bounded.
type words struct {
	mu   sync.Mutex
	text []byte
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p[:min(len(p), maxWords-len(w.text))]...)
	return len(p), nil
}

// start runs cmd until the test ends, or stop is called. The kernel ties its life to the thread that starts it, so the thread is kept.
func start(t testing.TB, cmd *exec.Cmd, said *words) (stop func()) {
	t.Helper()
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr, cmd.WaitDelay = said, said, dieWithParent(), time.Second
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", filepath.Base(cmd.Path), err)
	}
	stop = func() {
		cmd.Process.Kill() // this one process, by its id; an error means that it has ended
		<-ended
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the S3 server says\n%s", said)
		}
	})
	return stop
}

// freeAddress is one that nothing listened on a moment ago; the server does not say which it would choose itself.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, address string, said *words) {
	t.Helper()
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + "/alive"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("starting the S3 server: it does not answer after %v, and says\n%s", startTime, said)
}
