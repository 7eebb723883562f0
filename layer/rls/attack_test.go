package rls_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What stands between a thief and the rows. Each attack on rows is first shown to work without it.
const noFloor = `
alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable;
drop policy redoubt_floor on app.note; drop policy redoubt_floor on app.reply`

// An attempt is one statement, or several, typed by hand.
type attempt struct {
	name  string
	sql   string
	state string // the SQLSTATE that refuses it; or, for none,
	got   string // what comes back
	bare  string // what comes back without the floor; a SQLSTATE in brackets
}

// thefts are statements of somebody who has the application's password and a living credential of Globex, and wants what is
// Acme's (SYSTEM D1, D2, D4; A5). They are typed by hand: no code of ours stands in their way.
var thefts = []attempt{
	{"reading every row", `select body from app.note order by body`, "", own, secret + " " + own},
	{"reading by id", `select body from app.note where id = '{their note}'`, "", "", secret},
	{"reading by organization", `select body from app.note where organization_id = '{their org}'`, "", "", secret},
	{"reading with an expression that is always true", `select body from app.note where id = '{my note}' or 1 = 1 order by body`, "", own, secret + " " + own},
	{"reading through a join", `select n.body from app.reply r join app.note n on n.id = r.note_id order by 1`, "", own, secret + " " + own},
	{"reading through a common table expression", `with n as materialized (select * from app.note) select body from n order by 1`, "", own, secret + " " + own},
	{"reading through a cursor", `declare c cursor for select body from app.note order by 1; fetch all c`, "", own, secret + " " + own},
	{"reading with COPY TO", `copy (select body from app.note order by 1) to stdout`, "", "COPY 1", "COPY 2"},
	{"reading with TABLE", `table app.reply`, "", "{my org}", "{their org}"},
	{"reading with a tuple's address", `select body from app.note where ctid >= '(0,0)' order by 1`, "", own, secret + " " + own},
	{"locking", `select body from app.note where id = '{their note}' for update`, "", "", secret},
	{"counting", `select count(*) from app.note`, "", "1", "2"},
	{"asking whether an id exists", `select exists (select from app.note where id = '{their note}')`, "", "f", "t"},
	{"asking by way of an error, dividing by zero", `select number / (length(body) - 11) from app.note`, "", "7", "[22012]"},
	{"asking by way of an error, with a cast", `select count(*) from app.note where (body || left(id::text, 0)) = 'x' or (case when body like 'acme%' then body end)::int = 1`, "", "0", "[22P02]"},
	{"asking by way of an error, in the order of conditions", `select count(*) from app.note where 1 / (case when body = 'acme secret' then 0 else 1 end) = 1`, "", "1", "[22012]"},
	{"asking the statistics", `select count(*) from pg_stats where schemaname = 'app'`, "", "0", ""},
	{"asking the samples of the statistics", `select count(*) from pg_statistic`, "42501", "", ""},

	{"inserting a row of theirs", `insert into app.note (organization_id, body) values ('{their org}', 'x')`, "42501", "", "INSERT 0 1"},
	{"inserting a row of theirs by SELECT", `insert into app.note (organization_id, body) select '{their org}', body from app.note`, "42501", "", "INSERT 0 2"},
	{"inserting a reply to a row of theirs", `insert into app.reply (note_id) values ('{their note}')`, "23503", "", ""},
	{"inserting a reply of theirs to a row of theirs", `insert into app.reply (organization_id, note_id) values ('{their org}', '{their note}')`, "42501", "", "INSERT 0 1"},
	{"asking the foreign key for an id that is theirs", `insert into app.reply (organization_id, note_id) values ('{their org}', gen_random_uuid())`, "42501", "", "[23503]"},
	{"asking the unique index for a value that is theirs", `insert into app.note (body, slug) values ('x', 'acme secret')`, "", "INSERT 0 1", ""},
	{"asking ON CONFLICT for an id that is theirs", `insert into app.note (id, body) values ('{their note}', 'x') on conflict do nothing`, "", "INSERT 0 1", ""},
	{"asking ON CONFLICT in their organization", `insert into app.note (organization_id, id, body) values ('{their org}', '{their note}', 'x') on conflict do nothing`, "42501", "", "INSERT 0 0"},
	{"upserting a row of theirs", `insert into app.note (organization_id, id, body) values ('{their org}', '{their note}', 'x') on conflict (organization_id, id) do update set body = 'x'`, "42501", "", "INSERT 0 1"},
	{"updating by id", `update app.note set body = 'x' where id = '{their note}'`, "", "UPDATE 0", "UPDATE 1"},
	{"updating everything", `update app.note set body = body || '!'`, "", "UPDATE 1", "UPDATE 2"},
	{"updating where a row of theirs says so", `update app.note n set body = 'x' from app.reply r where r.note_id = '{their note}'`, "", "UPDATE 0", "UPDATE 2"},
	{"deleting by id", `delete from app.note where id = '{their note}'`, "", "DELETE 0", "DELETE 1"},
	{"deleting everything", `delete from app.note`, "", "DELETE 1", "DELETE 2"},
	{"merging into a row of theirs", `merge into app.note n using (values ('{their note}'::uuid)) v (id) on n.id = v.id when matched then update set body = 'x'`, "", "MERGE 0", "MERGE 1"},
	{"merging rows of theirs away", `merge into app.note n using (values (1)) v (x) on true when matched then delete`, "42501", "", "MERGE 2"},
	{"merging a row into their organization", `merge into app.note n using (values (1)) v (x) on false when not matched then insert (organization_id, body) values ('{their org}', 'x')`, "42501", "", "MERGE 1"},
	{"moving a row to their organization", `update app.note set organization_id = '{their org}' where id = '{my note}'`, "42501", "", "[42501]"}, // the guard sees to the grant
}

