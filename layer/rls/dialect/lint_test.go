package dialect_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

// stage is where a fixture plays: a schema of the tables' owner, which the guard does not see, and a word for making a tenant
// table that no rule but those about all such tables finds anything about.
const stage = `set local session_replication_role = replica; set local search_path = pg_catalog;
create schema f authorization redoubt_owner;
create function pg_temp.tenant(t text) returns void language plpgsql as $$ begin
  execute format('create table f.%1$I (organization_id uuid not null, id uuid not null, body text, primary key (organization_id, id))', t);
  execute format('create policy own on f.%1$I using (organization_id = redoubt.org()) with check (organization_id = redoubt.org())', t);
  execute format('alter table f.%1$I enable row level security, force row level security', t);
end $$; `

type fixture struct {
	name string
	bad  bool
	sql  string
}

var heading = regexp.MustCompile(`(?m)^-- (bad|good): (.+)\n`)

func fixtures(t *testing.T, rule string) (all []fixture) {
	t.Helper()
	text, err := os.ReadFile("testdata/rule/" + rule + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	at := heading.FindAllStringSubmatchIndex(string(text), -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		all = append(all, fixture{string(text[m[4]:m[5]]), string(text[m[2]:m[3]]) == "bad", string(text[m[1]:end])})
	}
	return all
}

func TestRules(t *testing.T) {
	w := layertest.World(t, redoubt.App{Name: "Nothing"})
	conn := w.Admin(t)
	for _, e := range dialect.Engines() {
		before := lint(t, conn, e)
		for _, rule := range dialect.Rules(e) {
			bad, good := 0, 0
			for _, f := range fixtures(t, rule.ID) {
				if f.bad {
					bad++
				} else {
					good++
				}
				t.Run(rule.ID+" "+f.name, func(t *testing.T) { f.test(t, conn, rule, before) })
			}
			if bad == 0 || good == 0 {
				t.Errorf("%s has %d failing and %d passing fixtures, want one of each at least", rule.ID, bad, good)
			}
		}
	}
}

// test plays the fixture in a transaction that is rolled back. What the layers' own schema gave beforehand does not count.
func (f fixture) test(t *testing.T, conn *pgx.Conn, rule dialect.Rule, before []dialect.Finding) {
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	run(t, conn, stage+f.sql)
	all, err := dialect.Ask(t.Context(), tx, rule)
	if err != nil {
		t.Fatal(err)
	}
	found := slices.DeleteFunc(all, func(one dialect.Finding) bool { return slices.Contains(before, one) })
	if !f.bad && len(found) > 0 {
		t.Errorf("found %v, want nothing", found)
	}
	if f.bad && len(found) == 0 {
		t.Error("found nothing")
	}
	for _, one := range found {
		if one.Weight != rule.Weight || one.Object == "" || len(one.Problem) < 8 || one.Source != rule.Source {
			t.Errorf("incomplete: %+v", one)
		}
	}
}

func lint(t testing.TB, db dialect.DB, e dialect.Engine) []dialect.Finding {
	t.Helper()
	found, err := dialect.Lint(t.Context(), db, e)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRulesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range dialect.Engines() {
		last := ""
		for _, r := range dialect.Rules(e) {
			if seen[r.ID] || r.ID <= last || !regexp.MustCompile(`^(CI|CR|YB)\d\d$`).MatchString(r.ID) || r.Engine != e {
				t.Errorf("%s is there twice, out of order, misspelled or of another engine", r.ID)
			}
			seen[r.ID], last = true, r.ID
			for what, text := range map[string]string{"Title": r.Title + ".", "Why": r.Why, "Mend": r.Mend, "Source": r.Source.Title + "."} {
				if len(text) < 10 || !strings.HasSuffix(text, ".") || strings.Contains(text, "..") {
					t.Errorf("%s's %s is no sentence: %q", r.ID, what, text)
				}
			}
			if !strings.HasPrefix(r.Source.URL, "https://") || !slices.Contains([]dialect.Weight{dialect.Silent, dialect.Refused, dialect.Differs}, r.Weight) {
				t.Errorf("%s: source %q, weight %q", r.ID, r.Source.URL, r.Weight)
			}
		}
	}
	if n := len(dialect.Rules(dialect.PostgreSQL)); n != 0 {
		t.Errorf("PostgreSQL has %d rules", n)
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

// kinds stand for objects in the golden files, which are about what our schema is made of and not about how much of it there is.
var kinds = []struct {
	of   *regexp.Regexp
	kind string
}{
	{regexp.MustCompile(`^policy .+ on (\w+)\..+$`), "policies of tables in $1"},
	{regexp.MustCompile(`^(trigger|constraint) .+ on (\w+)\..+$`), "${1}s of tables in $2"},
	{regexp.MustCompile(`^column .+ of (\w+)\..+$`), "columns of tables in $1"},
	{regexp.MustCompile(`^(\w+)\.\w+\(.*\)$`), "functions in $1"},
	{regexp.MustCompile(`^(\w+)\.\w+$`), "tables in $1"},
}

func kindOf(object string) string {
	for _, k := range kinds {
		if k.of.MatchString(object) {
			return k.of.ReplaceAllString(object, k.kind)
		}
	}
	return object
}

// SYSTEM D8: what of our own schema each engine restricts, with the reference application in it. People read these files.
func TestOurOwnSchema(t *testing.T) {
	conn := layertest.World(t, commons.App).Admin(t)
	for _, e := range dialect.Engines() {
		var b strings.Builder
		objects, rules := map[string]map[string]bool{}, map[string]dialect.Finding{}
		for _, f := range lint(t, conn, e) {
			if objects[f.Rule] == nil {
				objects[f.Rule], rules[f.Rule] = map[string]bool{}, f
			}
			objects[f.Rule][kindOf(f.Object)] = true
		}
		for _, id := range slices.Sorted(maps.Keys(rules)) {
			fmt.Fprintf(&b, "%s %s: %s\n", id, rules[id].Weight, rules[id].Title)
			for _, o := range slices.Sorted(maps.Keys(objects[id])) {
				fmt.Fprintf(&b, "    %s\n", o)
			}
		}
		if b.Len() == 0 {
			b.WriteString("nothing\n")
		}
		golden(t, string(e)+".golden", b.String())
	}
}

// The whole text for our own schema can be made, and what it says for PostgreSQL is what is there.
func TestOurOwnSchemaHasATextForEachEngine(t *testing.T) {
	all := read(t, layertest.World(t, commons.App).Admin(t))
	for _, e := range dialect.Engines() {
		text, err := e.Text(all)
		if err != nil {
			t.Errorf("%s: %v", e, err)
		}
		if strings.Count(text, "enable row level security") < 5 || !strings.Contains(text, "commons.post ") {
			t.Errorf("%s: tables are missing:\n%s", e, text)
		}
		if lower := strings.ToLower(text); (e == dialect.Citus || e == dialect.CockroachDB) && strings.Contains(lower, "(select redoubt.") {
			t.Errorf("%s: a sub-select is left:\n%s", e, text)
		}
	}
}

func FuzzBare(f *testing.F) {
	f.Add(`((author_id = ( SELECT redoubt.profile() AS profile)) OR ( SELECT redoubt.has('posts:moderate'::text) AS has))`)
	f.Add(`(body <> 'it''s ( SELECT redoubt.org() AS org)'::text)`)
	f.Add(`("select" = 1)`)
	f.Add(`(id IN ( SELECT x.id FROM x))`)
	f.Fuzz(func(t *testing.T, expression string) {
		plain, err := dialect.Bare(expression)
		if err != nil {
			return
		}
		again, err := dialect.Bare(plain)
		if err != nil || again != plain {
			t.Errorf("%q became %q, and that %q (%v)", expression, plain, again, err)
		}
		if len(plain) > len(expression) {
			t.Errorf("%q grew to %q", expression, plain)
		}
	})
}
