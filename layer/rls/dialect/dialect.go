// Package dialect writes the isolation of a tenant table for other engines than PostgreSQL, and finds what of a schema those
// engines refuse, do otherwise, or do silently worse (SYSTEM D8).
//
// It exists because "PostgreSQL-compatible" is said of engines that lack what isolation here is made of. The policies' text and the
// findings come from the catalogs of a live PostgreSQL that the guard watches: that database stays the place where a schema is made
// and checked, and another engine gets what is derived from it. Every rule names the page that says so. None of these engines was
// run: what is tested is that each text isolates alike on PostgreSQL, and that each rule finds what it is about.
//
// # What it assumes has failed
//
// The assumption that a schema means the same elsewhere: a policy that is copied to a shard as permissive, a trigger that is not
// there, a context that another backend does not have.
//
// # What it stops
//
// Nothing by itself. Whoever moves a database reads beforehand what will be refused, and what would be lost without a word.
//
// # What it does not stop
//
// What an engine's documentation does not say, what the application's own SQL asks, and settings outside of the catalogs. An
// engine without event triggers has no guard: Watch is a question that must be asked, not a refusal.
//
// # How it is knocked out in a drill
//
// It is not: it stands in nobody's way. A drill of another engine is a drill on a disposable cluster of that engine.
//
// # Example
//
//	report, err := dialect.Read(ctx, dialect.Config{ConnString: os.Getenv("DATABASE_URL"), Engine: dialect.Citus})
//	if err == nil {
//		err = report.WriteText(os.Stdout)
//	}
package dialect

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"
)

// An Engine is what keeps the tables.
type Engine string

// The engines that have a dialect.
const (
	PostgreSQL  Engine = "postgresql"
	Citus       Engine = "citus"
	CockroachDB Engine = "cockroachdb"
	YugabyteDB  Engine = "yugabytedb"
)

// Engines are all of them.
func Engines() []Engine { return []Engine{PostgreSQL, Citus, CockroachDB, YugabyteDB} }

// Known reports whether there is a dialect for e.
func (e Engine) Known() bool { return slices.Contains(Engines(), e) }

// errUnknown does not repeat the word, which may be anything that was typed.
var errUnknown = errors.New("there is no dialect for this engine; there are postgresql, citus, cockroachdb and yugabytedb")

// A DB begins transactions: a connection, a pool, or a transaction.
type DB interface {
	Begin(context.Context) (pgx.Tx, error)
}

// A Policy is one of a table's own, beside the two that every tenant table has.
type Policy struct {
	Name       string // as SQL writes it
	Command    string // all, select, insert, update or delete
	Permissive bool
	Roles      []string // as SQL writes them
	Using      string   // as PostgreSQL prints it; empty for none
	Check      string
}

// A Place is where an engine that spreads tables over machines keeps one.
type Place string

// The places.
const (
	Spread Place = "spread" // each organization's rows on one machine: tenant tables
	Copied Place = "copied" // whole, on every machine: what is looked up for any organization
	Local  Place = "local"  // where it is: what belongs to no organization alone, as the audit trail
)

// A Table is one of a database that the guard watches.
type Table struct {
	Name       string // with its schema, as SQL writes it
	Place      Place
	Guarded    bool     // has the floor and the open policy that the guard gives
	Policies   []Policy // without those two, by name
	References []string // tables that its foreign keys lead to, except itself

	schema, relation string // the name's two parts, as catalogs write them
	personal         string // what the audit trigger is told, as SQL writes it
	first            string // the first tenant table of its database; empty for that one itself
}

// most bounds how many tables are read; whoever has more moves them in parts. Tests lower it.
var most = 5000

// tables lists every table with its place. A tenant table has a mandatory organization and a policy that looks at it; what else
// belongs to the layers that are asked for any organization, or to the application for everybody, is wanted on every machine.
const tables = `
select t.oid::regclass::text, t.nspname, t.relname, t.personal,
       case when t.tenant then 'spread' when t.floating or pg_get_userbyid(t.nspowner) not in ('redoubt_keys', 'redoubt_owner') then 'local' else 'copied' end,
       t.floor and t.open,
       coalesce((select array_agg(distinct k.confrelid::regclass::text order by k.confrelid::regclass::text)
          from pg_constraint k where k.conrelid = t.oid and k.contype = 'f' and k.confrelid <> t.oid), '{}')
  from (
    select c.oid, n.nspname, c.relname, n.nspowner, o.attnum is not null and not o.attnotnull as floating,
           exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'redoubt_floor' and not p.polpermissive and p.polcmd = '*') as floor,
           exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'redoubt_open' and p.polpermissive and p.polcmd = '*' and pg_get_expr(p.polqual, c.oid) = 'true') as open,
           coalesce(o.attnotnull and c.relrowsecurity, false) and exists (
             select from pg_depend d join pg_policy p on p.oid = d.objid and p.polrelid = c.oid
              where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = o.attnum) as tenant,
           coalesce((select string_agg(quote_literal(x), ', ' order by i) from pg_trigger g, unnest((string_to_array(encode(g.tgargs, 'escape'), '\000'))[1:g.tgnargs]) with ordinality u(x, i)
                      where g.tgrelid = c.oid and g.tgname = 'audit_row'), '') as personal
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute o on o.attrelid = c.oid and o.attname = 'organization_id' and o.atttypid = 'uuid'::regtype and not o.attisdropped
     where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')) t
 order by 1 limit $1`

