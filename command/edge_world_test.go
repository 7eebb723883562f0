package command_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// originVariable makes the test binary an application that knows nothing of Redoubt: it keeps what is written to it in a file.
const originVariable = "REDOUBT_TEST_ORIGIN"

// originProcess serves at address and does not return. A write is in the file before it is acknowledged.
func originProcess(address, file string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	kept, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /write/{id}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintln(kept, r.PathValue("id"))
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data: tick\n\n")
			http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		headers := r.Header.Clone()
		headers.Set("Host", r.Host)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(headers)
	})
	fmt.Println("listening")
	http.Serve(l, mux)
	os.Exit(1)
}

// An edgeWorld is an edge, an application and what joins them, each a process of its own that can be ended at any moment.
type edgeWorld struct {
	*testing.T
	dir, config  string
	public       string // the edge's address
	operator     string
	origin       string // the application's address
	written      string // the file in which it keeps what was written
	credential   string
	client       *http.Client
	edge, inside *process
	connector    *process
}

// A process is one that was started here.
type process struct {
	cmd    *exec.Cmd
	mu     sync.Mutex
	out    bytes.Buffer // what it printed
	ended  chan struct{}
	events chan string
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// kill ends it as a crash of the machine would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// stop ends it in order: what is under way is finished.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		t.Fatalf("it has not ended after 40 s:\n%s", tail(p.said(), 2000))
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// startProcess runs the test binary, with the arguments of a command, until the test ends.
func startProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, args...), ended: make(chan struct{}), events: make(chan string, 64)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(p, lines.Text())
			select {
			case p.events <- lines.Text():
			default:
			}
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		if p.kill(); t.Failed() {
			t.Logf("%s printed:\n%s", args, tail(p.said(), 1500))
		}
	})
	return p
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// wait waits for a line that holds words.
func (p *process) wait(t *testing.T, words string) string {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case line := <-p.events:
			if strings.Contains(line, words) {
				return line
			}
		case <-p.ended:
			t.Fatalf("it ended before it said %q:\n%s", words, p.said())
		case <-limit:
			t.Fatalf("it did not say %q:\n%s", words, p.said())
		}
	}
}

const everybody = `@id("all") @public("a test") permit (principal, action, resource in Host::"localhost:%s");`

// freeAddress is one of this machine at which nothing listens at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newEdgeWorld starts all three. The policy's %s stands for the port.
func newEdgeWorld(t *testing.T, policy, more string) *edgeWorld {
	t.Helper()
	return newEdgeWorldIn(t, t.TempDir(), policy, more)
}

// newEdgeWorldIn keeps what is the edge's and the connector's in dir.
func newEdgeWorldIn(t *testing.T, dir, policy, more string) *edgeWorld {
	t.Helper()
	w := &edgeWorld{T: t, dir: dir, config: filepath.Join(dir, "edge.toml"), public: freeAddress(t), operator: freeAddress(t),
		origin: freeAddress(t), written: filepath.Join(t.TempDir(), "written"), credential: filepath.Join(dir, "connector.json")}
	_, port, _ := net.SplitHostPort(w.public)
	w.write("app.cedar", strings.ReplaceAll(policy, "%s", port))
	w.write("edge.toml", fmt.Sprintf(`
listen = %q
operator = %q
state = "state"
%s
[certificate]
local = true
[[application]]
name = "app"
origin = "https://localhost:%s"
policies = ["app.cedar"]
assertion_header = true
maintenance_file = "standby"
`, w.public, w.operator, more, port))
	w.startOrigin()
	w.startEdge()
	token := w.command("edge", "invite", "app", "--config", w.config, "--edge", w.public, "--json")
	var invitation struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(token), &invitation); err != nil || invitation.Token == "" {
		t.Fatalf("inviting printed %q", token)
	}
	w.startConnector("--join", invitation.Token)
	w.client = w.newClient()
	return w
}

func (w *edgeWorld) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// command runs one of ours to its end and returns what it printed.
func (w *edgeWorld) command(args ...string) string {
	w.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.Fatalf("%s: %v\n%s", args, err, out)
	}
	return out
}

func (w *edgeWorld) try(args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, args...).CombinedOutput()
	return string(out), err
}

func (w *edgeWorld) startOrigin() {
	w.inside = startProcess(w.T, []string{originVariable + "=" + w.origin, "REDOUBT_TEST_WRITTEN=" + w.written}, "-origin")
	w.inside.wait(w.T, "listening")
}

func (w *edgeWorld) startEdge() {
	w.edge = startProcess(w.T, nil, "edge", "--config", w.config)
	w.edge.wait(w.T, `"listening"`)
}

func (w *edgeWorld) startConnector(more ...string) {
	w.connector = startProcess(w.T, nil, append([]string{"connect", "--to", "http://" + w.origin, "--credential", w.credential, "--json"}, more...)...)
	w.connector.wait(w.T, `"linked"`)
}

// newClient trusts the edge's own authority.
func (w *edgeWorld) newClient() *http.Client {
	w.Helper()
	pem, err := os.ReadFile(filepath.Join(w.dir, "state", "tls", "ca.pem"))
	if err != nil {
		w.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, w.public)
		}}
	w.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// url is where path is found at the edge.
func (w *edgeWorld) url(path string) string {
	_, port, _ := net.SplitHostPort(w.public)
	return "https://localhost:" + port + path
}

// ask returns the answer's status and text; status 0 means that there was none.
func (w *edgeWorld) ask(method, path string, headers map[string]string) (int, string) {
	r, err := http.NewRequestWithContext(w.Context(), method, w.url(path), nil)
	if err != nil {
		w.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		r.Header.Set(name, headers[name])
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// healthy waits until the application answers, and returns how long that took.
func (w *edgeWorld) healthy() time.Duration {
	w.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		if status, _ := w.ask("GET", "/", nil); status == http.StatusOK {
			return time.Since(began)
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.Fatal("the application did not answer again within a minute")
	return 0
}
