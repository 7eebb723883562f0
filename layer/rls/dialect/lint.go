package dialect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Weight says what becomes of what a rule finds.
type Weight string

// The weights, the gravest first.
const (
	Silent  Weight = "silent"  // the engine takes it and it protects less
	Refused Weight = "refused" // the engine says no
	Differs Weight = "differs" // it works, otherwise than on PostgreSQL
)

var weights = []Weight{Silent, Refused, Differs}

// A Source is the page that says so.
type Source struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// A Rule is one documented restriction of an engine, as a question to PostgreSQL's catalogs. Its ID is never given to another one.
type Rule struct {
	ID     string
	Engine Engine
	Weight Weight
	Title  string
	Why    string // what it means for isolation or for the application, in one sentence
	Mend   string // what to do, in one sentence
	Source Source

	sql string // follows the prelude; returns object and problem
}

// A Finding is one object that a rule is about.
type Finding struct {
	Rule    string `json:"rule"`
	Weight  Weight `json:"weight"`
	Object  string `json:"object"`
	Problem string `json:"problem"`
	Title   string `json:"title"`
	Why     string `json:"why"`
	Mend    string `json:"mend"`
	Source  Source `json:"source"`
}

// perRule bounds what one rule finds; whoever has more has seen enough.
const perRule = 1000

// Rules are an engine's, by ID. PostgreSQL has none: the schema was made there.
func Rules(e Engine) []Rule {
	all := map[Engine][]Rule{Citus: citusRules, CockroachDB: cockroachRules, YugabyteDB: yugabyteRules}[e]
	all = slices.Clone(all)
	for i := range all {
		all[i].Engine = e
	}
	return all
}

// Lint asks the catalogs of a PostgreSQL what of its schema this engine restricts, by its documentation. Findings are in order: the
// gravest first, then by rule and object.
func Lint(ctx context.Context, db DB, e Engine) ([]Finding, error) {
	if !e.Known() {
		return nil, errUnknown
	}
	found := []Finding{}
	err := reading(ctx, db, func(tx pgx.Tx) error {
		for _, r := range Rules(e) {
			some, err := r.ask(ctx, tx)
			if err != nil {
				return fmt.Errorf("rule %s: %w", r.ID, hide(err))
			}
			found = append(found, some...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking at the schema: %w", err)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return slices.Index(weights, a.Weight) - slices.Index(weights, b.Weight) })
	return found, nil
}

func (r Rule) ask(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	rows, err := tx.Query(ctx, prelude+"select object::text, problem::text from ("+r.sql+") f order by 1, 2 limit "+strconv.Itoa(perRule+1))
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Finding, error) {
		f := Finding{Rule: r.ID, Weight: r.Weight, Title: r.Title, Why: r.Why, Mend: r.Mend, Source: r.Source}
		return f, row.Scan(&f.Object, &f.Problem)
	})
	if len(found) > perRule {
		found[perRule].Object, found[perRule].Problem = "and more", fmt.Sprintf("No more than %d are told.", perRule)
	}
	return found, err
}

// hide keeps the class of a database's error and none of its words.
func hide(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("the database refuses (SQLSTATE %s)", pg.Code)
	}
	return err
}

// prelude gives every rule the same words.
//
//	nsp    schemas that are looked at           tbl   what is in them, with its place as in Tables
//	pol    policies of tenant tables            fn    functions: src without comments, code without comments and strings
const prelude = `with
nsp as materialized (
  select n.oid, n.nspname, pg_get_userbyid(n.nspowner) as owner from pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')),
rel as materialized (
  select c.*, c.oid::regclass::text as name, o.attnum as org,
         case when coalesce(o.attnotnull and c.relrowsecurity, false) and exists (
                select from pg_depend d join pg_policy p on p.oid = d.objid and p.polrelid = c.oid
                 where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = o.attnum) then 'spread'
              when o.attnum is not null and not o.attnotnull or n.owner not in ('redoubt_keys', 'redoubt_owner') then 'local' else 'copied' end as place
    from pg_class c join nsp n on n.oid = c.relnamespace
    left join pg_attribute o on o.attrelid = c.oid and o.attname = 'organization_id' and o.atttypid = 'uuid'::regtype and not o.attisdropped
   where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')),
tbl as (select * from rel where relkind in ('r', 'p')),
pol as materialized (
  select format('policy %I on %s', p.polname, t.name) as object, t.name, p.polpermissive, p.polroles::text as polroles,
         regexp_replace(coalesce(pg_get_expr(p.polqual, p.polrelid), '') || ' ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''), '''([^'']|'''')*''', '''''', 'g') as code
    from pg_policy p join tbl t on t.oid = p.polrelid where t.place = 'spread'),
fn as materialized (
  select f.*, regexp_replace(f.src, '''([^'']|'''')*''', '''''', 'g') as code from (
    select p.oid, p.proname, n.nspname, p.oid::regprocedure::text as object, p.prorettype, p.proargnames, p.prosecdef, p.proconfig, l.lanname,
           regexp_replace(p.prosrc, '--[^\n]*', '', 'g') as src
      from pg_proc p join nsp n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
     where l.lanname in ('plpgsql', 'sql') and p.prokind in ('f', 'p')
       and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')) f)
`
