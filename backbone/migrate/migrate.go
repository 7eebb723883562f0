// Package migrate brings a database to the schema that a program expects: each layer and each part of the application owns an
// ordered line of SQL files, and each file is applied once, in a transaction, and remembered with its hash. A kept library would
// be welcome here; docs/decisions/0006-migrations.md says what was missing in those examined.
package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Line is one ordered series of migrations: the *.sql files of Files, in whatever folder, in the order of their paths.
type Line struct {
	Name  string // "rls", "shop"; recorded, so it must not change
	Files fs.FS
	// Application lines run as the migrator, SET ROLE redoubt_owner, under the guard. The others belong to Redoubt's own
	// layers, which make the roles and the guard, and run as the superuser.
	//
	// The owner sees no row of any organization. A file of an application's line that has to, as a backfill or the validation of a
	// foreign key, begins with the line "-- maintenance: " and the reason. It runs as redoubt_maintenance, as whom only this program can
	// log in, while that file is applied; the reason is recorded, and what it changes is in the audit trail, done by nobody.
	Application bool
}

// A Config says where to migrate.
type Config struct {
	Admin    string            // connection of a superuser to the database; required
	Migrator func() string     // connection as redoubt_migrator; asked for once the role exists. Required with Application lines
	Lines    []Line            // in order
	Roles    map[string]string // passwords to set for login roles once they exist; zero leaves them
	Assert   string            // SQL that must succeed after each application file, in its transaction, as the migrator; zero asserts nothing
	Say      func(string)      // told of each file that is applied; zero is silence
}

