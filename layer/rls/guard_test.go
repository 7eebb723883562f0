package rls_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// column is what a tenant table begins with.
const column = `organization_id uuid not null, id uuid not null, primary key (organization_id, id)`

type hole struct{ name, before, sql string }

// holes are what the owner of the tables might do, by mistake or with a stolen password of the migrator, each refused by the
// guard (SYSTEM D1, D4, D5). Without the guard PostgreSQL would do them all.
var holes = []hole{
	{"a table without organization_id", ``, `create table app.t (id int)`},
	{"a table whose organization_id may be null", ``, `create table app.t (organization_id uuid)`},
	{"a table whose organization_id is text", ``, `create table app.t (organization_id text not null)`},
	{"a table from a query", ``, `create table app.t as select 1 as x`},
	{"a table from SELECT INTO", ``, `select 1 as x into app.t`},
	{"a table in a schema made with it", ``, `create schema s create table t (id int)`},
	{"a table in a schema made before", `create schema s`, `create table s.t (id int)`},
	{"a table like another, without its organization", ``, `create table app.t (like app.note excluding all); alter table app.t drop organization_id cascade`},
	{"a table that may be null later", ``, `alter table app.note drop constraint note_pkey cascade; alter table app.note alter organization_id drop not null`},
	{"dropping organization_id", ``, `alter table app.note drop column organization_id cascade`},
	{"renaming organization_id", ``, `alter table app.note rename organization_id to x`},
	{"disabling row level security", ``, `alter table app.note disable row level security`},
	{"not forcing row level security", ``, `alter table app.note no force row level security`},
	{"dropping the floor", ``, `drop policy redoubt_floor on app.note`},
	{"renaming the floor", ``, `alter policy redoubt_floor on app.note rename to x`},
	{"widening what the floor shows", ``, `alter policy redoubt_floor on app.note using (true)`},
	{"widening what the floor admits", ``, `alter policy redoubt_floor on app.note with check (true)`},
	{"lifting the floor from some", ``, `alter policy redoubt_floor on app.note to redoubt_app`},
	{"a floor that calls something else", `create function app.org() returns uuid language sql as 'select null::uuid'`, `alter policy redoubt_floor on app.note using (organization_id = (select app.org()))`},
	{"a view with its owner's eyes", ``, `create view app.v as select * from app.note`},
	{"a view with its owner's eyes, later", `create view app.v with (security_invoker = true) as select * from app.note`, `alter view app.v set (security_invoker = false)`},
	{"a view with its owner's eyes, by reset", `create view app.v with (security_invoker = true) as select * from app.note`, `alter view app.v reset (security_invoker)`},
	{"a view replaced by one with its owner's eyes", `create view app.v with (security_invoker = true) as select * from app.note`, `create or replace view app.v with (security_invoker = false) as select * from app.note`},
	{"a materialized view", ``, `create materialized view app.v as select 1 as x`},
	{"a foreign table", ``, `create foreign table app.t (organization_id uuid not null) server away`},
	{"a unique index over all organizations", ``, `create unique index on app.note (slug)`},
	{"a unique index that ends with the organization", ``, `create unique index on app.note (slug, organization_id)`},
	{"a unique index over an expression", ``, `create unique index on app.note (lower(slug), organization_id)`},
	{"a unique constraint over all organizations", ``, `alter table app.note add unique (slug)`},
	{"a unique column", ``, `alter table app.note add x int unique`},
	{"a primary key over all organizations", ``, `create table app.t (organization_id uuid not null, id uuid primary key)`},
	{"an exclusion over all organizations", ``, `alter table app.note add exclude using btree (slug with =)`},
	{"an exclusion that compares organizations otherwise", ``, `alter table app.note add exclude using gist (organization_id with <>, slug with =)`},
	{"a foreign key to a row of any organization", `alter event trigger redoubt_command disable; alter table app.note add unique (id); alter event trigger redoubt_command enable`,
		`create table app.t (` + column + `, note_id uuid references app.note (id))`},
	{"a foreign key that pairs the organization with something else", ``, `create table app.t (` + column + `, x uuid, foreign key (x, id) references app.note (organization_id, id))`},
	{"a foreign key added later", ``, `alter table app.reply add x uuid, add foreign key (x, note_id) references app.note (organization_id, id) not valid`},
	{"disabling the audit trigger", ``, `alter table app.note disable trigger audit_row`},
	{"disabling every trigger", ``, `alter table app.note disable trigger user`},
	{"the audit trigger under replication alone", ``, `alter table app.note enable replica trigger audit_row`},
	{"dropping the audit trigger", ``, `drop trigger audit_row on app.note`},
	{"renaming the audit trigger", ``, `alter trigger audit_row on app.note rename to x`},
	{"an audit trigger that does something else", `create function app.nothing() returns trigger language plpgsql as 'begin return null; end'`,
		`create or replace trigger audit_row after insert or update or delete on app.note for each row execute function app.nothing()`},
	{"an audit trigger that sees only inserts", `set local role postgres`, `create or replace trigger audit_row after insert on app.note for each row execute function audit.row()`},
	{"an audit trigger that sees only one column", `set local role postgres`, `create or replace trigger audit_row after insert or update of slug or delete on app.note for each row execute function audit.row()`},
	{"an audit trigger with a condition", `set local role postgres`, `create or replace trigger audit_row after insert or update or delete on app.note for each row when (false) execute function audit.row()`},
	{"a rule", ``, `create rule x as on insert to app.note do also select 1`},
	{"a rule that hides a change", ``, `create rule x as on delete to app.note do instead nothing`},
	{"a function with its owner's rights and no search path", ``, `create function app.f() returns int security definer language sql as 'select 1'`},
	{"a function with its owner's rights later", `create function app.f() returns int language sql as 'select 1'`, `alter function app.f() security definer`},
	{"a function that loses its search path", `create function app.f() returns int security definer set search_path = pg_catalog, pg_temp language sql as 'select 1'`, `alter function app.f() reset all`},
	{"a procedure with its owner's rights", ``, `create procedure app.p() security definer language sql as 'select 1'`},
	{"granting a table to everybody", ``, `grant select on app.note to public`},
	{"granting a column to everybody", ``, `grant select (body) on app.note to public`},
	{"granting every table of a schema to everybody", ``, `grant select on all tables in schema app to public`},
	{"granting TRUNCATE", ``, `grant truncate on app.note to redoubt_app`},
	{"granting everything", ``, `grant all on app.note to redoubt_app`},
	{"granting TRIGGER", ``, `grant trigger on app.note to redoubt_app`},
	{"granting REFERENCES", ``, `grant references on app.note to redoubt_app`},
	{"granting UPDATE of a whole table", ``, `grant update on app.note to redoubt_app`},
	{"granting UPDATE of organization_id", ``, `grant update (organization_id) on app.note to redoubt_app`},
	{"granting UPDATE of organization_id to everybody", ``, `grant update (organization_id) on app.note to public`},
	{"granting TRUNCATE on what will be made", `alter default privileges in schema app grant truncate on tables to redoubt_app`, `create table app.t (` + column + `)`},
	{"granting to everybody what will be made", `alter default privileges in schema app grant select on tables to public`, `create table app.t (` + column + `)`},
	{"a table in partitions by something else", ``, `create table app.t (` + column + `) partition by hash (id)`},
	{"a child", ``, `create table app.t () inherits (app.note)`},
	{"a table that becomes a child", `create table app.t (` + column + `); create table app.u (` + column + `)`, `alter table app.t inherit app.u`},
	{"an exempt table that the application may write", `insert into guard.global_table values ('app.country', 'Countries are the same for everybody.')`,
		`create table app.country (name text); grant insert on app.country to redoubt_app`},
	{"a tenant table renamed to an exempt one", `insert into guard.global_table values ('app.country', 'Countries are the same for everybody.'); revoke all on app.note from redoubt_app`,
		`alter table app.note rename to country`},
	{"a tenant table brought in from an open schema", `create schema away; create table away.t (body text); grant create, usage on schema away to redoubt_owner; alter table away.t owner to redoubt_owner`, `alter table away.t set schema app`},
	{"a tenant table moved out into an open schema", `create schema away; grant create, usage on schema away to redoubt_owner`, `alter table app.note set schema away`},
	{"a schema that comes to belong to the owner, with its tables", `create schema away; create table away.t (body text); alter table away.t owner to redoubt_owner; set local role postgres`, `alter schema away owner to redoubt_owner`},
}

