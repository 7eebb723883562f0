package migrate_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A place is an empty database.
type place struct {
	*pgtest.DB
	t *testing.T
}

func newPlace(t *testing.T) place {
	t.Helper()
	return place{pgtest.Database(t, "migrate: nothing", func(context.Context, string) error { return nil }), t}
}

func files(pairs ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// All packages' tests share a server, and with it the roles and their passwords: this is what layertest gives them.
const password = "layertest"

var roles = map[string]string{"redoubt_migrator": password, "redoubt_app": password, "redoubt_identity": password}

func (p place) run(lines ...migrate.Line) (said []string, applied int, err error) {
	applied, err = migrate.Run(p.t.Context(), migrate.Config{Admin: p.Admin, Lines: lines, Roles: roles,
		Migrator: func() string { return p.ConnString("redoubt_migrator", password) }, Say: func(s string) { said = append(said, s) }})
	return said, applied, err
}

func (p place) ask(sql string) (got string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.Admin)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(p.t.Context())
	if err := conn.QueryRow(p.t.Context(), sql).Scan(&got); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func TestEachFileIsAppliedOnceAndInOrder(t *testing.T) {
	p := newPlace(t)
	one := migrate.Line{Name: "one", Files: files("0002_b.sql", "insert into a values (2)", "0001_a.sql", "create table a (x int); insert into a values (1)", "README.md", "no SQL")}
	two := migrate.Line{Name: "two", Files: files("0001_a.sql", "insert into a values (3)")}
	said, n, err := p.run(one, two)
	if got, want := strings.Join(said, " "), "one/0001_a.sql one/0002_b.sql two/0001_a.sql"; err != nil || n != 3 || got != want {
		t.Errorf("got %d: %s %v, want %s", n, got, err, want)
	}
	one.Files = files("0002_b.sql", "insert into a values (2)", "0001_a.sql", "create table a (x int); insert into a values (1)", "0003_c.sql", "insert into a values (4)")
	if said, n, err := p.run(one, two); err != nil || n != 1 || said[0] != "one/0003_c.sql" {
		t.Errorf("the second time: %d %v %v", n, said, err)
	}
	if got := p.ask(`select string_agg(x::text, ',' order by x) from a`); got != "1,2,3,4" {
		t.Errorf("got %s", got)
	}
}

func TestAFileThatFailsLeavesNothing(t *testing.T) {
	p := newPlace(t)
	line := migrate.Line{Name: "one", Files: files("0001_a.sql", "create table a (x int)", "0002_b.sql", "insert into a values (1); select 1/0", "0003_c.sql", "insert into a values (3)")}
	said, n, err := p.run(line)
	if n != 1 || err == nil || !strings.Contains(err.Error(), "migrating one: 0002_b.sql: ") || len(said) != 2 {
		t.Errorf("got %d %v %v", n, said, err)
	}
	if got := p.ask(`select (select count(*) from a) || ' ' || (select count(*) from backbone.migration)`); got != "0 1" {
		t.Errorf("rows and remembered files: %s", got)
	}
	line.Files = files("0001_a.sql", "create table a (x int)", "0002_b.sql", "insert into a values (1)", "0003_c.sql", "insert into a values (3)")
	if _, n, err := p.run(line); n != 2 || err != nil { // what was never applied may be mended
		t.Errorf("after mending: %d %v", n, err)
	}
}

func TestAnAppliedFileStaysAsItIs(t *testing.T) {
	p := newPlace(t)
	if _, _, err := p.run(migrate.Line{Name: "one", Files: files("0001_a.sql", "create table a (x int)")}); err != nil {
		t.Fatal(err)
	}
	_, n, err := p.run(migrate.Line{Name: "one", Files: files("0001_a.sql", "create table a (x int) ", "0002_b.sql", "select 1")})
	if !errors.Is(err, migrate.ErrChanged) || n != 0 {
		t.Errorf("got %d %v", n, err)
	}
	if _, _, err := p.run(migrate.Line{Name: "empty", Files: files()}); err == nil || !strings.Contains(err.Error(), "no *.sql files") {
		t.Errorf("an empty line: %v", err)
	}
}

func TestTwoProgramsDoNotMigrateAtOnce(t *testing.T) {
	p := newPlace(t)
	line := migrate.Line{Name: "one", Files: files("0001_a.sql", "create table a (x int); select pg_sleep(0.1)", "0002_b.sql", "insert into a values (1)")}
	var all sync.WaitGroup
	var counts [4]int
	var errs [4]error
	for i := range counts {
		all.Go(func() { _, counts[i], errs[i] = p.run(line) })
	}
	all.Wait()
	if total := counts[0] + counts[1] + counts[2] + counts[3]; total != 2 || errors.Join(errs[:]...) != nil {
		t.Errorf("%d files applied, %v", total, errors.Join(errs[:]...))
	}
	if got := p.ask(`select count(*)::text from a`); got != "1" {
		t.Errorf("%s rows", got)
	}
}

func TestAnApplicationsFilesRunAsTheOwnerUnderTheGuard(t *testing.T) { // SYSTEM D3, D5
	p := newPlace(t)
	app := func(sql string) migrate.Line {
		return migrate.Line{Name: "app", Application: true, Files: files("0001_app.sql", sql)}
	}
	for _, hostile := range []struct{ sql, want string }{
		{"create schema app; create table app.t (id int)", "needs organization_id"},
		{"select * from redoubt.seal_key", "permission denied"},
		{"reset role; create role x", "permission denied"},
		{"set role redoubt_keys", "permission denied"},
		{"drop event trigger redoubt_command", "must be owner"},
	} {
		_, _, err := p.run(append(redoubt.LayerSchema(), app(hostile.sql))...)
		if err == nil || !strings.Contains(err.Error(), hostile.want) {
			t.Errorf("%s: got %v, want %s", hostile.sql, err, hostile.want)
		}
	}
	good := app("create schema app; create table app.t (organization_id uuid not null, id uuid not null, primary key (organization_id, id))")
	if _, n, err := p.run(append(redoubt.LayerSchema(), good)...); n != 1 || err != nil {
		t.Fatalf("got %d %v", n, err)
	}
	if got := p.ask(`select relowner::regrole::text || ' ' || relforcerowsecurity from pg_class where oid = 'app.t'::regclass`); got != "redoubt_owner true" {
		t.Errorf("got %s", got)
	}
	conn, err := pgx.Connect(t.Context(), p.ConnString("redoubt_migrator", password))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{`delete from backbone.migration`, `update backbone.migration set sha256 = ''`, `drop table backbone.migration`} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("the migrator may rewrite the history: %s: %v", sql, err)
		}
	}
}