// A Step is a file that has not been applied.
type Step struct {
	Line   string `json:"line"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	As     string `json:"as"`               // the role that it will run as
	Reason string `json:"reason,omitempty"` // why it has to see every organization's rows
}

// lockKey is this program's advisory lock: two programs never migrate one database at once.
const lockKey = 0x5265_646f_7562_74 // "Redoubt"

// ErrNoReason means that a file asks for maintenance and does not say why.
var ErrNoReason = errors.New("maintenance needs a reason of at least ten letters")

// ErrChanged means that a file which has been applied is not the file it was.
var ErrChanged = errors.New("an applied migration has been changed")

const history = `
create schema if not exists backbone;
create table if not exists backbone.migration (
  line       text        not null,
  name       text        not null,
  sha256     text        not null,
  reason     text        not null default '', -- why it saw every organization's rows
  applied_at timestamptz not null default now(),
  primary key (line, name)
);
revoke all on schema backbone from public;`

const letMigrator = `
grant usage on schema backbone to redoubt_migrator, redoubt_maintenance, redoubt_backup;
grant select, insert on backbone.migration to redoubt_migrator, redoubt_maintenance;
grant select on backbone.migration to redoubt_backup;`

// Run applies what is missing and returns how many files that was. A failure leaves the database as it was before the file
// that failed. It is safe to run from several programs at once: the second waits for the first.
func Run(ctx context.Context, cfg Config) (applied int, err error) {
	if cfg.Migrator == nil && slices.ContainsFunc(cfg.Lines, func(l Line) bool { return l.Application }) {
		return 0, errors.New("migrating: there are application lines, and Config.Migrator is nil")
	}
	admin, err := pgx.Connect(ctx, cfg.Admin)
	if err != nil {
		return 0, fmt.Errorf("connecting as the superuser: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if _, err := admin.Exec(ctx, "select pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return 0, fmt.Errorf("waiting for another migration: %w", err)
	}
	if err := script(ctx, admin, history); err != nil {
		return 0, fmt.Errorf("preparing the history: %w", err)
	}
	done, err := readHistory(ctx, admin)
	if err != nil {
		return 0, err
	}
	m := &run{cfg: cfg, admin: admin, done: done}
	defer m.close(ctx)
	for _, line := range cfg.Lines {
		if err := m.line(ctx, line); err != nil {
			return m.applied, fmt.Errorf("migrating %s: %w", line.Name, err)
		}
	}
	return m.applied, nil
}

// Plan lists what Run would apply, in order, and changes nothing.
func Plan(ctx context.Context, cfg Config) ([]Step, error) {
	admin, err := pgx.Connect(ctx, cfg.Admin)
	if err != nil {
		return nil, fmt.Errorf("connecting as the superuser: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	done := map[[2]string]string{}
	var begun bool
	if err := admin.QueryRow(ctx, "select to_regclass('backbone.migration') is not null").Scan(&begun); err != nil {
		return nil, fmt.Errorf("looking for the history: %w", err)
	}
	if begun {
		if done, err = readHistory(ctx, admin); err != nil {
			return nil, err
		}
	}
	steps := []Step{}
	for _, line := range cfg.Lines {
		err := line.each(func(name string, text []byte) error {
			hash, pending, err := compare(done, line, name, text)
			if err != nil || !pending {
				return err
			}
			reason, err := line.reason(text)
			steps = append(steps, Step{line.Name, name, hash, line.as(reason), reason})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("planning %s: %w", line.Name, err)
		}
	}
	return steps, nil
}

func (l Line) as(reason string) string {
	switch {
	case reason != "":
		return "redoubt_maintenance"
	case l.Application:
		return "redoubt_owner, by redoubt_migrator"
	}
	return "superuser"
}

const maintenance = "-- maintenance:"

// reason is why a file of an application's line has to see every organization's rows, or nothing for one that need not.
func (l Line) reason(text []byte) (string, error) {
	first, _, _ := strings.Cut(string(text), "\n")
	reason, asks := strings.CutPrefix(first, maintenance)
	if reason = strings.TrimSpace(reason); asks && l.Application && len(reason) < 10 {
		return "", ErrNoReason
	}
	if !asks || !l.Application {
		return "", nil
	}
	return reason, nil
}

// each calls do with every file of the line, in order.
func (l Line) each(do func(name string, text []byte) error) error {
	found := false
	err := fs.WalkDir(l.Files, ".", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(at) != ".sql" {
			return err
		}
		found = true
		text, err := fs.ReadFile(l.Files, at)
		if err == nil {
			err = do(path.Base(at), text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path.Base(at), err)
		}
		return nil
	})
	if err == nil && !found {
		return errors.New("the line has no *.sql files")
	}
	return err
}

// compare says whether a file has still to be applied. One that was applied must be the one that it was.
func compare(done map[[2]string]string, line Line, name string, text []byte) (hash string, pending bool, err error) {
	sum := sha256.Sum256(text)
	hash = hex.EncodeToString(sum[:])
	was, applied := done[[2]string{line.Name, name}]
	if applied && was != hash {
		return hash, false, fmt.Errorf("%w: write a new file instead of editing an old one", ErrChanged)
	}
	return hash, !applied, nil
}

type run struct {
	cfg      Config
	admin    *pgx.Conn
	migrator *pgx.Conn
	done     map[[2]string]string
	applied  int
}

func (m *run) close(ctx context.Context) {
	if m.migrator != nil {
		m.migrator.Close(context.WithoutCancel(ctx))
	}
}

func (m *run) line(ctx context.Context, line Line) error {
	return line.each(func(name string, text []byte) error { return m.file(ctx, line, name, text) })
}

func (m *run) file(ctx context.Context, line Line, name string, text []byte) error {
	hash, pending, err := compare(m.done, line, name, text)
	if err != nil || !pending {
		return err
	}
	reason, err := line.reason(text)
	if err != nil {
		return err
	}
	conn, err := m.conn(ctx, line)
	if err == nil && reason != "" {
		if conn, err = maintainer(ctx, m.admin, conn.Config()); err == nil {
			defer conn.Close(context.WithoutCancel(ctx))
		}
	}
	if err != nil {
		return err
	}
	if m.cfg.Say != nil {
		m.cfg.Say(line.Name + "/" + name)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if line.Application && reason == "" {
		text = append([]byte("set local role redoubt_owner;\n"), text...)
	}
	if err := script(ctx, conn, string(text)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "reset role"); err != nil {
		return err
	}
	if line.Application && m.cfg.Assert != "" {
		if err := script(ctx, conn, m.cfg.Assert); err != nil {
			return fmt.Errorf("asserting what must hold afterwards: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, "insert into backbone.migration (line, name, sha256, reason) values ($1, $2, $3, $4)", line.Name, name, hash, reason); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	m.applied++
	return nil
}

// conn gives the connection that a line runs on. The migrator's is made when the first application line comes, after the
// layers' own lines have made the role.
func (m *run) conn(ctx context.Context, line Line) (*pgx.Conn, error) {
	if !line.Application {
		return m.admin, nil
	}
	if m.migrator != nil {
		return m.migrator, nil
	}
	if err := SetPasswords(ctx, m.admin, m.cfg.Roles); err != nil {
		return nil, err
	}
	if err := script(ctx, m.admin, letMigrator); err != nil {
		return nil, fmt.Errorf("letting the migrator record: %w", err)
	}
	conn, err := pgx.Connect(ctx, m.cfg.Migrator())
	if err != nil {
		return nil, fmt.Errorf("connecting as the migrator: %w", err)
	}
	m.migrator = conn
	return conn, nil
}

func readHistory(ctx context.Context, conn *pgx.Conn) (map[[2]string]string, error) {
	rows, err := conn.Query(ctx, "select line, name, sha256 from backbone.migration")
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	done := map[[2]string]string{}
	var line, name, hash string
	_, err = pgx.ForEachRow(rows, []any{&line, &name, &hash}, func() error {
		done[[2]string{line, name}] = hash
		return nil
	})
	return done, err
}

// script runs several statements. The text is ours, from embedded files: the simple protocol takes no parameters.
func script(ctx context.Context, conn *pgx.Conn, sql string) error {
	return conn.PgConn().Exec(ctx, sql).Close()
}