// laterHoles need a newer PostgreSQL.
var laterHoles = map[int][]hole{
	17: {
		{"granting MAINTAIN", ``, `grant maintain on app.note to redoubt_app`},
		{"granting MAINTAIN to the role that makes backups", ``, `grant maintain on app.note to redoubt_backup`},
		{"granting MAINTAIN on what will be made", `alter default privileges in schema app grant maintain on tables to redoubt_app`, `create table app.t (` + column + `)`},
	},
	18: {
		{"a foreign key that nobody enforces", ``, `alter table app.reply add x uuid, add foreign key (organization_id, x) references app.note (organization_id, id) not enforced`},
		{"a foreign key that nobody enforces any more", ``, `alter table app.reply alter constraint reply_organization_id_note_id_fkey not enforced`},
		{"a new table's foreign key that nobody enforces", ``, `create table app.t (` + column + `, note_id uuid, foreign key (organization_id, note_id) references app.note (organization_id, id) not enforced)`},
		{"a check that nobody enforces", ``, `alter table app.note add check (number < 1000) not enforced`},
		{"a key in time over all organizations", ``, `create table app.t (organization_id uuid not null, id uuid not null, during tstzrange not null, primary key (id, during without overlaps))`},
		{"a unique value in time over all organizations", ``, `create table app.t (` + column + `, slug text, during tstzrange not null, unique (slug, during without overlaps))`},
	},
}

