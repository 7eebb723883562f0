package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

const (
	buildLimit   = 5 * time.Minute // for one template, waiting for others who build included
	createLimit  = 2 * time.Minute // for one copy, waiting for a turn included
	dropLimit    = 30 * time.Second
	copiesAtOnce = 2 // more make each other slow: copying is bound by the disk
)

// Advisory locks in the database "postgres", by which all test processes take turns. They end with their connection, and so
// with a process that is killed.
const (
	lockSpace = 0x7e57
	buildTurn = 1   // building templates: their roles belong to the whole server and must not be made twice at once
	copyTurn  = 100 // and up to copiesAtOnce-1 more
)

// A DB is a database of its own, for one test or one package.
type DB struct {
	Name   string // as PostgreSQL knows it
	Admin  string // address for the superuser
	server server
}

// ConnString is the address of the database for another role.
func (d *DB) ConnString(user, password string) string {
	return postgres.Address(d.server.Socket, user, password, d.Name)
}

// Database makes a database for this test and drops it afterwards. It is a copy of the template that build makes of an empty
// database, reached as superuser at adminConn. The template is built once per server for each key, so key must change when what
// build does changes: let it hold a hash of the schema. Builds run one at a time, over all processes. Roles belong to the whole
// server, so a build must expect that another has made them already, also one that was interrupted.
func Database(tb testing.TB, key string, build func(ctx context.Context, adminConn string) error) *DB {
	tb.Helper()
	s := join(tb)
	d, err := s.create(tb.Context(), key, build)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := d.drop(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return d
}

var shared = struct {
	mu  sync.Mutex
	all map[string]*DB
}{all: map[string]*DB{}}

// Shared is Database with one database per key for the whole package, dropped when the package's tests have ended. Tests keep
// apart by using an organization each.
func Shared(tb testing.TB, key string, build func(ctx context.Context, adminConn string) error) *DB {
	tb.Helper()
	s := join(tb)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if d := shared.all[key]; d != nil {
		return d
	}
	d, err := s.create(tb.Context(), key, build)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	shared.all[key] = d
	return d
}

func dropShared() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var err error
	for key, d := range shared.all {
		err = errors.Join(err, d.drop())
		delete(shared.all, key)
	}
	return err
}

func (s server) create(ctx context.Context, key string, build func(context.Context, string) error) (*DB, error) {
	sum := sha256.Sum256([]byte(key))
	template := "template_" + hex.EncodeToString(sum[:12])
	if err := s.template(ctx, template, build); err != nil {
		return nil, fmt.Errorf("building the template database: %w", err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := s.copy(ctx, template, name); err != nil {
		return nil, fmt.Errorf("copying the template database: %w", err)
	}
	return &DB{name, s.address(name), s}, nil
}

// template builds a template unless it is there. A database of its name that is not marked as a template was being built by
// a process that is gone.
func (s server) template(ctx context.Context, name string, build func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const complete = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)"
	var done bool
	if err := conn.QueryRow(ctx, complete, name).Scan(&done); err != nil || done {
		return err
	}
	if err := turn(ctx, conn, buildTurn); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, complete, name).Scan(&done); err != nil || done {
		return err
	}
	return s.buildTemplate(ctx, conn, name, build)
}

func (s server) buildTemplate(ctx context.Context, conn *pgx.Conn, name string, build func(context.Context, string) error) error {
	drop := "DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)"
	if err := execute(ctx, conn, drop, "CREATE DATABASE "+quote(name)+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := build(ctx, s.address(name)); err != nil {
		return errors.Join(err, execute(context.WithoutCancel(ctx), conn, drop))
	}
	// No connections: one that build forgot to close would make every copy fail.
	return execute(ctx, conn,
		"ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false",
		"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '"+name+"'",
		"ALTER DATABASE "+quote(name)+" IS_TEMPLATE true")
}

func (s server) copy(ctx context.Context, template, name string) error {
	ctx, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var slot [1]byte
	rand.Read(slot[:])
	if err := turn(ctx, conn, copyTurn+int(slot[0])%copiesAtOnce); err != nil {
		return err
	}
	return execute(ctx, conn, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" STRATEGY FILE_COPY")
}

func (d *DB) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.server.address("postgres"))
	if err != nil {
		return fmt.Errorf("dropping database: %w", err)
	}
	defer conn.Close(ctx)
	if err := execute(ctx, conn, "DROP DATABASE IF EXISTS "+quote(d.Name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping database: %w", err)
	}
	return nil
}

// turn waits for an advisory lock, which lasts until conn is closed.
func turn(ctx context.Context, conn *pgx.Conn, which int) error {
	_, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", lockSpace, which)
	return err
}

func execute(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// quote is for names that this package has made of letters, digits and underscores.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
