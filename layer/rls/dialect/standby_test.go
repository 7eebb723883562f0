package dialect_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

const password = "only-for-this-test"

// A pair is a server and its hot standby, with the reference application's schema and a member of each of two organizations.
type pair struct {
	primary, standby *postgres.Cluster
	identity         *identity.Service
	write, read      *rls.DB // the application's, at the primary and at the standby
	alice, dave      member
}

type member struct {
	who     layer.Principal
	session string
}

var replicating = map[string]string{"wal_level": "replica", "synchronous_commit": "on", "max_wal_senders": "4", "hot_standby": "on", "wal_receiver_status_interval": "1", "max_connections": "60", "shared_buffers": "16MB"}

func newPair(t *testing.T) *pair {
	t.Helper()
	binaries, err := postgres.Find(t.Context(), postgres.FindConfig{})
	must(t, err)
	base := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "redoubt-standby-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o711))
	start := func(name string) *postgres.Cluster {
		c, err := postgres.Start(t.Context(), postgres.Config{Binaries: binaries, Dir: filepath.Join(dir, name), Profile: postgres.Disposable, Password: password, Settings: replicating})
		must(t, err)
		t.Cleanup(func() { c.Stop(context.Background()) })
		return c
	}
	p := &pair{primary: start("a")}
	p.fill(t)
	copyServer(t, binaries, p.primary, filepath.Join(dir, "a", "pg"), filepath.Join(dir, "b"))
	p.standby = start("b")
	p.read, err = rls.Open(t.Context(), rls.Config{Connection: p.standby.ConnString("redoubt_app", password, "redoubt"), MaxConns: 2})
	must(t, err)
	t.Cleanup(p.read.Close)
	return p
}

