package realidp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	startTime = 30 * time.Second // until a provider answers, on a busy machine
	maxWords  = 64 << 10         // of what a provider says, kept for a test that fails
)

// A Server is a running provider.
type Server struct {
	Issuer string
	sign   func(ctx context.Context, b *Browser, page *http.Response, person string) (*http.Response, error)
}

// find returns the installation, or ends the test in the way that is right here.
func find(t testing.TB) installation {
	t.Helper()
	i, err := installed()
	switch {
	case err == nil:
		return i
	case os.Getenv("CI") != "":
		t.Fatalf("%v: run %s", err, Command)
	default:
		t.Skipf("%v: run %s", err, Command)
	}
	panic("unreachable")
}

// Node starts oidc-provider.
func Node(t testing.TB, cfg Config) *Server {
	t.Helper()
	i := find(t)
	for n := range cfg.Clients {
		c := &cfg.Clients[n]
		c.Grants, c.Session = []string{"authorization_code", "refresh_token"}, c.BackchannelLogoutURI != ""
	}
	line, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(i.node, "--input-type=module", "--eval", program)
	cmd.Dir = i.modules // where imports are looked for
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := start(t, cmd)
	t.Cleanup(func() { in.Close() })
	if _, err := in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	var ready struct{ Issuer string }
	if err := json.Unmarshal([]byte(said.line(t)), &ready); err != nil || ready.Issuer == "" {
		t.Fatalf("starting oidc-provider: it says\n%s", said)
	}
	return &Server{Issuer: ready.Issuer, sign: signAtNode}
}

// passwordHash is of "password", which everybody has at this Dex.
const passwordHash = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"

// Dex starts Dex.
func Dex(t testing.TB, cfg Config) *Server {
	t.Helper()
	i := find(t)
	address := freeAddress(t)
	issuer := "http://" + address + "/dex"
	var clients, people []map[string]any
	for _, c := range cfg.Clients {
		clients = append(clients, map[string]any{"id": c.ID, "secret": c.Secret, "name": c.ID, "redirectURIs": c.RedirectURIs})
	}
	for _, one := range cfg.People {
		people = append(people, map[string]any{"email": one.Email, "hash": passwordHash, "username": one.Name, "userID": one.Subject, "groups": one.Groups})
	}
	text, err := json.Marshal(map[string]any{ // which is YAML, too
		"issuer": issuer, "storage": map[string]string{"type": "memory"}, "web": map[string]string{"http": address},
		"oauth2":           map[string]any{"skipApprovalScreen": true, "responseTypes": []string{"code"}},
		"expiry":           map[string]any{"refreshTokens": map[string]any{"disableRotation": false, "reuseInterval": "0s"}},
		"enablePasswordDB": true, "staticClients": clients, "staticPasswords": people,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dex.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	said := start(t, exec.Command(i.dex, "serve", path))
	await(t, issuer+"/.well-known/openid-configuration", said)
	return &Server{Issuer: issuer, sign: signAtDex}
}

// SetGroups changes somebody's groups at oidc-provider.
func (s *Server) SetGroups(t testing.TB, subject string, groups []string) {
	t.Helper()
	body, err := json.Marshal(groups)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Issuer+"/people/"+subject+"/groups", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("setting groups: the provider answers %d", resp.StatusCode)
	}
}

// words are what a provider says, bounded, for the test that fails.
type words struct {
	mu    sync.Mutex
	text  []byte
	first chan string // the first line
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

func (w *words) line(t testing.TB) string {
	t.Helper()
	select {
	case line := <-w.first:
		return line
	case <-time.After(startTime):
		t.Fatalf("starting a provider: it is not there after %v, and says\n%s", startTime, w)
		return ""
	}
}

// start runs cmd until the test ends. The kernel ties its life to the thread that starts it, so the thread is kept.
func start(t testing.TB, cmd *exec.Cmd) *words {
	t.Helper()
	said := &words{first: make(chan string, 1)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr, cmd.SysProcAttr = said, dieWithParent()
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			said.read(out)
			cmd.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", filepath.Base(cmd.Path), err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // this one process, by its id; an error means that it has ended
		<-ended
		if t.Failed() {
			t.Logf("%s says\n%s", filepath.Base(cmd.Path), said)
		}
	})
	return said
}

func (w *words) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	if lines.Scan() {
		w.first <- lines.Text()
	}
	io.Copy(w, out)
}

// freeAddress is one that nothing listened on a moment ago; Dex cannot be told to choose.
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
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(address); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("starting a provider: it does not answer after %v, and says\n%s", startTime, said)
}

var errLost = errors.New("the provider leads nowhere")

// local reports whether an address is this provider's.
func (s *Server) local(address string) bool {
	origin := s.Issuer[:strings.Index(s.Issuer, "//")+2] + strings.SplitN(s.Issuer[strings.Index(s.Issuer, "//")+2:], "/", 2)[0]
	return strings.HasPrefix(address, origin+"/")
}

func lost(doing string, resp *http.Response) error {
	return fmt.Errorf("%s: %w: status %d at %s", doing, errLost, resp.StatusCode, resp.Request.URL.Path)
}
