package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How long the steps of Start may take. Recovery after a crash is part of becoming ready.
const (
	initLimit  = 2 * time.Minute
	readyLimit = 2 * time.Minute
	largestLog = 16 << 20 // a log larger than this is put aside at the next start, one generation
)

// Start makes the cluster in Dir if there is none, starts it and waits until it answers. What a crash at any moment left behind is
// healed. The cluster belongs to one process at a time: a second Start is refused with the name of the first.
func Start(ctx context.Context, c Config) (*Cluster, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	who, err := prepare(&c)
	if err != nil {
		return nil, err
	}
	held, last, err := take(c)
	if err != nil {
		return nil, err
	}
	cluster, err := start(ctx, c, who, held, last.Socket)
	if err != nil {
		held.release()
		return nil, err
	}
	return cluster, nil
}

// prepare makes the folder and sees that the server's account can work there.
func prepare(c *Config) (account, error) {
	who, err := serverAccount(c.data())
	if err != nil {
		return account{}, err
	}
	mode := fs.FileMode(0o700)
	if who.other {
		mode = 0o711 // it must pass through, but neither list nor write: pg and run inside are its own
	}
	if err := os.MkdirAll(filepath.Dir(c.Dir), 0o755); err != nil {
		return account{}, fmt.Errorf("making the cluster's folder: %w", err)
	}
	if err := os.Mkdir(c.Dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return account{}, fmt.Errorf("making the cluster's folder: %w", err)
	}
	if c.Dir, err = filepath.EvalSymlinks(c.Dir); err != nil {
		return account{}, fmt.Errorf("making the cluster's folder: %w", err)
	}
	return who, errors.Join(checkFolder(c.Dir), who.checkReach(*c))
}

// checkFolder refuses a folder in which another account could swap files under our feet, while we may be root.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("making the cluster's folder: %w", err)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		return problem("start it as that account, or use a folder of your own", "%s belongs to user id %d, not to %d", dir, uid, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return problem("chmod go-w "+dir, "other accounts may write to %s", dir)
	}
	return nil
}

// start is Start with the folder locked.
func start(ctx context.Context, c Config, who account, held *lock, lastSocket string) (*Cluster, error) {
	if err := held.write(lastSocket); err != nil {
		return nil, err
	}
	if err := initialise(ctx, c, who); err != nil {
		return nil, err
	}
	if err := checkData(c, who); err != nil {
		return nil, err
	}
	if err := settle(ctx, c.data()); err != nil {
		return nil, err
	}
	socket, err := socketFolder(c, lastSocket, who)
	if err != nil {
		return nil, err
	}
	if err := held.write(socket); err != nil {
		return nil, err
	}
	tidy := func() { os.RemoveAll(socket); held.release() }
	return run(ctx, c, who, socket, tidy)
}

// initialise runs initdb beside the final place and moves the result there in one step, so that what is in Dir/pg is complete.
func initialise(ctx context.Context, c Config, who account) error {
	work := filepath.Join(c.Dir, "pg.new")
	if err := os.RemoveAll(work); err != nil { // of an interrupted attempt
		return fmt.Errorf("making the cluster: %w", err)
	}
	if _, err := os.Lstat(c.data()); err == nil {
		return nil
	}
	defer os.RemoveAll(work)
	password := filepath.Join(work, "password")
	if err := errors.Join(who.makeFolder(work), writeFor(who, password, c.Password+"\n")); err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	made := filepath.Join(work, "pg")
	if err := initdb(ctx, c, who, made, password); err != nil {
		return err
	}
	if err := os.Rename(made, c.data()); err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	return syncFolder(c.Dir)
}