// fill makes the database at the primary, and a member of each organization with a profile.
func (p *pair) fill(t *testing.T) {
	t.Helper()
	at := func(user, name string) string { return p.primary.ConnString(user, password, name) }
	conn, err := pgx.Connect(t.Context(), at("postgres", "postgres"))
	must(t, err)
	_, err = conn.Exec(t.Context(), `create database redoubt`)
	must(t, err)
	conn.Close(t.Context())
	_, err = migrate.Run(t.Context(), migrate.Config{
		Admin: at("postgres", "redoubt"), Migrator: func() string { return at("redoubt_migrator", "redoubt") }, Lines: append(redoubt.LayerSchema(), commons.App.Schema...),
		Roles: map[string]string{"redoubt_migrator": password, "redoubt_app": password, "redoubt_identity": password},
	})
	must(t, err)
	provider := signon.Config{Issuer: "https://sign-on.example.test", ClientID: "test", ClientSecret: "test", RedirectURL: "https://app.example.test" + redoubt.CallbackPath}
	idp, err := signon.New(provider)
	must(t, err)
	p.identity, err = identity.Open(t.Context(), identity.Config{Connection: at("redoubt_identity", "redoubt"), Providers: []identity.Provider{{SignOn: idp}}, Key: make([]byte, 32), Scopes: commons.App.Scopes})
	must(t, err)
	t.Cleanup(p.identity.Close)
	p.write, err = rls.Open(t.Context(), rls.Config{Connection: at("redoubt_app", "redoubt"), MaxConns: 2})
	must(t, err)
	t.Cleanup(p.write.Close)
	conn, err = pgx.Connect(t.Context(), at("postgres", "redoubt"))
	must(t, err)
	defer conn.Close(context.Background())
	join := func(i int) member {
		org := layer.OrgID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
		subject := fmt.Sprint("member-", i)
		must(t, identity.Provision(t.Context(), conn, map[layer.OrgID]string{org: subject}, []identity.Provisioned{{Issuer: provider.Issuer, Subject: subject, Email: subject + "@example.test", Name: subject, Organizations: []layer.OrgID{org}}}))
		token, who, err := p.identity.InsecureSignIn(t.Context(), signon.Claims{Issuer: provider.Issuer, Subject: subject, Email: subject + "@example.test", Name: subject, AuthTime: time.Now()}, org)
		must(t, err)
		m := member{who, token}
		p.change(t, m, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into commons.profile (organization_id, id, display_name) values (redoubt.org(), redoubt.profile(), $1)`, subject)
			return err
		})
		p.change(t, m, func(tx *action.Tx) error {
			_, err := rls.Do(tx, `insert into commons.post (body) values ($1)`, "a post of "+subject)
			return err
		})
		return m
	}
	p.alice, p.dave = join(1), join(2)
}

func (p *pair) change(t *testing.T, m member, do func(*action.Tx) error) {
	t.Helper()
	_, err := action.Do(t.Context(), p.write, m.who, "posts:write", func(tx *action.Tx) (int, error) { return 0, do(tx) })
	must(t, err)
}

// caughtUp waits until the standby has what the primary has said so far.
func (p *pair) caughtUp(t *testing.T) {
	t.Helper()
	ask := func(c *postgres.Cluster, sql string, arguments ...any) (answer string) {
		conn, err := pgx.Connect(t.Context(), c.ConnString("postgres", password, "redoubt"))
		must(t, err)
		defer conn.Close(context.Background())
		must(t, conn.QueryRow(t.Context(), sql, arguments...).Scan(&answer))
		return answer
	}
	lsn := ask(p.primary, `select pg_current_wal_insert_lsn()::text`)
	for range 500 {
		if ask(p.standby, `select (pg_last_wal_replay_lsn() >= $1::pg_lsn)::text`, lsn) == "true" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the standby does not follow")
}

// copyServer makes a standby's folder as PostgreSQL's own program does, under the account of the server.
func copyServer(t *testing.T, b postgres.Binaries, primary *postgres.Cluster, like, to string) {
	t.Helper()
	info, err := os.Stat(like)
	must(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	must(t, os.Mkdir(to, 0o711))
	data := filepath.Join(to, "pg")
	must(t, os.Mkdir(data, 0o700))
	must(t, os.Chown(data, int(owner.Uid), int(owner.Gid)))
	u, err := url.Parse(primary.ConnString("postgres", password, ""))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(b.Bin, "pg_basebackup"), "-d", fmt.Sprintf("host=%s port=%s user=postgres", u.Query().Get("host"), u.Query().Get("port")),
		"-D", data, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
	c.Env = []string{"PGPASSWORD=" + password}
	c.Dir = to
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("copying the server: %v: %s", err, said)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SYSTEM D2, D8: a caller's credential is verified by a hot standby as by the primary, however the context is kept, and shows the
// same; what changes something is refused; and a revocation is there as late as the standby is.
func TestAHotStandbyReadsAsItsCaller(t *testing.T) {
	p := newPair(t)
	for _, way := range []string{"parameter", "seal"} {
		t.Run(way, func(t *testing.T) {
			p.keep(t, way)
			p.reads(t)
		})
	}
	t.Run("revoking", p.revokes)
}

func (p *pair) keep(t *testing.T, way string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.primary.ConnString("postgres", password, "redoubt"))
	must(t, err)
	defer conn.Close(context.Background())
	var version int
	must(t, conn.QueryRow(t.Context(), `select current_setting('server_version_num')::int`).Scan(&version))
	if way == "parameter" && version < 150000 {
		return // it keeps the seal
	}
	_, err = conn.Exec(t.Context(), `select guard.keep_context($1)`, way)
	must(t, err)
	p.caughtUp(t)
}

func (p *pair) reads(t *testing.T) {
	as := p.read.As(t.Context(), p.alice.who)
	if got, err := rls.All[string](as, `select body from commons.post order by 1`); err != nil || fmt.Sprint(got) != "[a post of member-1]" {
		t.Errorf("alice's posts: %v, %v", got, err)
	}
	if got, err := rls.One[string](as, `select name from redoubt.me()`); got != "member-1" || err != nil {
		t.Errorf("who alice is: %q, %v", got, err)
	}
	if got, err := rls.One[int](as, `select count(*) from redoubt.my_sessions()`); got != 1 || err != nil {
		t.Errorf("alice's sessions: %d, %v", got, err)
	}
	if _, err := rls.Do(as, `insert into commons.post (body) values ('x')`); err == nil {
		t.Error("a standby took a post")
	}
	_, err := action.Do(t.Context(), p.read, p.alice.who, "posts:write", func(tx *action.Tx) (int64, error) {
		return rls.Do(tx, `insert into commons.post (body) values ('x')`)
	})
	if err == nil {
		t.Error("a standby took a change")
	}
	if _, err := rls.One[int](p.read.As(t.Context(), layer.Principal{}), `select count(*) from commons.post`); err == nil {
		t.Error("nobody was served")
	}
}

// revokes is what lag means: replay is held back, as a slow network would.
func (p *pair) revokes(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), p.standby.ConnString("postgres", password, "redoubt"))
	must(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `select pg_wal_replay_pause()`)
	must(t, err)
	must(t, p.identity.EndSession(t.Context(), p.alice.session))
	refusedBy := func(db *rls.DB) bool {
		_, err := rls.One[int](db.As(t.Context(), p.alice.who), `select count(*) from commons.post`)
		var r *layer.Refusal
		return errors.As(err, &r)
	}
	if !refusedBy(p.write) {
		t.Error("the primary still serves an ended session")
	}
	if refusedBy(p.read) {
		t.Error("a standby that lags knows of it: then the warning in docs/scaling.md is no longer true")
	}
	_, err = conn.Exec(t.Context(), `select pg_wal_replay_resume()`)
	must(t, err)
	p.caughtUp(t)
	if !refusedBy(p.read) {
		t.Error("the standby has caught up and still serves an ended session")
	}
	if got, err := rls.One[int](p.read.As(t.Context(), p.dave.who), `select count(*) from commons.post`); got != 1 || err != nil {
		t.Errorf("dave, whose session lives: %d, %v", got, err)
	}
}
