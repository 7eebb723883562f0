package inspect_test

import (
	"context"
	"crypto/rand"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/internal/pgtest"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/inspect"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// A world is one database with roles of its own: roles belong to the whole server, which other tests use at the same time.
type world struct {
	*pgtest.DB
	names *strings.Replacer
	mark  string // in the name of every role of this world
}

var roleNames = []string{"owner", "app", "other", "extra", "person", "anon", "authenticated", "service", "authenticator"}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := named(pgtest.Database(t, "inspect", empty))
	t.Cleanup(func() { w.dropRoles(t) })
	return w
}

func empty(context.Context, string) error { return nil }

func named(d *pgtest.DB) *world {
	w := &world{DB: d, mark: "_i" + strings.ToLower(rand.Text()[:8])}
	pairs := []string{"{db}", d.Name}
	for _, r := range roleNames {
		pairs = append(pairs, "{"+r+"}", r+w.mark)
	}
	w.names = strings.NewReplacer(pairs...)
	return w
}

func (w *world) run(t testing.TB, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(t.Context(), w.names.Replace(sql)).ReadAll(); err != nil {
		t.Fatalf("%v\nin: %s", err, w.names.Replace(sql))
	}
}

func (w *world) dropRoles(t testing.TB) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.Admin)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, `select pg_catalog.quote_ident(rolname) from pg_roles where strpos(rolname, $1) > 0`, w.mark)
	roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Error(err)
	}
	for _, r := range roles {
		if _, err := conn.PgConn().Exec(ctx, "drop owned by "+r+" cascade").ReadAll(); err != nil {
			t.Error(err)
		}
	}
	for _, r := range roles {
		if _, err := conn.PgConn().Exec(ctx, "drop role "+r).ReadAll(); err != nil {
			t.Error(err)
		}
	}
}

// start makes the first table and three roles.
func (w *world) start(t testing.TB) {
	t.Helper()
	w.run(t, start(t))
}

func start(t testing.TB) string {
	t.Helper()
	first, err := os.ReadFile("testdata/start.sql")
	if err != nil {
		t.Fatal(err)
	}
	return "create role {owner}; create role {other}; create role {app} login;" + string(first)
}

// check inspects the world.
func (w *world) check(t testing.TB, cfg inspect.Config) *inspect.Report {
	t.Helper()
	cfg.ConnString = w.Admin
	r, err := inspect.Check(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w.own(t, r)
}

// own leaves out what is about roles of other tests.
func (w *world) own(t testing.TB, r *inspect.Report) *inspect.Report {
	t.Helper()
	if len(r.Undecided) > 0 {
		t.Fatalf("undecided: %v", r.Undecided)
	}
	var own []inspect.Finding
	for _, f := range r.Findings {
		if !strings.HasPrefix(f.Rule, "RD5") || strings.Contains(f.Object, w.mark) || strings.Contains(f.Object, w.Name) {
			own = append(own, f)
		}
	}
	r.Findings = own
	return r
}

// A fixture is what a rule must find, or must leave alone.
type fixture struct {
	bad       bool
	name, sql string
	version   int // that the server is taken for
	needs     int // the major version that knows the words
}

var (
	versionForm = regexp.MustCompile(`(?m)^-- version (\d+)$`)
	needsForm   = regexp.MustCompile(`(?m)^-- needs (\d+)$`)
)

func fixtures(t *testing.T, id string) (all []fixture) {
	t.Helper()
	text, err := os.ReadFile("testdata/rule/" + id + ".sql")
	if err != nil {
		t.Fatalf("rule %s has no fixtures: %v", id, err)
	}
	for part := range strings.SplitSeq("\n"+string(text), "\n-- ") {
		kind, rest, ok := strings.Cut(part, ": ")
		if !ok || kind != "bad" && kind != "good" {
			if n := len(all); n > 0 {
				all[n-1].sql += "\n-- " + part
			}
			continue
		}
		name, sql, _ := strings.Cut(rest, "\n")
		all = append(all, fixture{bad: kind == "bad", name: name, sql: sql})
	}
	for i := range all {
		if m := versionForm.FindStringSubmatch(all[i].sql); m != nil {
			all[i].version, _ = strconv.Atoi(m[1])
		}
		if m := needsForm.FindStringSubmatch(all[i].sql); m != nil {
			all[i].needs, _ = strconv.Atoi(m[1])
		}
	}
	return all
}

// SYSTEM D6: every rule finds what it is for, leaves alone what merely looks like it, and its SQL mends what it found.
func TestEveryRuleFindsAndMends(t *testing.T) {
	server := major(t)
	for _, rule := range inspect.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			var bad, good int
			for _, f := range fixtures(t, rule.ID) {
				if f.bad {
					bad++
				} else {
					good++
				}
				if f.needs <= server {
					t.Run(f.name, func(t *testing.T) { f.test(t, rule) })
				}
			}
			if bad == 0 || good == 0 {
				t.Errorf("%d failing and %d passing fixtures, want one of each at least", bad, good)
			}
		})
	}
}

