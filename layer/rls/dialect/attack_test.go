package dialect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

const secret = "acme secret"

// A theft is a world with Acme's note, which Globex wants, and with what Globex's own people keep from each other.
type theft struct {
	*layertest.W
	dave *layertest.Caller // of Globex, the thief
	fill *strings.Replacer
}

func newTheft(t *testing.T, w *layertest.W) *theft {
	t.Helper()
	alice, dave, erin := w.Member("Acme"), w.Member("Globex"), w.Member("Globex")
	write := func(c *layertest.Caller, body string, draft bool) (note string) {
		conn := w.AsApp(t)
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		enter(t, conn, c)
		if err := conn.QueryRow(t.Context(), `insert into app.note (body, slug, draft) values ($1, $1, $2) returning id`, body, draft).Scan(&note); err != nil {
			t.Fatalf("writing one's own: %v", err)
		}
		if _, err := conn.Exec(t.Context(), `insert into app.reply (note_id) values ($1)`, note); err != nil {
			t.Fatalf("replying to one's own: %v", err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return note
	}
	return &theft{w, dave, strings.NewReplacer("{their note}", write(alice, secret, false), "{my note}", write(dave, "globex words", false), "{erin's draft}", write(erin, "erin's draft", true),
		"{their org}", string(w.Organization("Acme")), "{my org}", string(w.Organization("Globex")), "{them}", string(alice.Principal().Profile()),
		"{erin}", string(erin.Principal().Profile()), "{me}", string(dave.Principal().Profile()))}
}

func enter(t testing.TB, conn *pgx.Conn, c *layertest.Caller) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `select redoubt.enter($1)`, c.Session()); err != nil {
		t.Fatalf("entering: %v", err)
	}
}

type attack struct{ name, sql, got, state string }

var attacks = []attack{
	{"seeing one's own, and nobody's draft", `select body from app.note order by 1`, "globex words", ""},
	{"seeing all", `select count(*) from app.note where true or organization_id <> '{my org}'`, "1", ""},
	{"asking by id", `select body from app.note where id = '{their note}'`, "", ""},
	{"asking by organization", `select body from app.note where organization_id = '{their org}'`, "", ""},
	{"asking by a set", `select body from app.note where organization_id = any (array['{their org}', '{my org}']::uuid[])`, "globex words", ""},
	{"joining", `select count(*) from app.reply r join app.note n on n.id = r.note_id`, "1", ""},
	{"locking", `select body from app.note where id = '{their note}' for update`, "", ""},
	{"counting replies", `select count(*) from app.reply`, "2", ""},
	{"a cast as an oracle", `select count(*) from app.note where (case when body = 'acme secret' then body::int else 1 end) = 1`, "1", ""},
	{"changing theirs", `update app.note set body = 'defaced' where id = '{their note}'`, "UPDATE 0", ""},
	{"changing all", `update app.note set slug = null`, "UPDATE 1", ""},
	{"changing a colleague's", `update app.note set slug = null where id = '{erin's draft}'`, "UPDATE 0", ""},
	{"deleting theirs", `delete from app.note where id = '{their note}'`, "DELETE 0", ""},
	{"deleting all replies", `delete from app.reply`, "DELETE 2", ""},
	{"writing into their organization", `insert into app.note (organization_id, body) values ('{their org}', 'x')`, "", "42501"},
	{"writing into nobody's", `insert into app.reply (organization_id, note_id) values (null, '{my note}')`, "", "42501"},
	{"writing in another's name", `insert into app.note (author_id, body) values ('{erin}', 'x')`, "", "42501"},
	{"giving a note away", `update app.note set author_id = '{erin}' where id = '{my note}'`, "", "42501"},
	{"making a note that may not be", `insert into app.note (body) values ('select')`, "", "42501"},
	{"making a note into one that may not be", `update app.note set body = 'select' where id = '{my note}'`, "", "42501"},
	{"moving a note to them", `update app.note set organization_id = '{their org}' where id = '{my note}'`, "", "42501"},
	{"replying to theirs", `insert into app.reply (note_id) values ('{their note}')`, "", "23503"},
	{"asking whether a slug of theirs is taken", `insert into app.note (slug, body) values ('acme secret', 'x')`, "INSERT 0 1", ""},
	{"writing over theirs by an upsert", `insert into app.note (id, slug, body) values ('{their note}', 'y', 'x') on conflict (organization_id, id) do update set body = 'defaced'`, "INSERT 0 1", ""},
	{"writing over a colleague's by an upsert", `insert into app.note (id, body) values ('{erin's draft}', 'x') on conflict (organization_id, id) do update set body = 'defaced'`, "", "42501"},
	{"merging over theirs", `merge into app.note n using (select '{their note}'::uuid as id) s on n.id = s.id when matched then update set body = 'defaced' when not matched then do nothing`, "MERGE 0", ""},
	{"asking without a credential", `rollback; select body from app.note`, "", "28000"},
	{"writing without a credential", `rollback; insert into app.reply (note_id) values ('{their note}')`, "", "28000"},
}