// laterThefts are what newer versions of PostgreSQL have words for: MERGE answers from 17 on, and every change tells what was
// before from 18 on.
var laterThefts = map[int][]attempt{
	16: {
		{"reading in a parallel worker", `set local debug_parallel_query = on; set local parallel_setup_cost = 0; set local min_parallel_table_scan_size = 0; select body from app.note order by body`, "", own, secret + " " + own},
	},
	17: {
		{"merging, and returning a row of theirs", `merge into app.note n using (values ('{their note}'::uuid)) v (id) on n.id = v.id when matched then update set slug = 'x' returning n.body`, "", "MERGE 0", secret},
		{"merging, and returning the source", `merge into app.note n using app.note s on n.id = s.id when matched then update set slug = 'x' returning s.body`, "", own, secret},
		{"merging what the source does not match", `merge into app.note n using (values (1)) v (x) on n.id = '{my note}' when not matched by source then update set body = 'x' returning n.organization_id`, "", "MERGE 0", "{their org}"},
		{"merging a row into their organization, and returning it", `merge into app.note n using (values (1)) v (x) on false when not matched then insert (organization_id, body) values ('{their org}', 'x') returning n.organization_id`, "42501", "", "{their org}"},
	},
	18: {
		{"updating a row of theirs, and returning what it was", `update app.note set slug = 'x' where id = '{their note}' returning old.body`, "", "UPDATE 0", secret},
		{"updating everything, and returning what it was", `update app.note set body = 'x' returning old.body`, "", own, secret},
		{"deleting everything, and returning what it was", `delete from app.note returning old.body`, "", own, secret},
		{"upserting a row of theirs, and returning what it was", `insert into app.note (organization_id, id, body) values ('{their org}', '{their note}', 'x') on conflict (organization_id, id) do update set body = 'x' returning old.body`, "42501", "", secret},
		{"upserting a value of theirs, and returning what it was", `insert into app.note (body, slug) values ('x', 'acme secret') on conflict (organization_id, slug) do update set body = 'y' returning coalesce(old.body, 'nothing')`, "", "nothing", ""},
		{"merging, and returning what it was", `merge into app.note n using (values ('{their note}'::uuid)) v (id) on n.id = v.id when matched then update set slug = 'x' returning old.body, merge_action()`, "", "MERGE 0", secret},
		{"reading by a join with itself that the planner takes out", `select b.body from app.note a join app.note b on a.organization_id = b.organization_id and a.id = b.id order by 1`, "", own, secret + " " + own},
		{"asking by way of an error, in a join that the planner takes out", `select count(*) from app.note a join app.note b on a.organization_id = b.organization_id and a.id = b.id where 1 / (case when b.body = 'acme secret' then 0 else 1 end) = 1`, "", "1", "[22012]"},
	},
}

