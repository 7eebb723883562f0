package rls_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// ledger has two tables, which are filled before they get their indexes.
var ledger = redoubt.App{
	Name: "Ledger",
	Schema: []migrate.Line{{Name: "app", Application: true, Files: fstest.MapFS{"0001_ledger.sql": {Data: []byte(`
CREATE SCHEMA app;
CREATE TABLE app.account (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL,
  name            text NOT NULL
);
CREATE TABLE app.entry (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL DEFAULT gen_random_uuid(),
  account_id      uuid        NOT NULL,
  cents           bigint      NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now()
);
GRANT USAGE ON SCHEMA app TO redoubt_app;
GRANT SELECT ON app.account TO redoubt_app;
GRANT SELECT, INSERT, DELETE, UPDATE (cents) ON app.entry TO redoubt_app;
`)}}}},
}

// crowd is 1,000,000 entries of 1,000 organizations, the last of which is real, in the order in which they were made. Triggers rest
// meanwhile and nothing is logged; indexes are built afterwards, sorted: that is most of what makes it quick.
var crowd = []string{
	`alter table app.account set unlogged`,
	`alter table app.entry set unlogged`,
	`set session_replication_role = replica`,
	`set maintenance_work_mem = '256MB'`,
	`create temporary table organization as select n, case when n = 999 then '{org}'::uuid else gen_random_uuid() end as id from generate_series(0, 999) n`,
	`insert into app.account select o.id, gen_random_uuid(), 'Account ' || a from organization o, generate_series(0, 9) a`,
	`create temporary table place as select o.n, array_agg(a.id) as accounts, o.id from organization o join app.account a on a.organization_id = o.id group by o.n, o.id`,
	`insert into app.entry select p.id, gen_random_uuid(), p.accounts[1 + e % 10], e, timestamptz '2026-01-01 UTC' + make_interval(secs => 10 * e + p.n / 100.0)
	   from generate_series(1, 1000) e, place p`,
	`alter table app.account add primary key (organization_id, id)`,
	`alter table app.entry add primary key (organization_id, id)`,
	`create index on app.entry (organization_id, created_at desc, id desc)`,
	`analyze app.account, app.entry`,
}

// A question is asked twice: of the policies, and with the same thing said by hand. $1 is an entry's id, $2 a moment; by hand, $3 is
// the organization.
type question struct {
	name, entered, byHand string
	relations             int // that a floor stands before
}

var questions = []question{
	{"one by its id", `select * from app.entry where id = $1 and $2 is not null`,
		`select * from app.entry where id = $1 and organization_id = $3 and $2 is not null`, 1},
	{"the newest 20", `select id, cents, created_at from app.entry order by created_at desc, id desc limit 20`,
		`select id, cents, created_at from app.entry where organization_id = $3 order by created_at desc, id desc limit 20`, 1},
	{"the next 20", `select id, cents, created_at from app.entry where (created_at, id) < ($2, $1) order by created_at desc, id desc limit 20`,
		`select id, cents, created_at from app.entry where organization_id = $3 and (created_at, id) < ($2, $1) order by created_at desc, id desc limit 20`, 1},
	{"one, joined", `select e.*, a.name from app.entry e join app.account a on a.organization_id = e.organization_id and a.id = e.account_id where e.id = $1`,
		`select e.*, a.name from app.entry e join app.account a on a.organization_id = e.organization_id and a.id = e.account_id where e.id = $1 and e.organization_id = $3 and a.organization_id = $3`, 2},
	{"one, joined by the id alone", `select e.*, a.name from app.entry e join app.account a on a.id = e.account_id where e.id = $1`,
		`select e.*, a.name from app.entry e join app.account a on a.id = e.account_id where e.id = $1 and e.organization_id = $3 and a.organization_id = $3`, 2},
	{"the newest 20, joined", `select e.*, a.name from app.entry e left join app.account a on a.organization_id = e.organization_id and a.id = e.account_id order by e.created_at desc, e.id desc limit 20`,
		`select e.*, a.name from app.entry e left join app.account a on a.organization_id = e.organization_id and a.id = e.account_id and a.organization_id = $3 where e.organization_id = $3 order by e.created_at desc, e.id desc limit 20`, 2},
	{"how many", `select count(*) from app.entry`, `select count(*) from app.entry where organization_id = $3`, 1},
	{"how much by account", `select account_id, sum(cents) from app.entry group by account_id`, `select account_id, sum(cents) from app.entry where organization_id = $3 group by account_id`, 1},
	{"insert", `insert into app.entry (account_id, cents) values ($1, 1)`, `insert into app.entry (organization_id, account_id, cents) values ($3, $1, 1)`, 1},
	{"update", `update app.entry set cents = cents + 1 where id = $1`, `update app.entry set cents = cents + 1 where id = $1 and organization_id = $3`, 1},
	{"delete", `delete from app.entry where id = $1`, `delete from app.entry where id = $1 and organization_id = $3`, 1},
}

