package dialect_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

// isolation is all that the catalogs know of what isolates a table.
const isolation = `
select jsonb_pretty(jsonb_build_object(
  'table', (select jsonb_build_object('rls', relrowsecurity, 'forced', relforcerowsecurity) from pg_class where oid = $1::regclass),
  'default', (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid = $1::regclass and a.attname = 'organization_id'),
  'policies', (select jsonb_agg(jsonb_build_object('name', polname, 'command', polcmd, 'permissive', polpermissive, 'roles', polroles,
     'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)) order by polname) from pg_policy where polrelid = $1::regclass),
  'triggers', (select jsonb_agg(jsonb_build_object('name', tgname, 'type', tgtype, 'on', tgenabled, 'calls', tgfoid::regprocedure, 'with', encode(tgargs, 'escape'),
     'when', tgqual, 'columns', tgattr::text) order by tgname) from pg_trigger where tgrelid = $1::regclass and not tgisinternal)))`

func isolationOf(t testing.TB, conn *pgx.Conn, table string) (text string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), isolation, table).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// SYSTEM D8: the text for PostgreSQL is what the guard does, to the last entry in the catalogs.
func TestTextForPostgreSQLIsTheGuards(t *testing.T) {
	for _, e := range []dialect.Engine{dialect.PostgreSQL, dialect.YugabyteDB} {
		conn := layertest.Disposable(t, notes).Admin(t)
		all, want := read(t, conn), map[string]string{}
		for _, table := range all {
			want[table.Name] = isolationOf(t, conn, table.Name)
		}
		run(t, conn, blind+bareTables)
		compared := 0
		for _, table := range all {
			if table.Place != dialect.Spread {
				continue
			}
			text, err := e.Isolate(table)
			if err != nil {
				t.Fatal(err)
			}
			if isolationOf(t, conn, table.Name) == want[table.Name] {
				t.Fatal("nothing was taken away")
			}
			run(t, conn, text)
			if got := isolationOf(t, conn, table.Name); got != want[table.Name] {
				t.Errorf("%s, %s: got %s\nthe guard makes %s", e, table.Name, got, want[table.Name])
			}
			compared++
		}
		if compared != 5 { // two of the application's, and those of files
			t.Errorf("%d tables were compared, want 5", compared)
		}
	}
	t.Run("with the guard's own check", func(t *testing.T) {
		w := moved(t, dialect.PostgreSQL, nil) // whose text ends with guard.check_all()
		run(t, w.Admin(t), `select guard.check_all()`)
	})
}

// A table that says what is personal in it says so elsewhere too.
func TestPersonalColumnsStayPersonal(t *testing.T) {
	w := layertest.Disposable(t, notes)
	conn := w.Admin(t)
	run(t, conn, `select guard.personal('app.note', 'body', 'slug')`)
	for _, table := range read(t, conn) {
		if table.Name != "app.note" {
			continue
		}
		for _, e := range []dialect.Engine{dialect.PostgreSQL, dialect.CockroachDB} {
			text, err := e.Isolate(table)
			if err != nil || !strings.Contains(text, `audit.row('body', 'slug')`) {
				t.Errorf("%s: %v\n%s", e, err, text)
			}
		}
	}
}

func TestTablesHaveTheirPlaceAndOrder(t *testing.T) {
	w := layertest.Disposable(t, notes)
	conn := w.Admin(t)
	place, at := map[string]dialect.Place{}, map[string]int{}
	for i, table := range read(t, conn) {
		place[table.Name], at[table.Name] = table.Place, i
	}
	for name, want := range map[string]dialect.Place{"app.note": dialect.Spread, "app.reply": dialect.Spread, "identity.session": dialect.Copied, "redoubt.role": dialect.Copied, "audit.log": dialect.Local, "guard.global_table": dialect.Local} {
		if place[name] != want {
			t.Errorf("%s is %s, want %s", name, place[name], want)
		}
	}
	if at["app.reply"] < at["app.note"] || at["identity.session"] < at["identity.membership"] || at["identity.membership"] < at["identity.organization"] {
		t.Errorf("a table comes before one that it references: %v", at)
	}
	run(t, conn, blind+`alter table app.note add reply_id uuid, add foreign key (organization_id, reply_id) references app.reply (organization_id, id)`)
	if _, err := dialect.Tables(t.Context(), conn); err == nil || !strings.Contains(err.Error(), "in a circle") {
		t.Errorf("a circle: %v", err)
	}
}

