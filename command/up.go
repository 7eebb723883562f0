package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/secret"
)

// upFlags is what a user of up may choose.
type upFlags struct {
	dataDir     string
	listen      string
	listenHTTP  string
	databaseURL string
	json        bool
	reset       bool

	machineIssuers []string

	policyFile string
	policy     string // what is in policyFile

	filesS3 string
	bucket  *bucket // what filesS3 says; nil for a folder
}

const upLong = `Starts everything on this machine, in one process tree: a private PostgreSQL on a Unix socket, a development identity
provider, the application, which opens no port, and the edge, which does. It needs no configuration.

It is for development: the identity provider lets anyone become anyone, so it listens on this machine alone.`

func upCommand(app redoubt.App) *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the whole system on this machine",
		Long:  upLong,
		RunE: func(c *cobra.Command, _ []string) error {
			return up(c.Context(), app, f, newTeller(c.OutOrStdout(), f.json))
		},
	}
	c.Flags().StringVar(&f.dataDir, "data-dir", defaultDataDir(), "where to keep the database, keys and logs")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8443", "where the edge listens; port 0 chooses one")
	c.Flags().StringVar(&f.listenHTTP, "listen-http", "", "where plain HTTP is redirected; the default is port 8080, or a free one")
	c.Flags().StringVar(&f.databaseURL, "database-url", "", "use this PostgreSQL database, as an administrator, instead of a private one (REDOUBT_DATABASE_URL)")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line, for machines")
	c.Flags().BoolVar(&f.reset, "reset", false, "throw away the data of earlier runs first; certificates stay")
	c.Flags().StringArrayVar(&f.machineIssuers, "machine-issuer", nil, "an OpenID Connect issuer, such as a CI's, whose machines organizations may trust; may be repeated")
	c.Flags().StringVar(&f.policyFile, "policy", "", "the edge's access policy, in Cedar (docs/edge.md); left out, everybody reaches the application")
	c.Flags().StringVar(&f.filesS3, "files-s3", "", "keep uploaded files in this bucket instead of a folder: "+bucketForm+" (keys: REDOUBT_S3_ACCESS_KEY, REDOUBT_S3_SECRET_KEY)")
	return c
}

// defaultDataDir is a folder that the database's account can reach, too.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/redoubt/up"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "redoubt", "up")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "redoubt-up")
	}
	return filepath.Join(home, ".local", "share", "redoubt", "up")
}

// upDir is the data directory and what is where in it.
type upDir string

func (d upDir) tls() string         { return filepath.Join(string(d), "tls") }
func (d upDir) edge() string        { return filepath.Join(string(d), "edge") } // who may link, and the edge's own keys
func (d upDir) ca() string          { return filepath.Join(d.tls(), "ca.pem") }
func (d upDir) secrets() secret.Dir { return secret.Dir(filepath.Join(string(d), "secrets")) }
func (d upDir) files() string       { return filepath.Join(string(d), "files") } // that people have uploaded
func (d upDir) spool() string       { return filepath.Join(string(d), "spool") } // for as long as one is received
func (d upDir) people() string      { return filepath.Join(string(d), "people.json") }
func (d upDir) log(name string) string {
	return filepath.Join(string(d), name+".log")
}

// create makes the data directory before anything is put in it. Under root the database's own account passes through it, to what
// is its own; it can neither list nor read the rest.
func (d upDir) create() error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(filepath.Dir(string(d)), 0o755); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := os.Mkdir(string(d), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the data directory: %w", err)
	}
	info, err := os.Stat(string(d))
	if err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if pass := info.Mode().Perm() | mode; pass != info.Mode().Perm() { // one that was made for us, as by mktemp -d
		if err := os.Chmod(string(d), pass); err != nil {
			return fmt.Errorf("making the data directory: %w", err)
		}
	}
	return nil
}

// check finds what is wrong with the flags before anything is started.
func (f *upFlags) check() error {
	if f.dataDir == "" {
		return usageError{errors.New("--data-dir is empty")}
	}
	abs, err := filepath.Abs(f.dataDir)
	if err != nil {
		return usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	f.dataDir = abs
	if err := machines("https://localhost", f.machineIssuers).Check(); err != nil {
		return usageError{fmt.Errorf("--machine-issuer: %w", err)}
	}
	if f.policyFile != "" {
		text, err := os.ReadFile(f.policyFile)
		if err != nil {
			return usageError{fmt.Errorf("--policy: %w", err)}
		}
		f.policy = string(text)
	}
	if f.filesS3 != "" {
		if f.bucket, err = parseBucket(f.filesS3); err != nil {
			return err
		}
	}
	if f.databaseURL == "" { // not the flag's default, which help would show with its password
		f.databaseURL = os.Getenv("REDOUBT_DATABASE_URL")
	}
	if err := checkLoopback("--listen", f.listen); err != nil {
		return err
	}
	if f.listenHTTP == "" {
		f.listenHTTP = defaultHTTP(f.listen)
	}
	return checkLoopback("--listen-http", f.listenHTTP)
}

// defaultHTTP is 8080 beside the usual port, and a free port beside any other.
func defaultHTTP(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err == nil && port == "8443" {
		return net.JoinHostPort(host, "8080")
	}
	return net.JoinHostPort(host, "0")
}

func checkLoopback(flag, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return usageError{fmt.Errorf("%s is not host:port", flag)}
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return usageError{fmt.Errorf("%s has no port between 0 and 65535", flag)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return hinted{usageError{fmt.Errorf("%s is not an address of this machine alone", flag)},
			"up is for development: its identity provider lets anyone become anyone, so it stays on 127.0.0.1, [::1] or localhost"}
	}
	return nil
}

// ---- telling ----

// A teller says what happens, to a person or to a program.
type teller struct {
	out   io.Writer
	json  bool
	begun time.Time
	last  time.Time
	color bool
}

func newTeller(out io.Writer, asJSON bool) *teller {
	file, ok := out.(*os.File)
	now := time.Now()
	return &teller{out: out, json: asJSON, begun: now, last: now, color: ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == ""}
}

// step says that something is done, and how long it took.
func (t *teller) step(name, detail string) {
	now := time.Now()
	took := now.Sub(t.last)
	t.last = now
	if t.json {
		t.event(map[string]any{"event": "step", "step": name, "detail": detail, "seconds": seconds(took)})
		return
	}
	fmt.Fprintf(t.out, "  %s %-12s %s %s\n", t.paint("32", "✓"), name, detail, t.paint("2", fmt.Sprintf("%.2f s", took.Seconds())))
}

// say remarks on something that takes long or is skipped.
func (t *teller) say(text string) {
	if t.json {
		t.event(map[string]any{"event": "note", "detail": text})
		return
	}
	fmt.Fprintf(t.out, "    %s\n", t.paint("2", text))
}

func (t *teller) event(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		return // maps of strings and numbers marshal
	}
	t.out.Write(append(line, '\n'))
}

func (t *teller) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// up runs the system until ctx ends, and then ends it in order.
func up(ctx context.Context, app redoubt.App, f upFlags, tell *teller) error {
	if err := f.check(); err != nil {
		return err
	}
	if !tell.json {
		fmt.Fprintf(tell.out, "\n%s in %s\n\n", tell.paint("1", app.Name), f.dataDir)
	}
	s := &system{app: app, flags: f, dir: upDir(f.dataDir), tell: tell}
	err := s.start(ctx)
	if err == nil {
		tell.ready(s)
		err = s.wait(ctx)
	}
	return errors.Join(err, s.stop())
}