const noGuard = `alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable`

func TestTheGuardRefusesHoles(t *testing.T) { // SYSTEM D1, D4, D5
	h := newTheft(t, layertest.Disposable)
	say(t, h.admin, `create extension btree_gist schema extension; grant usage on schema extension to redoubt_owner; create foreign data wrapper nowhere; create server away foreign data wrapper nowhere; grant usage on foreign server away to redoubt_owner`)
	for _, c := range upTo(t, h.admin, holes, laterHoles) {
		t.Run(c.name, func(t *testing.T) {
			for _, guarded := range []bool{true, false} {
				tx := begin(t, h.admin)
				owner := !strings.Contains(c.before, "guard.") && !strings.Contains(c.before, "event trigger") && !strings.Contains(c.before, "away")
				if owner {
					say(t, h.admin, `set local role redoubt_owner`)
				}
				if got, state := say(t, h.admin, c.before); state != "" {
					t.Fatalf("preparing: %s %s", got, state)
				}
				if !guarded {
					say(t, h.admin, `reset role; `+noGuard)
				}
				if !strings.Contains(c.before, "role postgres") {
					say(t, h.admin, `set local role redoubt_owner`)
				}
				_, err := h.admin.PgConn().Exec(t.Context(), c.sql).ReadAll()
				switch {
				case guarded && (err == nil || !strings.Contains(err.Error(), "redoubt: ")):
					t.Errorf("the guard let it pass: %v", err)
				case guarded && stateOf(t, err) != "42501":
					t.Errorf("got SQLSTATE %s", stateOf(t, err))
				case !guarded && err != nil:
					t.Errorf("without the guard PostgreSQL refuses it too, so this proves nothing: %v", err)
				}
				tx.Rollback(t.Context())
			}
		})
	}
}