// upTo is base and what the server's version has besides.
func upTo[T any](t testing.TB, conn *pgx.Conn, base []T, later map[int][]T) []T {
	t.Helper()
	all := slices.Clone(base)
	for _, since := range slices.Sorted(maps.Keys(later)) {
		if major(t, conn) >= since {
			all = append(all, later[since]...)
		}
	}
	return all
}

func major(t testing.TB, conn *pgx.Conn) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select current_setting('server_version_num')::int / 10000`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNoStatementTouchesAnotherOrganization(t *testing.T) { // SYSTEM D1, D2, D4, A5
	h := newTheft(t, layertest.Disposable)
	if _, err := h.admin.Exec(t.Context(), `analyze app.note`); err != nil {
		t.Fatal(err)
	}
	before := h.victim(t)
	for _, a := range upTo(t, h.admin, thefts, laterThefts) {
		t.Run(a.name, func(t *testing.T) {
			sql := h.fill.Replace(a.sql)
			if a.bare != "" {
				tx := begin(t, h.admin)
				say(t, h.admin, noFloor+`; set local session authorization redoubt_app`)
				enter(t, h.admin, h.dave.Session())
				got, state := say(t, h.admin, sql)
				if want := h.fill.Replace(a.bare); got != want && "["+state+"]" != want && !strings.Contains(got, want) {
					t.Errorf("without the floor: got %q %s, want %q", got, state, want)
				}
				tx.Rollback(t.Context())
			}
			conn := h.AsApp(t)
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			got, state := say(t, conn, sql)
			if state != a.state {
				t.Errorf("got SQLSTATE %q (%s), want %q", state, got, a.state)
			}
			if want := h.fill.Replace(a.got); state == "" && got != want && (want == "" || !strings.HasPrefix(got, want)) {
				t.Errorf("got %q, want %q", got, want)
			}
			if state == "" {
				say(t, conn, `commit`) // what an attack of several statements left open
			}
			if strings.Contains(got, secret) || h.victim(t) != before {
				t.Fatalf("something of theirs was read or changed: %q", got)
			}
			h.restore(t)
		})
	}
}

// restore makes Globex as it was.
func (h *theft) restore(t *testing.T) {
	t.Helper()
	tx := begin(t, h.admin)
	got, state := say(t, h.admin, h.fill.Replace(`
