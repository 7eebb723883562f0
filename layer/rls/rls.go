// Package rls keeps tenants apart inside PostgreSQL (SYSTEM D1–D4). It holds the roles, the credential context and the guard, in
// schema/*.sql, and gives the application its only way to the database: reads with DB.As, writes through the action gate.
//
// The application's role has no authority of its own. Every transaction presents the caller's own credential to the database,
// which looks it up, and keeps what it found until that transaction ends, where only it can write; forced policies on every tenant
// table ask for it. SQL here never names an organization to filter by: the database knows who asks. What comes back is looked at once more:
// an id says whose it is, and the Principal says who asks (whose.go).
//
// # What it assumes has failed
//
// Everything outside it: the handler forgot a check, a gate is missing, an expression was smuggled into SQL, the password of
// the application's role was stolen.
//
// # What it stops
//
// Reading, changing, counting or referring to a row of another organization; acting with a credential that is revoked, expired
// or of a deactivated member, from the next statement on; changing a context, or using one in another transaction. And where a table's
// policies are off, or the context is wrong: an answer with an id of another organization, and a change that names one.
//
// # What it does not stop
//
// A caller from doing what their own organization and scopes allow. Whoever can type arbitrary statements, and not only an
// expression, from reading estimates that EXPLAIN and the size of a table give, from locking tables that they may write, and from
// leaving a prepared statement on a connection: constant SQL and the extended protocol keep them from it. Somebody who holds the
// living credentials of callers, the superuser, or the disk. Ids tell only for what they are in: not for a count or a text, nor for rows
// whose ids were made outside a context (docs/decisions/0042-an-id-says-whose-it-is.md).
//
// # How it is knocked out in a drill
//
// The floor policy is dropped, or row level security disabled, on a table of the disposable copy; or the application connects
// as the tables' owner without FORCE. Apart from that, every id is taken for the caller's own.
//
// # Example
//
//	const selectOrder = `select id, quantity, total_cents from commons.order_ where id = $1`
//	order, err := rls.One[Order](db.As(ctx, who), selectOrder, id) // one round trip: credential and query together
package rls

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is this layer's line of migrations: roles, credential context, guard.
//
//go:embed schema/*.sql
var Schema embed.FS

// Config says how to reach the database.
type Config struct {
	Connection string // connection string of role redoubt_app, redoubt_worker, redoubt_webhook or redoubt_analytics; required
	MaxConns   int32  // zero is four for each processor, at least eight
	// Strict keeps no prepared statement on a connection, so that nobody can have replaced one for the next caller. It costs a
	// read some 50 to 100 µs of processor time. Zero keeps them: whoever could replace one must be able to type whole statements,
	// which constant SQL and the extended protocol keep everybody from.
	Strict bool
}

// Limits of the pool. Waiting for a connection is bounded so that a database that hangs makes requests fail, not pile up.
const (
	acquireWait = 3 * time.Second
	connLife    = 15 * time.Minute // so that nothing a session may have altered lives long
)

// DB is the application's way to tenant data. It may be used concurrently.
type DB struct {
	pool *pgxpool.Pool
}

// ErrBypass means that the role of the connection could get around row level security, so the program must not run with it.
var ErrBypass = errors.New("the database role could bypass row level security")

// Open connects, and refuses a role that could see more than a caller's credential shows.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(cfg.Connection)
	if err != nil {
		return nil, errors.New("reading the application's connection string: it is not valid") // the cause may hold the password
	}
	if err := Verified(pc.ConnConfig); err != nil {
		return nil, fmt.Errorf("opening the application's pool: %w", err)
	}
	// Statements are prepared once per connection. Never the simple protocol: it admits stacked statements.
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	if cfg.Strict {
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	pc.ConnConfig.RuntimeParams["application_name"] = "redoubt"
	pc.MaxConns = cfg.MaxConns
	if pc.MaxConns == 0 {
		pc.MaxConns = int32(max(8, 4*runtime.GOMAXPROCS(0)))
	}
	pc.MinIdleConns = min(2, pc.MaxConns) // the first statement on a connection compiles the policies' functions
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = connLife, connLife/10
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening the application's pool: %w", err)
	}
	if err := checkRole(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return &DB{pool}, nil
}

// Close ends every connection after the statements under way.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// roleFaults asks for every way around the policies, each with the statement that mends it.
const roleFaults = `
select fault, mend from (
  select 'it is a superuser' as fault, 'ALTER ROLE ' || quote_ident(current_user) || ' NOSUPERUSER' as mend from pg_roles where rolname = current_user and rolsuper
  union all select 'it has BYPASSRLS', 'ALTER ROLE ' || quote_ident(current_user) || ' NOBYPASSRLS' from pg_roles where rolname = current_user and rolbypassrls
  union all select 'it is a member of ' || quote_ident(r.rolname), 'REVOKE ' || quote_ident(r.rolname) || ' FROM ' || quote_ident(current_user)
    from pg_auth_members m join pg_roles r on r.oid = m.roleid where m.member = current_user::regrole
  union all select 'it owns ' || c.oid::regclass::text, 'ALTER TABLE ' || c.oid::regclass::text || ' OWNER TO redoubt_owner' from pg_class c where c.relowner = current_user::regrole and c.relkind in ('r', 'p')
  union all select 'it may alter settings by set_config', 'REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC'
    where has_function_privilege(current_user, 'pg_catalog.set_config(text,text,boolean)', 'EXECUTE')
  union all select 'it may set the parameter that keeps a context', 'REVOKE SET ON PARAMETER backtrace_functions FROM ' || quote_ident(current_user) || ', PUBLIC'
    where has_parameter_privilege(current_user, 'backtrace_functions', 'SET')
  union all select 'it may make temporary tables', 'REVOKE TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC' where has_database_privilege(current_database(), 'TEMPORARY')
) f`

func checkRole(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rows, err := pool.Query(ctx, roleFaults)
	if err != nil {
		return fmt.Errorf("checking the application's role: %w", err)
	}
	type fault struct{ Fault, Mend string }
	faults, err := pgx.CollectRows(rows, pgx.RowToStructByName[fault])
	if err != nil {
		return fmt.Errorf("checking the application's role: %w", err)
	}
	var problems []error
	for _, f := range faults {
		problems = append(problems, fmt.Errorf("%w: %s; mend it with: %s", ErrBypass, f.Fault, f.Mend))
	}
	return errors.Join(problems...)
}