func TestWhatCannotBeSaidIsRefused(t *testing.T) {
	note := dialect.Table{Name: "app.note", Place: dialect.Spread, Guarded: true}
	with := func(p dialect.Policy) dialect.Table { n := note; n.Policies = []dialect.Policy{p}; return n }
	everybody := []string{"public"}
	for _, c := range []struct {
		name   string
		engine dialect.Engine
		table  dialect.Table
		want   string
	}{
		{"an engine that nobody knows", "oracle", note, "no dialect"},
		{"a table of everybody's", dialect.Citus, dialect.Table{Name: "app.country", Place: dialect.Copied}, "no tenant table"},
		{"a table that the guard has not seen", dialect.Citus, dialect.Table{Name: "app.note", Place: dialect.Spread}, "lacks the policies"},
	} {
		if text, err := c.engine.Isolate(c.table); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v and %q, want %q", c.name, err, text, c.want)
		}
	}
	for _, c := range []struct {
		name   string
		engine dialect.Engine
		policy dialect.Policy
		closed bool
	}{
		{"a sub-select on another table", dialect.Citus, dialect.Policy{Name: "p", Command: "select", Roles: everybody, Using: "(id IN ( SELECT friend.id FROM app.friend))"}, true},
		{"a sub-select on another table", dialect.CockroachDB, dialect.Policy{Name: "p", Command: "select", Roles: everybody, Using: "(id IN ( SELECT friend.id FROM app.friend))"}, true},
		{"a check by another table", dialect.CockroachDB, dialect.Policy{Name: "p", Command: "insert", Roles: everybody, Check: "(id IN ( SELECT friend.id FROM app.friend))"}, true},
		{"one restricted role", dialect.Citus, dialect.Policy{Name: "p", Command: "select", Roles: []string{"redoubt_app"}, Using: "true"}, true},
		{"one restricted role", dialect.CockroachDB, dialect.Policy{Name: "p", Command: "select", Roles: []string{"redoubt_app"}, Using: "true"}, false},
		{"a word in a string", dialect.Citus, dialect.Policy{Name: "p", Command: "select", Roles: everybody, Using: "((body <> 'SELECT 1'::text) AND (id = ( SELECT redoubt.profile() AS profile)))"}, false},
	} {
		text, err := c.engine.Isolate(with(c.policy))
		if err != nil || strings.Contains(text, "(false)") != c.closed || strings.Contains(text, "nobody passes") != c.closed || strings.Contains(text, "friend") {
			t.Errorf("%s, %s: %v, %s", c.engine, c.name, err, text)
		}
	}
}

// A name is data: it leaves neither its comment nor its quotes.
func TestNamesStayNames(t *testing.T) {
	w := layertest.Disposable(t, notes)
	admin := w.Admin(t)
	run(t, admin, `create table public.victim (); set role redoubt_owner; create table app."x
drop table public.victim; --'$$" (organization_id uuid not null primary key);
create policy "p
drop table public.victim; --" on app."x
drop table public.victim; --'$$" as restrictive for select using (exists (select from app.note)); create index on app."x
drop table public.victim; --'$$" (organization_id); reset role`)
	for _, e := range dialect.Engines() {
		r, err := dialect.Read(t.Context(), dialect.Config{ConnString: admin.Config().ConnString(), Engine: e})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		tx, err := admin.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		run(t, admin, cityhall+blind+bareTables+b.String()+"; select from public.victim")
		tx.Rollback(t.Context())
		run(t, admin, "set session_replication_role = origin")
	}
}

func TestWhatIsReadIsBounded(t *testing.T) {
	w := layertest.Disposable(t, notes)
	admin := w.Admin(t)
	n := len(read(t, admin))
	undo := dialect.Most(n)
	defer undo()
	if got := len(read(t, admin)); got != n {
		t.Errorf("at the limit: %d tables, want %d", got, n)
	}
	dialect.Most(n - 1)
	if _, err := dialect.Tables(t.Context(), admin); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("beyond the limit: %v", err)
	}
	run(t, admin, `do $$ begin execute (select 'create table public.wide (a int, ' || string_agg(format('c%s int generated always as (a) stored', i), ', ') || ')' from generate_series(1, 1001) i); end $$`)
	found, err := dialect.Lint(t.Context(), admin, dialect.YugabyteDB)
	generated := 0
	for _, f := range found {
		if f.Rule == "YB04" {
			generated++
		}
	}
	if err != nil || generated != 1001 || !strings.Contains(found[len(found)-1].Problem, "1000") {
		t.Errorf("beyond a rule's limit: %d, %v, %+v", generated, err, found[len(found)-1])
	}
}