const policies = `
select p.polrelid::regclass::text, quote_ident(p.polname),
       case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' else 'delete' end,
       p.polpermissive, array(select case when r = 0 then 'public' else r::regrole::text end from unnest(p.polroles) r order by 1),
       coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
  from pg_policy p where p.polname not in ('redoubt_floor', 'redoubt_open') order by 1, 2`

// Tables reads the tables of a database, each after those that it references.
func Tables(ctx context.Context, db DB) ([]Table, error) {
	var all []Table
	err := reading(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, tables, most+1)
		if err != nil {
			return err
		}
		if all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Table, err error) {
			return t, row.Scan(&t.Name, &t.schema, &t.relation, &t.personal, &t.Place, &t.Guarded, &t.References)
		}); err != nil {
			return err
		}
		return addPolicies(ctx, tx, all)
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the tables: %w", hide(err))
	case len(all) > most:
		return nil, fmt.Errorf("reading the tables: there are more than %d", most)
	}
	all, err = inOrder(all)
	if i := slices.IndexFunc(all, func(t Table) bool { return t.Place == Spread }); i >= 0 {
		for j := range all[i+1:] {
			all[i+1+j].first = all[i].Name
		}
	}
	return all, err
}

func addPolicies(ctx context.Context, tx pgx.Tx, all []Table) error {
	rows, err := tx.Query(ctx, policies)
	if err != nil {
		return err
	}
	of := map[string]int{}
	for i, t := range all {
		of[t.Name] = i
	}
	var table string
	var p Policy
	_, err = pgx.ForEachRow(rows, []any{&table, &p.Name, &p.Command, &p.Permissive, &p.Roles, &p.Using, &p.Check}, func() error {
		if i, ok := of[table]; ok {
			one := p
			one.Roles = slices.Clone(p.Roles)
			all[i].Policies = append(all[i].Policies, one)
		}
		return nil
	})
	return err
}

// inOrder puts every table behind those that it references, as engines ask that make a foreign key's target known first.
func inOrder(all []Table) ([]Table, error) {
	var done []Table
	placed, known := map[string]bool{}, map[string]bool{}
	for _, t := range all {
		known[t.Name] = true
	}
	for len(done) < len(all) {
		before := len(done)
		for _, t := range all {
			waits := slices.ContainsFunc(t.References, func(r string) bool { return known[r] && !placed[r] })
			if !placed[t.Name] && !waits {
				placed[t.Name] = true
				done = append(done, t)
			}
		}
		if len(done) == before {
			return nil, errors.New("reading the tables: some reference each other in a circle, so none of them can be first; drop one foreign key and add it again at the end")
		}
	}
	return done, nil
}

// reading gives f a transaction that changes nothing and prints every name with its schema.
func reading(ctx context.Context, db DB, f func(pgx.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for _, setting := range []string{`set local search_path = ''`, `set local jit = off`, `set local transaction_read_only = on`} {
		if _, err := tx.Exec(ctx, setting); err != nil {
			return err
		}
	}
	return f(tx)
}

// subSelect is how PostgreSQL prints the sub-select around one of the context's functions, which has it asked once for a statement
// and not once for a row.
var subSelect = regexp.MustCompile(`\( ?SELECT (redoubt\.[a-z_]+\((?:'(?:[^']|'')*'(?:::text)?)?\)) AS "?[a-z_]+"?\)`)

// literal is what cannot hold a keyword: strings, quoted names.
var literal = regexp.MustCompile(`'(?:[^']|'')*'|"(?:[^"]|"")*"`)

var asks = regexp.MustCompile(`(?i)\bselect\b`)

// bare is a policy's expression without sub-selects.
func bare(expression string) (string, error) {
	plain := subSelect.ReplaceAllString(expression, "$1")
	if asks.MatchString(literal.ReplaceAllString(plain, "")) {
		return "", errors.New("it holds a sub-select that is more than a call of the context")
	}
	return plain, nil
}
