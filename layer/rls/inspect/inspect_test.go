package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer/rls/inspect"
)

// told is a small report with a bit of everything, for the formats.
func told(t *testing.T) *inspect.Report {
	w := newWorld(t)
	w.start(t)
	w.run(t, `create table app.note (org_id uuid not null, id uuid primary key); create table app.country (code text primary key);`)
	r := w.check(t, inspect.Config{Only: []string{"RD101", "RD122", "RD306", "RD304", "RD602"}})
	r.Version, r.Database, r.Role = "15.0", "example", "postgres"
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Object, f.SQL = w.steady(f.Object), w.steady(f.SQL)
	}
	r.Cut = []string{"RD122"}
	r.Undecided = []inspect.Undecided{{Rule: "RD615", Reason: "this role lacks the rights"}}
	return r
}

func TestTheFormats(t *testing.T) {
	r := told(t)
	for name, write := range map[string]func(*strings.Builder) error{
		"report.txt":   func(b *strings.Builder) error { return r.WriteText(b, false) },
		"report.json":  func(b *strings.Builder) error { return r.WriteJSON(b) },
		"report.sarif": func(b *strings.Builder) error { return r.WriteSARIF(b) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestColourIsForTerminals(t *testing.T) {
	r := &inspect.Report{Findings: []inspect.Finding{{Rule: "RD101", Severity: inspect.Error, Object: "app.x\x1b[2J\u202e", Problem: "p\r", SQL: "alter\x07"}}}
	var plain, coloured strings.Builder
	if err := errors.Join(r.WriteText(&plain, false), r.WriteText(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(plain.String(), "\x1b\r\x07\u202e") {
		t.Errorf("a stranger's name reaches the terminal: %q", plain.String())
	}
	if !strings.Contains(coloured.String(), "\x1b[31merror") || strings.Contains(coloured.String(), "\x1b[2J") {
		t.Errorf("got %q", coloured.String())
	}
}

// What SARIF 2.1.0 demands of what is written: § 3.27.5, 3.27.6, 3.27.10, 3.19.23 and 3.49.3.
func TestSARIFIsConsistent(t *testing.T) {
	var b strings.Builder
	if err := told(t).WriteSARIF(&b); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID   string
						Help struct{ Text string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					LogicalLocations []struct{ FullyQualifiedName string }
				}
			}
			Invocations []struct{ ExecutionSuccessful bool }
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || !strings.Contains(log.Schema, "sarif") || len(log.Runs) != 1 || log.Runs[0].Invocations[0].ExecutionSuccessful {
		t.Errorf("got %+v", log)
	}
	rules := log.Runs[0].Tool.Driver.Rules
	if len(rules) != len(inspect.Rules()) || len(log.Runs[0].Results) == 0 {
		t.Errorf("%d rules, %d results", len(rules), len(log.Runs[0].Results))
	}
	for _, r := range log.Runs[0].Results {
		if rules[r.RuleIndex].ID != r.RuleID || rules[r.RuleIndex].Help.Text == "" || r.Message.Text == "" ||
			!slices.Contains([]string{"error", "warning", "note"}, r.Level) || r.Locations[0].LogicalLocations[0].FullyQualifiedName == "" {
			t.Errorf("inconsistent: %+v", r)
		}
	}
}

func TestAnEmptyReportIsAListAllTheSame(t *testing.T) {
	var b strings.Builder
	if err := (&inspect.Report{}).WriteJSON(&b); err != nil || !strings.Contains(b.String(), `"findings": []`) {
		t.Errorf("got %v %s", err, b.String())
	}
}

func TestNamesThatWouldBeSQLAreQuoted(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	w.run(t, `create schema "a b; drop schema app cascade; --"; create table "a b; drop schema app cascade; --"."x""; drop table app.item; --" ("org""; --" uuid, "id""'" uuid);
		create unique index "i""; drop table app.item" on "a b; drop schema app cascade; --"."x""; drop table app.item; --" ("id""'");
		grant all on all tables in schema "a b; drop schema app cascade; --" to {app};`)
	r := w.check(t, inspect.Config{TenantColumn: `org"; --`, Schemas: []string{"a b; drop schema app cascade; --"}})
	if r.Count(inspect.Error) == 0 || r.Tables != 1 {
		t.Fatalf("found %v", w.found(r))
	}
	for _, f := range r.Findings {
		if strings.HasPrefix(f.Rule, "RD5") || strings.Contains(f.Object, "pg_catalog") {
			continue
		}
		w.run(t, f.SQL)
	}
	if left := w.check(t, inspect.Config{Schemas: []string{"app"}}); left.Tables != 1 {
		t.Error("the table of another schema is gone")
	}
	if left := w.check(t, inspect.Config{TenantColumn: `org"; --`, Only: []string{"RD101", "RD301", "RD302", "RD606"}}); left.Count(inspect.Error) > 0 {
		t.Errorf("left: %v", w.found(left))
	}
}

func TestTheInspectedDatabaseRunsNothingInItsInspectorsName(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	w.run(t, `create table public.trace (t text);
		create function public.trap(anyelement) returns text language plpgsql as $$ begin insert into public.trace values ('x'); raise exception 'trapped'; end $$;
		create function public.format(text, text) returns text language sql as $$ select public.trap(1) $$;
		create function public.quote_ident(name) returns text language sql as $$ select public.trap(1) $$;
		create function public.pg_get_expr(pg_node_tree, oid) returns text language sql as $$ select public.trap(1) $$;
		create function public.eq(name, text) returns boolean language sql as $$ select public.trap(1)::boolean $$;
		create operator public.= (leftarg = name, rightarg = text, function = public.eq);
		create policy trap on app.item using (public.trap(1) = 'x');
		alter database {db} set search_path = public, pg_catalog;`)
	if r := w.check(t, inspect.Config{}); len(r.Findings) == 0 {
		t.Error("found nothing")
	}
}

func TestTheSessionIsReadOnly(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	conn, err := inspect.Session(t.Context(), inspect.Config{ConnString: w.Admin})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	// Outside the inspection's own transaction too, and even as a superuser.
	for _, sql := range []string{`create table public.x ()`, `delete from app.item`, `alter role ` + "app" + w.mark + ` bypassrls`} {
		var pg *pgconn.PgError
		if _, err := conn.Exec(t.Context(), sql); !errors.As(err, &pg) || pg.Code != "25006" {
			t.Errorf("%s: got %v, want read_only_sql_transaction", sql, err)
		}
	}
	var limit string
	if err := conn.QueryRow(t.Context(), `select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')`).Scan(&limit); err != nil || limit != "30s 2s" {
		t.Errorf("limits are %q, %v", limit, err)
	}
}

// login gives the application's role a password, and the address of the world's database for it.
func (w *world) login(t *testing.T) string {
	t.Helper()
	w.run(t, `alter role {app} password 'hunter2'`)
	return w.ConnString("app"+w.mark, "hunter2")
}

func TestARoleWithoutPowerCanInspect(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	r, err := inspect.Check(t.Context(), inspect.Config{ConnString: w.login(t)})
	if err != nil || len(r.Undecided) > 0 {
		t.Fatalf("got %v, %+v", err, r)
	}
	if got, want := w.found(w.own(t, r)), w.found(w.check(t, inspect.Config{})); got != want {
		t.Errorf("as the application:\n%s\nas a superuser:\n%s", got, want)
	}
}

func TestWhatMayNotBeAskedIsToldAndTheRestIsAsked(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	w.run(t, `revoke select on pg_catalog.pg_publication_tables from public`)
	r, err := inspect.Check(t.Context(), inspect.Config{ConnString: w.login(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Undecided) != 1 || r.Undecided[0].Rule != "RD615" || len(r.Findings) == 0 {
		t.Errorf("undecided: %v", r.Undecided)
	}
}

func TestFindingsOfOneRuleHaveALimit(t *testing.T) {
	w := newWorld(t)
	w.run(t, `do $$ begin for i in 1..1001 loop execute format('create table t%s (tenant_id int)', i); end loop; end $$`)
	r := w.check(t, inspect.Config{Only: []string{"RD101", "RD602"}})
	if got := r.Count(inspect.Error); got != 1000 || !slices.Equal(r.Cut, []string{"RD101"}) {
		t.Errorf("%d errors, cut %v", got, r.Cut)
	}
	var b strings.Builder
	if err := r.WriteText(&b, false); err != nil || !strings.Contains(b.String(), "RD101 found more than the 1000 that are told.") {
		t.Error("the cut is not told")
	}
}

func TestAQueryHasALimitOfTime(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	_, err := inspect.Check(t.Context(), inspect.Config{ConnString: w.Admin, Timeout: time.Millisecond})
	if err != nil && strings.Contains(err.Error(), "57014") {
		return // before the first rule
	}
	r, err := inspect.Check(t.Context(), inspect.Config{ConnString: w.Admin, Timeout: time.Millisecond})
	if err == nil && len(r.Undecided) == 0 {
		t.Error("every query took less than a millisecond")
	}
}

func TestWhatCannotBeInspectedSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	app := w.login(t)
	u, err := url.Parse(app)
	if err != nil {
		t.Fatal(err)
	}
	other := func(change func(*url.URL)) string {
		c := *u
		change(&c)
		return c.String()
	}
	for name, c := range map[string]struct {
		cfg    inspect.Config
		want   string
		misuse bool
	}{
		"a wrong password":      {inspect.Config{ConnString: other(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter3") })}, "does not let this role in", false},
		"a role that is not":    {inspect.Config{ConnString: other(func(u *url.URL) { u.User = url.UserPassword("hunter2", "hunter2") })}, "does not let this role in", false},
		"no such database":      {inspect.Config{ConnString: other(func(u *url.URL) { u.Path = "/hunter2" })}, "no database of that name", false},
		"nobody listens":        {inspect.Config{ConnString: "postgres://hunter2:hunter2@127.0.0.1:1/hunter2?connect_timeout=2"}, "cannot be reached", false},
		"no address":            {inspect.Config{ConnString: "postgres://hunter2:hunter2@[::1:x/hunter2"}, "cannot be read", true},
		"a column that is not":  {inspect.Config{ConnString: app, TenantColumn: "hunter2"}, "no table has the tenant column", true},
		"a schema that is not":  {inspect.Config{ConnString: app, Schemas: []string{"app", "hunter2"}}, "a schema that was named is not there", true},
		"a rule that is not":    {inspect.Config{ConnString: app, Only: []string{"RD101", "hunter2"}}, "no rule", true},
		"a name that is long":   {inspect.Config{ConnString: app, TenantColumn: strings.Repeat("hunter2", 10)}, "longer", true},
		"too many schemas":      {inspect.Config{ConnString: app, Schemas: make([]string, 101)}, "more than 100", true},
		"time below zero":       {inspect.Config{ConnString: app, Timeout: -1}, "below zero", true},
		"PostgreSQL 12":         {inspect.Config{ConnString: app}.TakenFor(120022), "13 or later", false},
		"may not connect there": {inspect.Config{ConnString: app}, "may not connect", false},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "may not connect there" {
				w.run(t, `revoke connect on database {db} from public`)
				defer w.run(t, `grant connect on database {db} to public`)
			}
			_, err := inspect.Check(t.Context(), c.cfg)
			var hint interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &hint) || hint.Hint() == "" || inspect.Misused(err) != c.misuse {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error()+hint.Hint(), "hunter") {
					t.Errorf("it repeats what it was given: %v", e)
				}
			}
		})
	}
}

func TestAnInspectionCanBeGivenUp(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inspect.Check(ctx, inspect.Config{ConnString: w.Admin}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
