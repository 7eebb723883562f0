package dialect_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

func TestMain(m *testing.M) { layertest.Main(m) }

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata that people read.
func golden(t *testing.T, name, got string) {
	t.Helper()
	at := "testdata/" + name
	if *update {
		if err := os.WriteFile(at, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference. Got:\n%s", at, got)
	}
}

// notes has a policy of each kind beside the floor. Its grants are wider than they should be, so that policies refuse and not they.
var notes = redoubt.App{
	Name: "Notes",
	Schema: []migrate.Line{{Name: "app", Application: true, Files: fstest.MapFS{"0001_note.sql": {Data: []byte(`
CREATE SCHEMA app;
CREATE TABLE app.note (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL DEFAULT gen_random_uuid(),
  author_id       uuid NOT NULL DEFAULT redoubt.profile(),
  body            text NOT NULL,
  slug            text,
  draft           boolean NOT NULL DEFAULT false,
  PRIMARY KEY (organization_id, id),
  UNIQUE (organization_id, slug)
);
CREATE INDEX ON app.note (organization_id, slug DESC, id);
CREATE TABLE app.reply (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL DEFAULT gen_random_uuid(),
  note_id         uuid NOT NULL,
  PRIMARY KEY (organization_id, id),
  FOREIGN KEY (organization_id, note_id) REFERENCES app.note (organization_id, id) ON DELETE CASCADE
);
CREATE POLICY own_read ON app.note AS RESTRICTIVE FOR SELECT USING (NOT draft OR author_id = (SELECT redoubt.profile()));
CREATE POLICY own_insert ON app.note AS RESTRICTIVE FOR INSERT WITH CHECK (author_id = (SELECT redoubt.profile()));
CREATE POLICY own_update ON app.note AS RESTRICTIVE FOR UPDATE USING (author_id = (SELECT redoubt.profile()) OR (SELECT redoubt.has('notes:select')));
CREATE POLICY signed ON app.note AS RESTRICTIVE FOR ALL USING (body <> 'select');
GRANT USAGE ON SCHEMA app TO redoubt_app;
GRANT SELECT, INSERT, DELETE, UPDATE (author_id, body, slug, draft) ON app.note TO redoubt_app;
GRANT SELECT, INSERT, DELETE ON app.reply TO redoubt_app;
SELECT redoubt.allow('member', 'keys:write', 'notes:write');
`)}}}},
	Scopes: identity.Scopes{Member: []string{"keys:write", "notes:write"}},
}

// cityhall is what Citus would bring, so that its text can be run here: each call is written down.
const cityhall = `
create table public.called (n serial, call text);
create function public.create_distributed_table(t text, c text, colocate_with text) returns void language sql as
  $$ insert into public.called (call) values (format('distribute %s by %s beside %s', t, c, colocate_with)) $$;
create function public.create_reference_table(t text) returns void language sql as $$ insert into public.called (call) values ('copy ' || t) $$;
create function public.run_command_on_shards(t text, c text) returns table (success boolean, result text) language plpgsql as
  $$ begin success := true; execute format(c, t) into result; return next; end $$;
`

// blind takes the guard's eyes away for a session, as an engine without event triggers does.
const blind = `set session_replication_role = replica; `

// bareTables takes from every tenant table of an application what isolates it.
const bareTables = `do $$ declare r record; begin
  for r in select format('drop policy %I on %s', p.polname, p.polrelid::regclass) as say from pg_policy p join pg_class c on c.oid = p.polrelid where c.relnamespace in ('app'::regnamespace, 'files'::regnamespace)
     union all select format('drop trigger %I on %s', tgname, tgrelid::regclass) from pg_trigger where tgname = 'audit_row'
     union all select format('alter table %s alter organization_id drop default, disable row level security, no force row level security', oid::regclass) from pg_class where relnamespace in ('app'::regnamespace, 'files'::regnamespace) and relkind in ('r', 'p')
  loop execute r.say; end loop; end $$; `

// run says several statements at once, as the superuser.
func run(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%v\nin: %s", err, sql)
	}
}

// say is run for an attacker: what came back, and the SQLSTATE.
func say(t testing.TB, conn *pgx.Conn, sql string) (got, state string) {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	for _, r := range results {
		var row []string
		for _, values := range r.Rows {
			for _, v := range values {
				row = append(row, string(v))
			}
		}
		if len(r.Rows) > 0 || r.CommandTag.Select() {
			got = strings.Join(row, " ")
		} else if r.Err == nil {
			got = r.CommandTag.String()
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return got, pg.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return got, ""
}

func read(t testing.TB, conn *pgx.Conn) []dialect.Table {
	t.Helper()
	all, err := dialect.Tables(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// moved is a world whose tables are isolated by an engine's text in the place of the guard's.
func moved(t testing.TB, e dialect.Engine, change func(string) string) *layertest.W {
	t.Helper()
	w := layertest.Disposable(t, notes)
	conn := w.Admin(t)
	text, err := e.Text(read(t, conn))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		text = change(text)
	}
	run(t, conn, cityhall+blind+bareTables+"set role redoubt_owner; reset role; "+text+"; set session_replication_role = origin;")
	return w
}