// victim is everything of Acme's.
func (h *theft) victim(t testing.TB, admin *pgx.Conn) string {
	got, state := say(t, admin, h.fill.Replace(`select n::text from app.note n where organization_id = '{their org}' union all select r::text from app.reply r where organization_id = '{their org}' order by 1`))
	if state != "" || got == "" {
		t.Fatalf("looking at the victim: %q %s", got, state)
	}
	return got
}

// SYSTEM D1, D8: every dialect isolates alike, on the engine that can be run here.
func TestEveryDialectIsolatesAlike(t *testing.T) {
	for _, e := range dialect.Engines() {
		t.Run(string(e), func(t *testing.T) {
			w := moved(t, e, nil)
			h, admin := newTheft(t, w), w.Admin(t)
			before := h.victim(t, admin)
			for _, a := range attacks {
				conn := h.AsApp(t)
				if _, err := conn.Exec(t.Context(), `begin`); err != nil {
					t.Fatal(err)
				}
				enter(t, conn, h.dave)
				got, state := say(t, conn, h.fill.Replace(a.sql))
				if got != a.got && state == "" || state != a.state {
					t.Errorf("%s: got %q %s, want %q %s", a.name, got, state, a.got, a.state)
				}
				if strings.Contains(got, secret) || h.victim(t, admin) != before {
					t.Fatalf("%s: something of theirs was read or changed: %q", a.name, got)
				}
				say(t, conn, `rollback`)
			}
		})
	}
}

// What Citus does with a restrictive policy, here: PostgreSQL's text then shows everything, and Citus's own text does not change.
func TestAPolicyThatIsCopiedAsPermissive(t *testing.T) {
	copied := func(text string) string { return strings.ReplaceAll(text, " as restrictive", "") }
	ask := func(w *layertest.W) string {
		h := newTheft(t, w)
		conn := w.AsApp(t)
		if _, err := conn.Exec(t.Context(), `begin`); err != nil {
			t.Fatal(err)
		}
		enter(t, conn, h.dave)
		got, _ := say(t, conn, `select body from app.note order by 1`)
		return got
	}
	noCheck := func(text string) string { return strings.ReplaceAll(copied(text), "select guard.check_all();", "") }
	if got := ask(moved(t, dialect.PostgreSQL, noCheck)); !strings.Contains(got, secret) {
		t.Errorf("the attack does not work, so its defence proves nothing: got %q", got)
	}
	if got := ask(moved(t, dialect.Citus, copied)); got != "globex words" {
		t.Errorf("got %q", got)
	}
}