set local session_replication_role = replica;
delete from app.reply where organization_id = '{my org}'; delete from app.note where organization_id = '{my org}';
insert into app.note (organization_id, id, author_id, body, slug, number) values ('{my org}', '{my note}', '{me}', 'globex words', 'globex words', 7);
insert into app.reply (organization_id, note_id) values ('{my org}', '{my note}')`))
	if state != "" {
		t.Fatalf("restoring: %s %s", got, state)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type misuse struct{ name, sql, state string }

// misuses are statements of the same thief against everything else (SYSTEM D2, D3, U2): what proves who somebody is, the audit
// trail, and the server.
var misuses = []misuse{
	{"becoming the owner", `set role redoubt_owner`, "42501"},
	{"becoming the owner of the keys", `set role redoubt_keys`, "42501"},
	{"becoming the owner of the audit trail", `set role redoubt_audit`, "42501"},
	{"becoming identity", `set role redoubt_identity`, "42501"},
	{"becoming the migrator", `set role redoubt_migrator`, "42501"},
	{"becoming the superuser", `set role postgres`, "42501"},
	{"becoming somebody by session authorization", `set session authorization postgres`, "42501"},
	{"joining the owners", `grant redoubt_owner to redoubt_app`, "42501"},
	{"making a role", `create role x`, "42501"},
	{"changing another role's password", `alter role redoubt_identity password 'x'`, "42501"},
	{"taking row level security for granted", `set row_security = off; select * from app.note`, "42501"},
	{"switching triggers off", `set session_replication_role = replica`, "42501"},
	{"setting the context with a function", `select set_config('redoubt.context', 'x', false)`, "42501"},
	{"reading the sealing key", `select key from redoubt.seal_key`, "42501"},
	{"replacing the sealing key", `insert into redoubt.seal_key values ('99', decode(repeat('00', 32), 'hex'))`, "42501"},
	{"reading what a role may do", `select * from redoubt.role`, "42501"},
	{"allowing a role more", `select redoubt.allow('member', 'notes:clear')`, "42501"},
	{"sealing something oneself", `select extension.hmac('x', 'y', 'sha256')`, "42501"},
	{"reading sessions", `select * from identity.session`, "42501"},
	{"reading keys", `select * from identity.api_key`, "42501"},
	{"reading people", `select * from identity.person`, "42501"},
	{"reading memberships", `select * from identity.membership`, "42501"},
	{"reading organizations", `select * from identity.organization`, "42501"},
	{"reading passwords", `select rolpassword from pg_authid`, "42501"},
	{"reading passwords by a view", `select passwd from pg_shadow`, "42501"},
	{"reading what was migrated", `select * from backbone.migration`, "42501"},
	{"reading what others run", `select * from pg_stat_activity`, "42501"},
	{"reading files", `select pg_read_file('/etc/passwd')`, "42501"},
	{"reading a file into a table", `copy app.note from '/etc/passwd'`, "42501"},
	{"running a program", `copy (select 1) to program 'true'`, "42501"},
	{"loading rows past the policies", `copy app.note (body) from stdin`, "0A000"},
	{"shadowing a table with a temporary one", `create temp table note (body text)`, "42501"},
	{"shadowing a table with a temporary view", `create temp view note as select 1`, "42501"},
	{"making a table", `create table app.x (y int)`, "42501"},
	{"making a table in public", `create table public.x (y int)`, "42501"},
	{"making a schema", `create schema x`, "42501"},
	{"making a function", `create function app.x() returns int language sql as 'select 1'`, "42501"},
	{"making an operator", `create operator app.= (leftarg = uuid, rightarg = uuid, function = uuid_eq)`, "42501"},
	{"making an extension", `create extension hstore schema app`, "42501"},
	{"making a trigger", `create trigger x before insert on app.note for each row execute function audit.row()`, "42501"},
	{"making a policy", `create policy x on app.note using (true)`, "42501"},
	{"dropping the floor", `drop policy redoubt_floor on app.note`, "42501"},
	{"disabling row level security", `alter table app.note disable row level security`, "42501"},
	{"dropping a table", `drop table app.note`, "42501"},
	{"altering a table", `alter table app.note add x int`, "42501"},
	{"indexing a table", `create index on app.note (body)`, "42501"},
	{"emptying a table", `truncate app.note`, "42501"},
	{"running a block of code", `do $$ begin null; end $$`, "42501"},
	{"running a block of SQL", `do language sql $$ select 1 $$`, "0A000"},
	{"updating the audit trail", `update audit.log set actor = null`, "42501"},
	{"deleting from the audit trail", `delete from audit.log`, "42501"},
	{"emptying the audit trail", `truncate audit.log`, "42501"},
	{"writing the audit trail by hand", `insert into audit.log (category, action, entity, entity_id) values ('row', 'x', '', '')`, "42501"},
	{"writing a row's change into the audit trail", `select audit.append('row', 'update', 'app.note', '')`, "42501"},
	{"writing in another's name", `select audit.append_identity('{their org}', '{them}', null, '', 'security', 'x', '', '')`, "42501"},
	{"calling the audit trigger", `select audit.row()`, "42501"},
	{"making a large object", `select lo_from_bytea(0, 'x')`, "42501"},
	{"opening a large object", `select lo_get(1)`, "42501"},
	{"waiting", `select pg_sleep(1)`, "42501"},
	{"waiting for an interval", `select pg_sleep_for('1 second')`, "42501"},
	{"running text as SQL", `select query_to_xml('select body from app.note', true, true, '')`, "42501"},
	{"reading a table as XML", `select table_to_xml('app.note', true, true, '')`, "42501"},
	{"running text as statistics", `select * from ts_stat('select null::tsvector')`, "42501"},
	{"notifying from an expression", `select pg_notify('x', 'y')`, "42501"},
	{"holding an advisory lock", `select pg_advisory_lock(1)`, "42501"},
	{"ending another's connection", `select pg_terminate_backend(1)`, "42501"},
	{"cancelling another's statement", `select pg_cancel_backend(1)`, "42501"},
	{"exporting a snapshot", `select pg_export_snapshot()`, "42501"},
	{"measuring a table", `select pg_relation_size('app.note')`, "42501"},
	{"reloading the configuration", `select pg_reload_conf()`, "42501"},
	{"changing the server's settings", `alter system set work_mem = '1MB'`, "42501"},
	{"making the server log parameters", `set log_parameter_max_length = -1`, "42501"},
	{"reaching into the guard", `select guard.check_all()`, "42501"},
	{"exempting a table from the guard", `insert into guard.global_table values ('app.note', 'because I say so')`, "42501"},
	{"taking the guard away", `alter event trigger redoubt_command disable`, "42501"},
	{"subscribing to changes", `create publication x for table app.note`, "42501"},
	{"writing into the log of changes", `select pg_logical_emit_message(false, 'x', 'y')`, "42501"},
	{"decoding the log of changes", `select pg_create_logical_replication_slot('x', 'pgoutput')`, "42501"},
}

// laterMisuses are of functions, commands and settings that newer versions of PostgreSQL have.
var laterMisuses = map[int][]misuse{
	16: {
		{"subscribing to another server", `create subscription x connection 'host=x' publication y`, "42501"},
	},
	17: {
		{"writing into the log of changes, and to the disk at once", `select pg_logical_emit_message(false, 'x', 'y', true)`, "42501"},
		{"writing bytes into the log of changes", `select pg_logical_emit_message(true, 'x', 'y'::bytea, true)`, "42501"},
		{"reading which blocks have changed", `select * from pg_wal_summary_contents(1, '0/0', '0/1')`, "42501"},
		{"listing when blocks have changed", `select * from pg_available_wal_summaries()`, "42501"},
		{"synchronizing replication slots", `select pg_sync_replication_slots()`, "42501"},
		{"switching the guard off for a session", `set event_triggers = off`, "42501"},
		{"rebuilding a table", `reindex table app.note`, "42501"},
		{"sorting a table anew", `cluster app.note using note_pkey`, "42501"},
	},
	18: {
		{"forgetting statistics", `select pg_clear_relation_stats('app', 'note')`, "42501"},
		{"forgetting a column's statistics", `select pg_clear_attribute_stats('app', 'note', 'body', false)`, "42501"},
		{"inventing statistics", `select pg_restore_relation_stats('schemaname', 'app', 'relname', 'note', 'reltuples', 1::real)`, "42501"},
		{"inventing a column's statistics", `select pg_restore_attribute_stats('schemaname', 'app', 'relname', 'note', 'attname', 'body', 'inherited', false, 'null_frac', 0.5::real)`, "42501"},
		{"reading what another session does to the disk", `select * from pg_stat_get_backend_io(1)`, "42501"},
		{"reading what another session writes", `select * from pg_stat_get_backend_wal(1)`, "42501"},
	},
}

func TestTheApplicationsPasswordOpensNothingElse(t *testing.T) { // SYSTEM D2, D3, U2
	h := newTheft(t, layertest.World)
	before := h.victim(t)
	for _, a := range upTo(t, h.admin, misuses, laterMisuses) {
		t.Run(a.name, func(t *testing.T) {
			conn := h.AsApp(t)
			if got, state := say(t, conn, h.fill.Replace(a.sql)); state != a.state {
				t.Errorf("without a credential: got %q SQLSTATE %q, want %q", got, state, a.state)
			}
			begin(t, conn)
			enter(t, conn, h.dave.Session())
			if got, state := say(t, conn, h.fill.Replace(a.sql)); state != a.state && state != "25001" { // not in a transaction at all
				t.Errorf("got %q SQLSTATE %q, want %q", got, state, a.state)
			}
		})
	}
	if h.victim(t) != before {
		t.Error("something of theirs was changed")
	}
}

// From PostgreSQL 18 on a column may be computed as it is read. Its expression is not leakproof, so it must not be computed for
// rows that the floor hides, or its errors would tell about them.
func TestAVirtualColumnIsNotComputedForAnother(t *testing.T) { // SYSTEM D1
	h := newTheft(t, layertest.Disposable)
	if major(t, h.admin) < 18 {
		t.Log("this PostgreSQL has no virtual columns")
		return
	}
	if got, state := say(t, h.admin, `alter table app.note add told int generated always as (1 / (case when body = 'acme secret' then 0 else 1 end)) virtual; grant select (told) on app.note to redoubt_app`); state != "" {
		t.Fatal(got, state)
	}
	for _, sql := range []string{`select count(*) from app.note where told = 1`, `select sum(told) from app.note`, `update app.note set number = 8 where told = 1 returning told`} {
		tx := begin(t, h.admin)
		say(t, h.admin, noFloor+`; set local session authorization redoubt_app`)
		enter(t, h.admin, h.dave.Session())
		if got, state := say(t, h.admin, sql); state != "22012" {
			t.Errorf("%s: without the floor: got %q %s, want division by zero", sql, got, state)
		}
		tx.Rollback(t.Context())
		conn := h.AsApp(t)
		begin(t, conn)
		enter(t, conn, h.dave.Session())
		if got, state := say(t, conn, sql); got != "1" || state != "" {
			t.Errorf("%s: got %q %s", sql, got, state)
		}
	}
}

// listed finds the built-in functions that the file of roles names by their signatures.
var listed = regexp.MustCompile(`'([a-z][a-z0-9_]*)\(`)

// What was taken from everybody by its signature must not be open under another: PostgreSQL 17 gave pg_logical_emit_message a
// parameter, and so a signature that no older list has.
func TestARevokedFunctionIsOpenUnderNoOtherSignature(t *testing.T) { // SYSTEM D3
	roles, err := os.ReadFile("schema/0001_roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range listed.FindAllStringSubmatch(string(roles), -1) {
		names = append(names, m[1])
	}
	if !slices.Contains(names, "pg_logical_emit_message") || len(names) < 50 {
		t.Fatalf("the list was not found: %v", names)
	}
	w := layertest.World(t, notes)
	rows, _ := w.Admin(t).Query(t.Context(), `
select oid::regprocedure::text from pg_proc
 where pronamespace = 'pg_catalog'::regnamespace and proname = any ($1) and has_function_privilege('redoubt_app', oid, 'EXECUTE')
   and oid::regprocedure::text not in (
     'ts_rewrite(tsquery,tsquery,tsquery)', -- runs no text
     'pg_relation_size(regclass)')          -- asks the one with two parameters, as its caller`, names)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(open) > 0 {
		t.Errorf("open: %v, %v", open, err)
	}
}