// trespasses are what the migrator may not reach at all, as itself or as the owner.
var trespasses = []struct{ name, sql string }{
	{"reading the sealing key", `select * from redoubt.seal_key`},
	{"replacing what says who asks", `create or replace function redoubt.org() returns uuid language sql as 'select null::uuid'`},
	{"replacing what checks the seal", `create or replace function redoubt.verified() returns text language sql as 'select null::text'`},
	{"dropping what says who asks", `drop function redoubt.org() cascade`},
	{"making something in the schema of the context", `create function redoubt.x() returns int language sql as 'select 1'`},
	{"presenting a credential", `select redoubt.enter('rds_x')`},
	{"reading sessions", `select * from identity.session`},
	{"making a session", `insert into identity.session (hash) values ('')`},
	{"making an administrator of the database", `update redoubt.role set scopes = '{}'`},
	{"reading the audit trail's other columns", `select db_role from audit.log`},
	{"changing the audit trail", `delete from audit.log`},
	{"making the audit trail writable", `alter table audit.log disable trigger all`},
	{"replacing the audit trigger's function", `create or replace function audit.row() returns trigger language plpgsql as 'begin return null; end'`},
	{"taking the guard away", `drop event trigger redoubt_command`},
	{"disabling the guard", `alter event trigger redoubt_drop disable`},
	{"replacing the guard", `create or replace function guard.on_command() returns event_trigger language plpgsql as 'begin end'`},
	{"exempting a table from the guard", `insert into guard.global_table values ('app.note', 'because I say so')`},
	{"giving the application the owner's role", `grant redoubt_owner to redoubt_app`},
	{"giving tables to the application", `alter table app.note owner to redoubt_app`},
	{"giving a schema to the migrator", `alter schema app owner to redoubt_migrator`},
	{"becoming the owner of the keys", `set role redoubt_keys`},
	{"becoming the superuser", `set role postgres`},
	{"switching the triggers off", `set session_replication_role = replica`},
	{"making a role", `create role x superuser`},
	{"bypassing row level security", `alter role redoubt_owner bypassrls`},
	{"making a table in public", `create table public.x (y int)`},
	{"making a temporary table", `create temp table x (y int)`},
	{"reading files", `copy app.note from '/etc/passwd'`},
	{"making a function in an unsafe language", `create function app.f() returns int language c as 'x', 'y'`},
}

func TestTheMigratorReachesNeitherKeysNorAuditNorGuard(t *testing.T) { // SYSTEM D3
	h := newTheft(t, layertest.World)
	conn := h.AsMigrator(t)
	for _, c := range trespasses {
		t.Run(c.name, func(t *testing.T) {
			for _, as := range []string{`select`, `set local role redoubt_owner`} {
				tx := begin(t, conn)
				say(t, conn, as)
				if got, state := say(t, conn, c.sql); state != "42501" {
					t.Errorf("after %s: got %q SQLSTATE %q", as, got, state)
				}
				tx.Rollback(t.Context())
			}
		})
	}
}

func TestTheOwnerIsBoundByTheFloor(t *testing.T) { // SYSTEM D1
	h := newTheft(t, layertest.World)
	conn := h.AsMigrator(t)
	if _, state := say(t, conn, `select body from app.note`); state != "42501" {
		t.Errorf("the migrator without the owner's role: SQLSTATE %q", state)
	}
	for _, sql := range []string{`select body from app.note`, `update app.note set body = 'x'`, `insert into app.note (organization_id, author_id, body) values (gen_random_uuid(), gen_random_uuid(), 'x')`, `delete from app.note`} {
		tx := begin(t, conn)
		say(t, conn, `set local role redoubt_owner`)
		if got, state := say(t, conn, sql); state != "28000" {
			t.Errorf("%s: got %q SQLSTATE %q", sql, got, state)
		}
		tx.Rollback(t.Context())
	}
}

// A repair is legitimate work of a migration, which the guard must let pass.
type repair struct{ name, sql string }

