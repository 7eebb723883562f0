// Package inspect looks at any PostgreSQL from version 13 on, its own or a stranger's, and says where it does not hold tenants
// apart (SYSTEM D6): each finding names the object, what is wrong, why that matters, and the SQL that mends it.
//
// It exists because isolation that nobody looked at is a hope. A rule is decided by one query on the catalogs, so it needs no
// rights on the data, no source code and nothing of Redoubt's in the database. It reads: the session is read-only, in a
// read-only transaction that is rolled back, and every query has a limit of time and of rows. An error means that the database
// itself does not hold tenants apart here; a warning, that it does until one more thing goes wrong, or at a needless cost; a
// note, that it is worth knowing and often right as it is.
//
// # What it assumes has failed
//
// Whoever wrote the schema, the policies and the grants; in Redoubt's own databases, the guard. The inspected database is not
// trusted either: its search_path finds nothing of ours, no function of its own is called, and its names reach SQL quoted and
// the terminal without control characters.
//
// # What it stops
//
// Nothing by itself. It finds what would have to be stopped, with an exit status for whatever builds and deploys.
//
// # What it does not stop
//
// It does not see what the application's SQL does, whether a value in a session was put there by whoever should, what functions
// do beyond a few words of their text, nor who is let in by pg_hba.conf. A clean report is no proof; a test of isolation for each
// table proves more.
//
// # How it is knocked out in a drill
//
// It is not: it stands in nobody's way. A drill inspects its disposable copy before and after a layer is taken out.
//
// # Example
//
//	report, err := inspect.Check(ctx, inspect.Config{ConnString: os.Getenv("DATABASE_URL")})
//	if err == nil && report.Count(inspect.Error) > 0 {
//		err = report.WriteText(os.Stdout, false)
//	}
package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Config says what to inspect.
type Config struct {
	ConnString   string        // the database, as a URL or in libpq's words; empty means what PGHOST, PGDATABASE and their like say
	TenantColumn string        // the column that says whose a row is; empty means that it is guessed
	Schemas      []string      // the schemas to look at; none means all but the system's and a hosting platform's own
	Only         []string      // the rules to ask, by ID; none means all
	Timeout      time.Duration // for each query; 0 means 30 seconds

	version int // that the server is taken for; 0 means what it says
}

const (
	oldest     = 130000 // the first version whose catalogs the rules know
	perRule    = 1000   // findings; whoever has more has seen enough
	maxSchemas = 100
)

// A problem is what kept the inspection from being made. Its words hold no address, no password and nothing of the data.
type problem struct {
	what, advice string
	asked        bool // it is about what was asked for
}

func (p *problem) Error() string { return p.what }

// Hint says what to do.
func (p *problem) Hint() string { return p.advice }

// Misused reports whether err is about what was asked for, and not about the database.
func Misused(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.asked
}

// Check inspects a database. The errors that it returns say what to do next, by a method Hint() string.
func Check(ctx context.Context, cfg Config) (*Report, error) {
	asked, err := cfg.check()
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, fmt.Errorf("beginning to read: %w", hide(err))
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // there is nothing to commit
	return examine(ctx, tx, cfg, asked)
}

// check returns the rules that are to be asked.
func (cfg *Config) check() ([]Rule, error) {
	var wrong []string
	if len(cfg.TenantColumn) > 63 || strings.ContainsRune(cfg.TenantColumn, 0) {
		wrong = append(wrong, "the tenant column's name is longer than a name can be")
	}
	if len(cfg.Schemas) > maxSchemas {
		wrong = append(wrong, fmt.Sprintf("more than %d schemas are named", maxSchemas))
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, "the time limit is below zero")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Schemas == nil {
		cfg.Schemas = []string{}
	}
	asked := slices.DeleteFunc(Rules(), func(r Rule) bool { return len(cfg.Only) > 0 && !slices.Contains(cfg.Only, r.ID) })
	for _, id := range cfg.Only {
		if !slices.ContainsFunc(asked, func(r Rule) bool { return r.ID == id }) {
			wrong = append(wrong, "there is no rule of one of the names")
		}
	}
	if wrong != nil {
		return nil, &problem{what: "inspecting: " + strings.Join(wrong, "; "), advice: "names are written as the database spells them", asked: true}
	}
	return asked, nil
}

func connect(ctx context.Context, cfg Config) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(cfg.ConnString)
	if err != nil { // its words may hold the password
		return nil, &problem{what: "the address of the database cannot be read", advice: "it looks like postgres://user@host:5432/database; the password may be in PGPASSWORD", asked: true}
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	// Whatever happens, this session writes nothing and ends by itself.
	c.RuntimeParams["application_name"] = "redoubt db check"
	c.RuntimeParams["default_transaction_read_only"] = "on"
	c.RuntimeParams["statement_timeout"] = fmt.Sprint(cfg.Timeout.Milliseconds())
	c.RuntimeParams["lock_timeout"] = "2000"
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	return conn, nil
}