func major(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Shared(t, "inspect", empty).Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), `select current_setting('server_version_num')::int / 10000`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f fixture) test(t *testing.T, rule inspect.Rule) {
	check, run := stage(t, strings.Contains(f.sql, "-- apart\n"))
	run(f.sql)
	cfg := inspect.Config{Only: []string{rule.ID}}.TakenFor(f.version)
	found := check(cfg).Findings
	if !f.bad {
		if len(found) > 0 {
			t.Errorf("found %v, want nothing", found)
		}
		return
	}
	if len(found) == 0 {
		t.Fatal("found nothing")
	}
	var mend strings.Builder
	for _, one := range found {
		if one.Rule != rule.ID || one.Severity != rule.Severity || one.Object == "" || one.Problem == "" {
			t.Errorf("incomplete: %+v", one)
		}
		mend.WriteString(one.SQL + "\n")
	}
	if strings.TrimSpace(mend.String()) == "" {
		return // a sentence is all that can be said
	}
	run(mend.String())
	for _, left := range check(cfg).Findings {
		if left.SQL != "" {
			t.Errorf("%s\ndid not mend %+v", mend.String(), left)
		}
	}
}

// stage gives a fixture its place, ready with the first table: a transaction that is rolled back, roles included, or, for settings
// that only a new session has, a database.
func stage(t *testing.T, apart bool) (check func(inspect.Config) *inspect.Report, run func(string)) {
	t.Helper()
	if apart {
		w := newWorld(t)
		w.start(t)
		return func(cfg inspect.Config) *inspect.Report { return w.check(t, cfg) }, func(sql string) { w.run(t, sql) }
	}
	d := pgtest.Shared(t, "inspect", empty)
	conn, err := pgx.Connect(t.Context(), d.Admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) }) // and with it everything that the fixture made
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := named(d)
	run = func(sql string) {
		t.Helper()
		if _, err := conn.PgConn().Exec(t.Context(), "set search_path = public; "+w.names.Replace(sql)+"; reset role;").ReadAll(); err != nil {
			t.Fatalf("%v\nin: %s", err, w.names.Replace(sql))
		}
	}
	run(start(t))
	return func(cfg inspect.Config) *inspect.Report {
		r, err := inspect.CheckIn(t.Context(), tx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return w.own(t, r)
	}, run
}

func TestRulesAreComplete(t *testing.T) {
	seen, last := map[string]bool{}, ""
	for _, r := range inspect.Rules() {
		if seen[r.ID] || r.ID < last || !regexp.MustCompile(`^RD[1-7]\d\d$`).MatchString(r.ID) {
			t.Errorf("%s is there twice, out of order or misspelled", r.ID)
		}
		seen[r.ID], last = true, r.ID
		for what, text := range map[string]string{"Title": r.Title + ".", "Why": r.Why, "Mend": r.Mend} {
			if len(text) < 10 || !strings.HasSuffix(text, ".") || strings.Contains(text, "..") {
				t.Errorf("%s's %s is no sentence: %q", r.ID, what, text)
			}
		}
		switch r.Severity {
		case inspect.Error, inspect.Warning, inspect.Note:
		default:
			t.Errorf("%s has severity %q", r.ID, r.Severity)
		}
	}
	files, err := os.ReadDir("testdata/rule")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[strings.TrimSuffix(f.Name(), ".sql")] {
			t.Errorf("testdata/rule/%s is for no rule", f.Name())
		}
	}
}
