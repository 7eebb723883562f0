// Package target is what a drill attacks: a disposable copy of the whole system, which is the ordinary `redoubt up`
// of a program in a folder of its own, on this machine's loopback. It takes no address, and so can be nothing else (SYSTEM G5). It also
// holds what people of the copy use to reach it: a client, connections as roles whose passwords were stolen, and eyes that see everything.
package target

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/drill/knockout"
)

// The addresses that people come from. All of 127.0.0.0/8 is this machine; the copy's policy takes the first for the office.
const (
	Inside  = "127.0.0.1"
	Outside = "127.0.0.66"
)

// policy is the copy's access policy: who is in the office reaches the application, and from anywhere one may ask what it is.
const policy = `@id("office")
@public("from the office's network; the application signs its people on by itself")
permit (principal, action, resource in Host::"%[1]s")
when { context.network.isInRange(ip("127.0.0.0/28")) };

@id("looks")
@public("style sheets and scripts, which are in the repository")
permit (principal, action == Action::"GET", resource in Path::"%[1]s/assets");
`

// MachineIssuer is whose machines an organization of the copy may trust. Nobody is there: no attack has its keys, and no copy fetches them.
const MachineIssuer = "https://127.0.0.1:9"

const (
	startLimit = 60 * time.Second // for a copy to start, on a busy machine
	stopLimit  = 20 * time.Second // for it to end, until it is ended
)

// A Template is a copy that is not running, with its people and their content, to be copied as it is.
type Template struct {
	program string
	work    string // everything is beneath
	data    string

	mu   sync.Mutex
	next int
}

// NewTemplate runs the program once in work, an empty folder that the database's account can enter, and stops it.
func NewTemplate(ctx context.Context, program, work string) (*Template, error) {
	t := &Template{program: program, work: work, data: filepath.Join(work, "template", "data")}
	c, err := t.start(ctx, "template", nil)
	if err != nil {
		return nil, err
	}
	return t, c.Stop()
}

// OpenTemplate is NewTemplate for a folder in which one has been made before.
func OpenTemplate(program, work string) (*Template, error) {
	t := &Template{program: program, work: work, data: filepath.Join(work, "template", "data")}
	if _, err := os.Stat(t.data); err != nil {
		return nil, fmt.Errorf("opening a template: %w", err)
	}
	return t, nil
}

// A Copy is a whole system, disposable, on this machine's loopback alone: database, provider, application, edge.
type Copy struct {
	Out    []knockout.Unit // what is missing
	Origin string          // "https://localhost:40001"
	Plain  string          // where plain HTTP is redirected
	Issuer string          // the identity provider's
	Mail   string          // where caught mail is shown
	Roots  *x509.CertPool  // for all of them
	CAFile string          // the same, as a file
	People []Person

	dir   string // beneath the template's work
	cmd   *exec.Cmd
	admin *pgx.Conn
	done  chan struct{}
	err   error // how it ended; read it after done

	asking sync.Mutex
	asked  map[string]*Client // who is signed in for Ask
}

// A Person is one of the example, in one organization.
type Person struct {
	Email        string `json:"email"`
	Name         string `json:"name"`
	Organization string `json:"organization"`
	Role         string `json:"role"`
	APIKey       string `json:"api_key"`
}

// Start copies the template and starts the copy without the units of out. Whoever starts one has to stop it.
func (t *Template) Start(ctx context.Context, out []knockout.Unit) (*Copy, error) {
	t.mu.Lock()
	t.next++
	name := fmt.Sprintf("copy-%d", t.next)
	t.mu.Unlock()
	if err := copyTree(t.data, filepath.Join(t.work, name, "data")); err != nil {
		return nil, errors.Join(fmt.Errorf("copying the template: %w", err), os.RemoveAll(filepath.Join(t.work, name)))
	}
	c, err := t.start(ctx, name, out)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(filepath.Join(t.work, name)))
	}
	for _, u := range out {
		for _, sql := range u.SQL {
			if err := c.admin.PgConn().Exec(ctx, sql).Close(); err != nil {
				return nil, errors.Join(fmt.Errorf("taking %s out of the database: %w", u.Name, err), c.Stop())
			}
		}
	}
	return c, nil
}

func (t *Template) start(ctx context.Context, name string, out []knockout.Unit) (*Copy, error) {
	dir := filepath.Join(t.work, name)
	c := &Copy{Out: out, dir: dir, done: make(chan struct{})}
	if err := errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "redoubt")
	if err := os.Link(t.program, program); err != nil {
		return nil, fmt.Errorf("putting the program into the copy: %w", err)
	}
	var names strings.Builder
	args := []string{"up", "--json", "--data-dir", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--listen-http", "127.0.0.1:0",
		"--machine-issuer", MachineIssuer}
	for _, u := range out {
		fmt.Fprintln(&names, u.Name)
	}
	if err := os.WriteFile(program+".out", []byte(names.String()), 0o600); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(out, func(u knockout.Unit) bool { return u.NoPolicy }) {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		args[5] = "127.0.0.1:" + port // the policy names it
		file := filepath.Join(dir, "policy.cedar")
		if err := os.WriteFile(file, fmt.Appendf(nil, policy, "localhost:"+port), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--policy", file)
	}
	if err := c.run(program, args); err != nil {
		return nil, err
	}
	return c, nil
}