// A plan is what EXPLAIN says of one node.
type plan struct {
	Node     string  `json:"Node Type"`
	Role     string  `json:"Parent Relationship"`
	Subplan  string  `json:"Subplan Name"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Filter   string  `json:"Filter"`
	Join     string  `json:"Join Filter"`
	Loops    float64 `json:"Actual Loops"`
	Hit      int     `json:"Shared Hit Blocks"`
	Read     int     `json:"Shared Read Blocks"`
	Plans    []plan  `json:"Plans"`
}

func (p plan) buffers() int { return p.Hit + p.Read }

func (p plan) each(visit func(plan)) {
	visit(p)
	for _, child := range p.Plans {
		child.each(visit)
	}
}

// scans lists how each relation is read.
func (p plan) scans() (all []string) {
	p.each(func(n plan) {
		if n.Index != "" || strings.HasSuffix(n.Node, "Scan") {
			all = append(all, fmt.Sprintf("%s %s %s", n.Node, n.Relation, n.Index))
		}
	})
	slices.Sort(all)
	return all
}

// asked counts the InitPlans that ran: each asks the context once.
func (p plan) asked() (n int) {
	p.each(func(node plan) {
		if node.Role == "InitPlan" && node.Loops > 0 {
			n++
		}
	})
	return n
}

// faults says what is wrong with a plan of a caller's: a row or an index that the organization does not lead to, a question to the
// context that is asked for each row.
func (p plan) faults() (all []string) {
	p.each(func(n plan) {
		switch {
		case n.Role == "SubPlan":
			all = append(all, "asks "+n.Subplan+" for each row")
		case n.Role == "InitPlan" && n.Loops > 1:
			all = append(all, fmt.Sprintf("asks %s %g times", n.Subplan, n.Loops))
		}
		if strings.Contains(n.Filter+n.Join+n.Cond, "redoubt.") {
			all = append(all, "calls the context for each row of "+n.Relation)
		}
		if n.Node == "Seq Scan" {
			all = append(all, "reads "+n.Relation+" whole")
		}
		if n.Index != "" && !strings.HasPrefix(n.Cond, "((organization_id = ") && !strings.HasPrefix(n.Cond, "(organization_id = ") {
			all = append(all, "the organization does not lead "+n.Index)
		}
		if strings.Contains(n.Filter, "organization_id") {
			all = append(all, "filters "+n.Relation+" by the organization")
		}
	})
	return all
}

// explain runs a statement twice, in transactions that are undone, and returns the plan of the second: what the first has put in
// the caches is not the statement's.
func explain(t *testing.T, conn *pgx.Conn, before, sql string, args []any) plan {
	t.Helper()
	ctx := t.Context()
	script := func(sql string) (rows [][][]byte) {
		t.Helper()
		results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for _, r := range results {
			rows = append(rows, r.Rows...)
		}
		return rows
	}
	types := []string{"uuid", "timestamptz", "uuid"}[:len(args)]
	literals := make([]string, len(args))
	for i, a := range args {
		literals[i] = fmt.Sprintf("'%v'", a)
	}
	script("prepare question(" + strings.Join(types, ", ") + ") as " + sql)
	defer script("deallocate question")
	var text []byte
	for range 2 {
		script("begin")
		script(before)
		rows := script("explain (analyze, buffers, format json) execute question(" + strings.Join(literals, ", ") + ")")
		if len(rows) != 1 {
			t.Fatalf("explaining %s: %d rows", sql, len(rows))
		}
		text = rows[0][0]
		script("rollback")
	}
	var answer []struct{ Plan plan }
	if err := json.Unmarshal(text, &answer); err != nil || len(answer) != 1 {
		t.Fatalf("reading a plan: %v\n%s", err, text)
	}
	return answer[0].Plan
}

const (
	perQuestion = 4 // buffers for one question to the context: the key, by its index
	perChange   = 6 // pages that one insertion touches more than another: a tree grows, a page is full
)

// SYSTEM D7: with a million rows of a thousand organizations the policies lead to the same plan as WHERE written by hand: the same
// indexes, led by the organization; the context is asked once for each relation; and no more pages are touched. Both when the
// plan is made for the values at hand and when it is made for any. A page costs as on a solid-state disk, as `redoubt up` says.
func TestThePoliciesLeadToThePlanOfAHandWrittenWhere(t *testing.T) {
	w := layertest.Disposable(t, ledger)
	alice := w.Member("Acme")
	admin := w.Admin(t)
	org := string(w.Organization("Acme"))
	began := time.Now()
	for _, sql := range crowd {
		if _, err := admin.Exec(t.Context(), strings.ReplaceAll(sql, "{org}", org)); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	t.Logf("filled in %s", time.Since(began).Round(time.Millisecond))
	var entry string
	var at time.Time
	if err := admin.QueryRow(t.Context(), `select id, created_at from app.entry where organization_id = $1 and cents = 500`, org).Scan(&entry, &at); err != nil {
		t.Fatal(err)
	}
	app := w.AsApp(t)
	present := "select redoubt.enter('" + alice.Session() + "')"
	args := []any{entry, at.Format(time.RFC3339Nano), org}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		for _, conn := range []*pgx.Conn{app, admin} {
			if err := conn.PgConn().Exec(t.Context(), "set random_page_cost = 1.1; set plan_cache_mode = "+mode).Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range questions {
			t.Run(strings.TrimPrefix(mode, "force_")+"/"+q.name, func(t *testing.T) {
				entered, byHand := explain(t, app, present, q.entered, args[:2]), explain(t, admin, "", q.byHand, args)
				for _, fault := range entered.faults() {
					t.Errorf("the plan %s", fault)
				}
				if got, want := entered.scans(), byHand.scans(); !slices.Equal(got, want) {
					t.Errorf("reads %v\nwant as by hand: %v", got, want)
				}
				most := q.relations
				if entered.Node == "ModifyTable" {
					most++ // what is there already, and what is written
				}
				if n := entered.asked(); n < q.relations || n > most {
					t.Errorf("asks the context %d times, want %d to %d", n, q.relations, most)
				}
				allowed := byHand.buffers() + perQuestion*entered.asked()
				if entered.Node == "ModifyTable" {
					allowed += perChange
				}
				if entered.buffers() > allowed {
					t.Errorf("touches %d pages, by hand %d", entered.buffers(), byHand.buffers())
				}
				t.Logf("asked %d times; %d pages, by hand %d; %v", entered.asked(), entered.buffers(), byHand.buffers(), entered.scans())
			})
		}
	}
	t.Run("what is wrong would be noticed", func(t *testing.T) { badPlans(t, app, admin, present, args) })
}

// badPlans makes rules and statements as they should not be, and expects each to be found.
func badPlans(t *testing.T, app, admin *pgx.Conn, present string, args []any) {
	newest, joined := questions[1].entered, questions[4].entered
	for _, c := range []struct{ name, rule, sql, want string }{
		{"a rule that calls the context for each row", `create policy bad on app.entry as restrictive for select using (account_id <> redoubt.profile())`, newest, "calls the context for each row"},
		{"a rule that asks another table for each row", `create policy bad on app.entry as restrictive for select using ((select a.name from app.account a where a.id = entry.account_id) <> '')`, newest, "for each row"},
		{"an index that begins with something else", `alter table app.account drop constraint account_pkey; create index on app.account (id, organization_id)`, joined, "does not lead"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := admin.PgConn().Exec(t.Context(), c.rule).Close(); err != nil {
				t.Fatal(err)
			}
			defer admin.Exec(t.Context(), `drop policy if exists bad on app.entry`)
			p := explain(t, app, present, c.sql, args[:2])
			if got := strings.Join(p.faults(), "; "); !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q; %v", got, c.want, p)
			}
		})
	}
	if got := strings.Join(explain(t, admin, "", `select * from app.entry where cents = 5 and $1 is not null`, args[:1]).faults(), "; "); !strings.Contains(got, "reads entry whole") {
		t.Errorf("of a table read whole, found %q", got)
	}
}