// unreachable says why there is no connection without repeating what the driver and the server say: that names hosts and people.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p := &problem{what: "the database cannot be reached", advice: "check host and port, that the server runs, and that it lets this machine in"}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "28P01" || pg.Code == "28000":
			p.what, p.advice = "the database does not let this role in", "check role and password, and the server's pg_hba.conf; the password may be in PGPASSWORD"
		case pg.Code == "3D000":
			p.what, p.advice = "there is no database of that name", "the name is the last part of the address"
		case pg.Code == "42501":
			p.what, p.advice = "this role may not connect to the database", "grant connect on the database to it, or inspect as another role"
		case pg.Code == "53300":
			p.what, p.advice = "the server has no connection left", "try again, or as a role for which connections are kept"
		case pg.Code == "08P01":
			p.what, p.advice = "what answers does not take a session that is read-only from its start", "a pooler answers: give the address of the server behind it"
		default:
			p.what, p.advice = "the database refuses the connection (SQLSTATE "+pg.Code+")", "the server's log says why"
		}
	}
	return p
}

// hide keeps the class of a database's error and none of its words.
func hide(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("the database refuses (SQLSTATE %s)", pg.Code)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.New("the connection was lost")
}

func examine(ctx context.Context, tx pgx.Tx, cfg Config, asked []Rule) (*Report, error) {
	for _, setting := range []string{
		`set local search_path = ''`, // every name is then printed with its schema, and none of ours is found in theirs
		`set local jit = off`,        // compiling these queries takes longer than they do
	} {
		if _, err := tx.Exec(ctx, setting); err != nil {
			return nil, fmt.Errorf("beginning to read: %w", hide(err))
		}
	}
	r := &Report{}
	err := tx.QueryRow(ctx, `select current_setting('server_version_num')::int, split_part(current_setting('server_version'), ' ', 1), current_database(), current_user`).
		Scan(&r.number, &r.Version, &r.Database, &r.Role)
	if err != nil {
		return nil, fmt.Errorf("asking for the version: %w", hide(err))
	}
	if cfg.version != 0 {
		r.number = cfg.version
	}
	if r.number < oldest {
		return nil, &problem{what: "the server is PostgreSQL " + r.Version + "; 13 or later is needed", advice: "versions before 13 get no more corrections: upgrade first"}
	}
	if err := r.settle(ctx, tx, cfg); err != nil {
		return nil, err
	}
	for _, rule := range asked {
		if rule.since > r.number {
			continue // what it asks about is not there
		}
		r.Rules++
		if err := r.ask(ctx, tx, rule, cfg.Schemas, r.number); err != nil {
			return nil, err
		}
	}
	r.sort()
	return r, nil
}

// settle finds out which column says whose a row is, and that the schemas are there.
func (r *Report) settle(ctx context.Context, tx pgx.Tx, cfg Config) error {
	var missing int
	if err := tx.QueryRow(ctx, `select count(*) from unnest($1::text[]) s where s not in (select nspname from pg_namespace)`, cfg.Schemas).Scan(&missing); err != nil {
		return fmt.Errorf("looking for the schemas: %w", hide(err))
	}
	if missing > 0 {
		return &problem{what: "a schema that was named is not there", advice: "names are written as the database spells them: lower case, unless they were quoted", asked: true}
	}
	r.TenantColumn, r.Guessed = cfg.TenantColumn, cfg.TenantColumn == ""
	var tables int
	err := tx.QueryRow(ctx, prelude+guess, cfg.TenantColumn, cfg.Schemas, r.number).Scan(&r.TenantColumn, &tables)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("looking for the tenants' column: %w", hide(err))
	case err != nil && !r.Guessed:
		return &problem{what: "no table has the tenant column that was named", advice: "names are written as the database spells them; leave it out to have it guessed", asked: true}
	}
	r.Tables = tables
	return nil
}

// ask puts one rule's question. A question that this role may not ask, or that takes too long, is reported as undecided: the
// others are asked all the same.
func (r *Report) ask(ctx context.Context, tx pgx.Tx, rule Rule, schemas []string, version int) error {
	step, err := tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("asking %s: %w", rule.ID, hide(err))
	}
	defer step.Rollback(ctx)
	rows, err := step.Query(ctx, rule.query(), r.TenantColumn, schemas, version)
	if err == nil {
		var found []Finding
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Finding, error) {
			f := Finding{Rule: rule.ID, Severity: rule.Severity, Why: rule.Why, Mend: rule.Mend}
			return f, row.Scan(&f.Object, &f.Problem, &f.SQL)
		})
		if len(found) > perRule {
			found, r.Cut = found[:perRule], append(r.Cut, rule.ID)
		}
		r.Findings = append(r.Findings, found...)
	}
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg) && ctx.Err() == nil && (pg.Code == "42501" || pg.Code == "57014" || pg.Code == "55P03"):
		r.Undecided = append(r.Undecided, Undecided{rule.ID, map[string]string{"42501": "this role lacks the rights", "57014": "it took too long", "55P03": "a lock was in the way"}[pg.Code]})
		return nil
	}
	return fmt.Errorf("asking %s: %w", rule.ID, hide(err))
}