// writeFor writes a file that only who may read; no moment passes in which others could.
func writeFor(who account, path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close(), who.give(path))
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func initdb(ctx context.Context, c Config, who account, data, password string) error {
	ctx, cancel := context.WithTimeout(ctx, initLimit)
	defer cancel()
	words := &tail{keep: 4 << 10}
	cmd := exec.CommandContext(ctx, c.program("initdb"), c.initArguments(data, password)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environment(), words, words
	cmd.SysProcAttr, cmd.WaitDelay = who.attributes(), time.Second
	running, err := launch(cmd, syscall.SIGKILL)
	if err == nil {
		<-running.done
		err = running.err
	}
	if err != nil {
		return fmt.Errorf("making the cluster with initdb: %w: %s", errors.Join(ctx.Err(), err), words)
	}
	return nil
}

// checkData refuses data of another major version or another account, which PostgreSQL would refuse in its own words later.
func checkData(c Config, who account) error {
	content, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil {
		return problem("use another folder, or move this one away", "%s holds no PostgreSQL cluster: %w", c.data(), err)
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(content)))
	if major != c.Binaries.Major {
		return problem(fmt.Sprintf("install PostgreSQL %d, or bring the data over with pg_upgrade or a backup", major),
			"%s was made by PostgreSQL %d and cannot be opened by %s", c.data(), major, c.Binaries.Version)
	}
	info, err := os.Stat(c.data())
	if err != nil {
		return fmt.Errorf("opening the cluster: %w", err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != who.uid {
		return problem("start it as that account, or use another folder", "%s belongs to user id %d and the server would run as %s",
			c.data(), uid, who.name)
	}
	return nil
}

// run starts the server until it answers. Children of a killed server may hold its shared memory for a moment longer; the server
// then gives up, and is started again.
func run(ctx context.Context, c Config, who account, socket string, tidy func()) (*Cluster, error) {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		cluster, words, err := attempt(ctx, c, who, socket)
		if err == nil {
			cluster.tidy = tidy
			go cluster.watch()
			return cluster, nil
		}
		if !strings.Contains(words, "is still in use") || patient.Err() != nil {
			os.RemoveAll(socket)
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// attempt starts the server once. If it does not become ready, words is the end of its log.
func attempt(ctx context.Context, c Config, who account, socket string) (_ *Cluster, words string, _ error) {
	log, last, err := openLog(c)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(c.program("postgres"), c.arguments(socket)...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.WaitDelay = "/", environment(), who.attributes(), time.Second
	cmd.Stdout, cmd.Stderr = log, log
	server, err := launch(cmd, syscall.SIGINT)
	if file, ok := log.(*os.File); ok {
		file.Close() // the server has its own
	}
	if err != nil {
		return nil, "", fmt.Errorf("starting the database server: %w", err)
	}
	cluster := &Cluster{server: server, socket: socket, done: make(chan struct{}), tidy: func() {}}
	if err := cluster.ready(ctx, c.Password); err != nil {
		server.end()
		return nil, last(), withLog(err, last())
	}
	return cluster, "", nil
}

func withLog(err error, words string) error {
	if advised := new(Error); errors.As(err, &advised) {
		return err
	}
	return fmt.Errorf("starting the database server: %w; it said: %s", err, words)
}

// openLog opens where the server writes, and a way to read the last of it.
func openLog(c Config) (io.Writer, func() string, error) {
	if c.Log != nil {
		last := &tail{keep: 2 << 10}
		return io.MultiWriter(c.Log, last), last.String, nil
	}
	if info, err := os.Lstat(c.log()); err == nil && info.Size() > largestLog {
		if err := os.Rename(c.log(), c.log()+".1"); err != nil {
			return nil, nil, fmt.Errorf("putting the old log aside: %w", err)
		}
	}
	file, err := os.OpenFile(c.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	from, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	return file, func() string { return readFrom(c.log(), from) }, nil
}

func readFrom(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	last := &tail{keep: 2 << 10}
	io.Copy(last, io.NewSectionReader(file, from, 1<<20))
	return last.String()
}

// ready connects as the superuser until that works, the server ends, or the time is up.
func (c *Cluster) ready(ctx context.Context, password string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		err := c.ping(ctx, password)
		if err == nil {
			return nil
		}
		if refused := new(pgconn.PgError); errors.As(err, &refused) && refused.Code != startingUp {
			return explain(refused)
		}
		select {
		case <-c.server.done:
			return fmt.Errorf("the server ended (%v)", c.server.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w (last: %w)", ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Codes of PostgreSQL's errors, appendix A of its manual.
const (
	startingUp    = "57P03" // cannot_connect_now
	wrongPassword = "28P01" // invalid_password
)

func explain(refused *pgconn.PgError) error {
	if refused.Code == wrongPassword {
		return problem("give the password with which the cluster was made, or use another folder",
			"the cluster was made with another superuser password")
	}
	return fmt.Errorf("connecting: %w", refused)
}

func (c *Cluster) ping(ctx context.Context, password string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.ConnString(Superuser, password, "postgres"))
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}