// freePort is a port that nobody has at this moment.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// run starts the program and waits until it says that it is ready.
func (c *Copy) run(program string, args []string) error {
	log, err := os.OpenFile(filepath.Join(c.dir, "up.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.cmd = exec.Command(program, args...)
	c.cmd.Stderr = log
	c.cmd.Env = append(os.Environ(), "REDOUBT_DATABASE_URL=") // nothing of whoever drills
	c.cmd.SysProcAttr = attributes()
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	ready := make(chan []byte, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel ends the copy with the thread that started it: this one stays until then
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(c.done)
		listen(stdout, ready)
		c.err = c.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting a copy: %w", err)
	}
	select {
	case line := <-ready:
		err = c.read(line)
	case <-c.done:
		err = fmt.Errorf("the copy ended while it started: %s", c.said())
	case <-time.After(startLimit):
		err = errors.New("the copy does not start")
	}
	if err != nil {
		return errors.Join(err, c.Stop())
	}
	return nil
}

// listen reads what the copy says until it ends, and hands the line on that says it is ready.
func listen(stdout io.Reader, ready chan<- []byte) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct{ Event string }
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == "ready" && len(ready) == 0 {
			ready <- slices.Clone(lines.Bytes())
		}
	}
	io.Copy(io.Discard, stdout)
}

// said is the last that the copy wrote to standard error.
func (c *Copy) said() string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "up.log")) // what cannot be read says nothing
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

func (c *Copy) read(line []byte) error {
	var said struct {
		URL     string
		HTTPURL string `json:"http_url"`
		Issuer  string
		Mail    string
		CAFile  string `json:"ca_file"`
		People  []Person
	}
	if err := json.Unmarshal(line, &said); err != nil {
		return fmt.Errorf("reading what the copy says: %w", err)
	}
	c.Origin, c.Plain, c.Issuer, c.Mail, c.CAFile, c.People = said.URL, said.HTTPURL, said.Issuer, said.Mail, said.CAFile, said.People
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return err
	}
	c.Roots = x509.NewCertPool()
	c.Roots.AppendCertsFromPEM(pem)
	c.admin, err = c.Connect(context.Background(), "postgres", "postgres")
	return err
}

// Connect opens a connection of its own to the copy's database, as a role whose password lies in the named secret of the copy: "redoubt-app"
// for redoubt_app.
func (c *Copy) Connect(ctx context.Context, role, secret string) (*pgx.Conn, error) {
	password, err := c.Secret(secret)
	if err != nil {
		return nil, err
	}
	at := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Path: "/redoubt", RawQuery: url.Values{"host": {filepath.Join(c.dir, "data", "run")}}.Encode()}
	return pgx.Connect(ctx, at.String())
}

// Secret is one of the copy's own, as a thief of its host would read it: "redoubt-app", "claims-key", "token-key".
func (c *Copy) Secret(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "secrets", name))
	return strings.TrimSpace(string(text)), err
}

// Admin is a connection as the copy's superuser: to see what an attack has done, never to do it. It is for one goroutine.
func (c *Copy) Admin() *pgx.Conn { return c.admin }

// Data is the copy's data directory.
func (c *Copy) Data() string { return filepath.Join(c.dir, "data") }

// Key is somebody's API key: "bob" is bob@acme.test. Who is in two organizations has one of each: "erin/Globex".
func (c *Copy) Key(who string) string {
	name, organization, _ := strings.Cut(who, "/")
	for _, p := range c.People {
		if strings.HasPrefix(p.Email, name+"@") && (organization == "" || p.Organization == organization) {
			return p.APIKey
		}
	}
	return ""
}

// Port is where the application itself listens, if the unit is out that keeps it from that; "" if it does not.
func (c *Copy) Port() string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "redoubt.port")) // there is none where it does not listen
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

// Missed lists the units that are out and that somebody has asked for.
func (c *Copy) Missed() []string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "redoubt.used")) // nobody has missed one yet
	return strings.Fields(string(text))
}

// Alive reports whether the copy still runs.
func (c *Copy) Alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Log is what the application has written to its log, and the edge.
func (c *Copy) Log(name string) []byte {
	text, _ := os.ReadFile(filepath.Join(c.dir, "data", name+".log")) // what cannot be read says nothing
	return text
}

// end ends every process of the copy. A template's is ended in order; of others nothing is kept, so the database is told to leave its
// memory and go, and the rest is killed, which takes the application along.
func (c *Copy) end() {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	if filepath.Base(c.dir) == "template" {
		c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		select {
		case <-c.done:
		case <-time.After(stopLimit):
		}
	}
	server := c.server()
	if server > 0 {
		syscall.Kill(server, syscall.SIGQUIT)
		for began := time.Now(); time.Since(began) < stopLimit && syscall.Kill(server, 0) == nil; time.Sleep(5 * time.Millisecond) {
		}
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// owns reports whether a process works in the copy's own database folder. The file that names it is the copy's, which was attacked: what it says
// may be another's process.
func (c *Copy) owns(pid int) bool {
	at, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && at == filepath.Join(c.dir, "data", "pg")
}

// server is the process of the copy's database; 0 if there is none.
func (c *Copy) server() int {
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "pg", "postmaster.pid"))
	if err != nil {
		return 0 // it has ended, or never began
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 || !c.owns(pid) {
		return 0
	}
	return pid
}

// Stop ends the copy; but for a template's, nothing of it is left.
func (c *Copy) Stop() error {
	if c.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c.admin.Close(ctx)
		cancel()
	}
	c.end()
	if filepath.Base(c.dir) == "template" {
		return os.RemoveAll(filepath.Join(c.dir, "redoubt"))
	}
	return os.RemoveAll(c.dir)
}