func TestAPasswordIsSetWithoutBeingSaid(t *testing.T) { // SYSTEM S6
	p := newPlace(t)
	admin, err := pgx.Connect(t.Context(), p.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	role := "redoubt_test_" + strings.TrimPrefix(p.Name, "test_")
	if _, err := admin.Exec(t.Context(), `create role `+role+` login`); err != nil {
		t.Fatal(err)
	}
	defer admin.Exec(context.Background(), `drop role `+role)
	const secret = `pass'word\ "öä` // quoted by nobody
	if err := migrate.SetPasswords(t.Context(), admin, map[string]string{role: secret}); err != nil {
		t.Fatal(err)
	}
	if got := p.ask(`select rolpassword from pg_authid where rolname = '` + role + `'`); !strings.HasPrefix(got, "SCRAM-SHA-256$4096:") || strings.Contains(got, "word") {
		t.Errorf("got %s", got)
	}
	conn, err := pgx.Connect(t.Context(), p.ConnString(role, secret))
	if err != nil {
		t.Fatalf("it does not open: %v", err)
	}
	conn.Close(t.Context())
	if conn, err := pgx.Connect(t.Context(), p.ConnString(role, secret+"x")); err == nil {
		conn.Close(t.Context())
		t.Error("another password opens too")
	}
	if err := migrate.SetPasswords(t.Context(), admin, map[string]string{"nobody\"; drop": "x"}); err == nil || strings.Contains(err.Error(), "SCRAM") {
		t.Errorf("got %v", err)
	}
}

// A table that leaks is refused even if it was made while the guard looked away, because the catalogs are asked after each file.
func TestIsolationIsAssertedAfterEachFile(t *testing.T) { // SYSTEM D5
	p := newPlace(t)
	lines := append(redoubt.LayerSchema(), migrate.Line{Name: "app", Application: true, Files: files("0001.sql",
		`create schema app; create table app.note (organization_id uuid not null, id uuid not null, primary key (organization_id, id))`)})
	cfg := migrate.Config{Admin: p.Admin, Lines: lines, Roles: roles, Assert: redoubt.Isolated,
		Migrator: func() string { return p.ConnString("redoubt_migrator", password) }}
	plan, err := migrate.Plan(t.Context(), cfg)
	if err != nil || len(plan) < 6 || plan[0].As != "superuser" || plan[len(plan)-1].Line != "app" {
		t.Fatalf("the plan of an empty database is %v, %v", plan, err)
	}
	if n, err := migrate.Run(t.Context(), cfg); err != nil || n != len(plan) {
		t.Fatalf("applied %d of %d: %v", n, len(plan), err)
	}
	if plan, err := migrate.Plan(t.Context(), cfg); err != nil || len(plan) != 0 {
		t.Errorf("after a run the plan is %v, %v", plan, err)
	}
	conn, err := pgx.Connect(t.Context(), p.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `alter event trigger redoubt_command disable`); err != nil { // as only a superuser can
		t.Fatal(err)
	}
	last := len(lines) - 1
	cfg.Lines[last].Files = files("0001.sql", readAll(t, lines[last].Files, "0001.sql"), "0002.sql", `alter table app.note disable row level security`)
	n, err := migrate.Run(t.Context(), cfg)
	if n != 0 || err == nil || !strings.Contains(err.Error(), "row level security enabled and forced") {
		t.Errorf("a migration that opens a table: %d applied, %v", n, err)
	}
	if got := p.ask(`select relrowsecurity::text from pg_class where oid = 'app.note'::regclass`); got != "true" {
		t.Error("the failed migration left the table open")
	}
}

func readAll(t *testing.T, files fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Roles belong to the server and not to a database, so migrations of two databases at once meet in them.
func TestTwoDatabasesOfOneServerAtOnce(t *testing.T) {
	const databases, times = 4, 5
	failures := make(chan error, databases*times)
	var wait sync.WaitGroup
	for range databases {
		p := newPlace(t)
		wait.Go(func() {
			_, _, err := p.run(redoubt.LayerSchema()...)
			failures <- err
			conn, err := pgx.Connect(t.Context(), p.Admin)
			if err != nil {
				failures <- err
				return
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			for range times - 2 {
				failures <- migrate.SetPasswords(t.Context(), conn, roles)
			}
		})
	}
	wait.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
}