func TestTheGuardsPlaceIsWatched(t *testing.T) { // SYSTEM D5, D8
	for _, e := range []dialect.Engine{dialect.Citus, dialect.CockroachDB} {
		w := moved(t, e, nil)
		admin := w.Admin(t)
		run(t, admin, blind)
		questions := e.Watch(read(t, admin))
		for _, c := range []struct{ name, sql, want string }{
			{"nothing was changed", ``, ``},
			{"row level security is off", `alter table app.note disable row level security`, "app.note"},
			{"it is not forced", `alter table app.reply no force row level security`, "app.reply"},
			{"a new table", `create table app.new (id int)`, "app.new"},
			{"a materialized view", `create materialized view app.mat as select 1`, "app.mat"},
			{"a policy that lets everybody pass", `create policy x on app.note for select using (true)`, map[dialect.Engine]string{dialect.Citus: "app.note"}[e]}, // beneath a restrictive floor it does no harm
			{"a floor for some", `drop policy if exists redoubt_floor on app.note; drop policy if exists redoubt_delete on app.note`, "app.note"},
			{"a floor that is open", `do $$ begin if exists (select from pg_policy where polname = 'redoubt_floor') then alter policy redoubt_floor on app.note using (true) with check (true); else alter policy redoubt_select on app.note using (true); end if; end $$`, "app.note"},
			{"a trigger that is off", `drop trigger if exists audit_row on app.note`, map[dialect.Engine]string{dialect.CockroachDB: "app.note"}[e]},
		} {
			tx, err := admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			run(t, admin, c.sql)
			got, state := say(t, admin, strings.SplitAfter(questions, "order by 1;")[0])
			if state != "" || (c.want == "") != (got == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, %s: got %q %s, want %s", e, c.name, got, state, c.want)
			}
			if e == dialect.Citus && strings.HasPrefix(c.name, "a policy that") {
				if got, state := say(t, admin, strings.SplitAfter(strings.SplitAfter(questions, "order by 1;")[1], "4 of 4, t';")[0]); state != "" || got == "" {
					t.Errorf("the shards' own: %q %s", got, state)
				}
			}
			tx.Rollback(t.Context())
		}
		if got, state := say(t, admin, questions); state != "" || got != "" {
			t.Errorf("%s, all questions: %q %s", e, got, state)
		}
	}
}

// SYSTEM D7, D8: where organization_id leads the index, asking the context bare costs no other plan.
func TestBareCallsHaveTheSamePlans(t *testing.T) {
	plans := map[dialect.Engine][]string{}
	for _, e := range []dialect.Engine{dialect.PostgreSQL, dialect.Citus, dialect.CockroachDB} {
		w := moved(t, e, nil)
		h, admin := newTheft(t, w), w.Admin(t)
		run(t, admin, blind+h.fill.Replace(`insert into app.note (organization_id, author_id, body, slug)
  select case i % 50 when 0 then '{my org}' when 1 then '{their org}' else md5((i % 50)::text)::uuid end, '{me}', 'b', i::text from generate_series(1, 20000) i; analyze app.note;`))
		for _, sql := range []string{
			`select body from app.note where id = '{my note}'`,
			`select body from app.note order by slug desc, id limit 20`,
			`select body from app.note where slug = '100'`,
			`update app.note set body = 'c' where id = '{my note}'`,
			`delete from app.note where id = '{my note}'`,
		} {
			conn := w.AsApp(t)
			if _, err := conn.Exec(t.Context(), `begin`); err != nil {
				t.Fatal(err)
			}
			enter(t, conn, h.dave)
			got, state := say(t, conn, `explain (format json, costs off) `+h.fill.Replace(sql))
			if state != "" || !strings.Contains(got, "Index Cond") || !strings.Contains(got, "organization_id = ") {
				t.Fatalf("%s: %s: %s", e, state, got)
			}
			plans[e] = append(plans[e], sql+": "+shape(t, got))
			conn.Close(t.Context())
		}
	}
	for _, e := range []dialect.Engine{dialect.Citus, dialect.CockroachDB} {
		if !slices.Equal(plans[e], plans[dialect.PostgreSQL]) {
			t.Errorf("%s: got %q\nwant %q", e, plans[e], plans[dialect.PostgreSQL])
		}
	}
}

// shape is a plan's nodes and indexes, without the nodes that ask the context once.
func shape(t *testing.T, explained string) string {
	t.Helper()
	var all []struct{ Plan map[string]any }
	if err := json.Unmarshal([]byte(explained), &all); err != nil {
		t.Fatal(err)
	}
	var walk func(map[string]any) string
	walk = func(node map[string]any) string {
		if node["Parent Relationship"] == "InitPlan" {
			return ""
		}
		text := fmt.Sprint(node["Node Type"], " ", node["Relation Name"], " ", node["Index Name"], " ", node["Scan Direction"])
		below, _ := node["Plans"].([]any)
		for _, n := range below {
			text += "(" + walk(n.(map[string]any)) + ")"
		}
		return strings.ReplaceAll(text, "()", "")
	}
	return walk(all[0].Plan)
}