var repairs = []repair{
	{"a table with its organization", `create table app.t (` + column + `, body text)`},
	{"a schema with a table", `create schema s create table t (` + column + `)`},
	{"a column", `alter table app.note add x text not null default ''`},
	{"dropping a column", `alter table app.note drop number`},
	{"renaming a table", `alter table app.note rename to memo`},
	{"an index", `create index on app.note (body)`},
	{"a unique index in the organization", `create unique index on app.note (organization_id, lower(slug))`},
	{"a foreign key that pairs organizations", `create table app.t (` + column + `, note_id uuid, foreign key (organization_id, note_id) references app.note (organization_id, id))`},
	{"an exclusion in the organization", `alter table app.note add exclude using btree (organization_id with =, slug with =)`},
	{"a view with its reader's eyes", `create view app.v with (security_invoker = true) as select * from app.note`},
	{"a stricter policy", `create policy own on app.note as restrictive for update using (author_id = (select redoubt.profile()))`},
	{"a trigger", `create function app.f() returns trigger language plpgsql as 'begin return new; end'; create trigger f before insert on app.note for each row execute function app.f()`},
	{"a function", `create function app.f() returns bigint stable language sql as 'select count(*) from app.note'; grant execute on function app.f() to redoubt_app`},
	{"a column grant", `grant update (body) on app.note to redoubt_app`},
	{"dropping a table", `drop table app.reply`},
	{"dropping a schema", `drop schema app cascade`},
	{"a foreign key on a table with rows, for what is to come", `alter table app.reply add foreign key (organization_id, note_id) references app.note (organization_id, id) not valid`},
	{"a check on a table with rows", `alter table app.note add check (number < 1000)`},
}

const inTime = `create table app.t (organization_id uuid not null, id uuid not null, during tstzrange not null, primary key (organization_id, id, during without overlaps))`

// laterRepairs need a newer PostgreSQL.
var laterRepairs = map[int][]repair{
	18: {
		{"a key in time in the organization", inTime},
		{"a foreign key in time that pairs organizations", inTime + `; create table app.u (` + column + `, t_id uuid not null, during tstzrange not null, foreign key (organization_id, t_id, period during) references app.t (organization_id, id, period during))`},
		{"a column that is computed as it is read", `alter table app.note add loud text generated always as (upper(body)) virtual`},
		{"a NOT NULL that is checked for new rows first", `alter table app.note add x int; alter table app.note add constraint x_there not null x not valid`},
	},
}

func TestTheGuardLetsAMigrationWork(t *testing.T) { // SYSTEM D5
	h := newTheft(t, layertest.Disposable)
	say(t, h.admin, `create extension btree_gist schema extension`)
	conn := h.AsMigrator(t)
	for _, c := range upTo(t, h.admin, repairs, laterRepairs) {
		t.Run(c.name, func(t *testing.T) {
			tx := begin(t, conn)
			say(t, conn, `set local role redoubt_owner`)
			if _, err := conn.PgConn().Exec(t.Context(), c.sql).ReadAll(); err != nil {
				t.Error(err)
			}
			tx.Rollback(t.Context())
		})
	}
}

func TestIsolationComesOnByItself(t *testing.T) { // SYSTEM D1, D5
	h := newTheft(t, layertest.Disposable)
	conn := h.AsMigrator(t)
	say(t, conn, `set role redoubt_owner; create table app.t (`+column+`); grant select, insert on app.t to redoubt_app`)
	app := h.AsApp(t)
	for i, c := range []*layertest.Caller{h.alice, h.dave} {
		tx := begin(t, app)
		enter(t, app, c.Session())
		say(t, app, `insert into app.t (id) values ('00000000-0000-0000-0000-00000000000`+string(rune('1'+i))+`')`)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, app)
	enter(t, app, h.dave.Session())
	if got, state := say(t, app, `select id from app.t`); got != `00000000-0000-0000-0000-000000000002` {
		t.Errorf("got %q %s", got, state)
	}
	if got, _ := say(t, h.admin, `select count(distinct actor) from audit.log where entity = 'app.t' and action = 'insert'`); got != "2" {
		t.Errorf("%s actors in the audit trail, want 2", got)
	}
	if got, state := say(t, h.admin, `select guard.check_all()`); state != "" {
		t.Errorf("%s %s", got, state)
	}
}
