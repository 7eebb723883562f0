package commons_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A table is a tenant table, as the catalog describes it.
type table struct {
	Name    string
	Columns []string // those that can be written, organization_id first
	Key     []string // the primary key's
}

// tables reads from the catalog what the guard protects: a table that is made tomorrow is attacked tomorrow.
func tables(t *testing.T, conn *pgx.Conn) []table {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
select c.oid::regclass::text as name,
       (select array_agg(quote_ident(a.attname) order by a.attname <> 'organization_id', a.attnum) from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
       (select array_agg(quote_ident(a.attname)) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary) as key
  from pg_class c
 where c.relkind in ('r', 'p') and guard.tenant_schema(c.relnamespace) and not exists (select from guard.global_table g where g.name = c.oid::regclass::text)
 order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[table])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// fingerprint is of everything that org has.
func fingerprint(t *testing.T, conn *pgx.Conn, all []table, org layer.OrgID) string {
	t.Helper()
	h := md5.New()
	for _, tab := range all {
		var text string
		if err := conn.QueryRow(t.Context(), `select coalesce(string_agg(x::text, e'\n' order by x::text), '') from `+tab.Name+` x where organization_id = $1`, org).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			t.Fatalf("%s has nothing in %s: let settle make a row", org, tab.Name)
		}
		fmt.Fprintln(h, tab.Name, text)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// attacks are what a member of {me} types by hand against a table of which {them} has rows. Want is what comes back; bare is what
// comes back when the table's policies are gone, so that the attack is seen to be one.
func (tab table) attacks() []struct{ name, sql, want, bare string } {
	cols := strings.Join(tab.Columns, ", ")
	row := `select ` + cols + ` from jsonb_populate_record(null::` + tab.Name + `, {row}) x`
	c := tab.Columns[1]
	return []struct{ name, sql, want, bare string }{
		{"reading theirs", `select count(*) from ` + tab.Name + ` where organization_id = {them}`, "0", "1"},
		{"counting", `select count(distinct organization_id) from ` + tab.Name, "1", "2"},
		{"inserting theirs", `insert into ` + tab.Name + ` (` + cols + `) ` + row, "42501", "23505"},
		{"updating theirs", `update ` + tab.Name + ` set ` + c + ` = ` + c + ` where organization_id = {them}`, "UPDATE 0", "UPDATE 1"},
		{"updating all", `update ` + tab.Name + ` set ` + c + ` = ` + c, "UPDATE 1", "UPDATE 2"},
		{"deleting theirs", `delete from ` + tab.Name + ` where organization_id = {them}`, "DELETE 0", "DELETE 1"},
		{"upserting theirs", `insert into ` + tab.Name + ` (` + cols + `) ` + row + ` on conflict (` + strings.Join(tab.Key, ", ") + `) do update set ` + c + ` = excluded.` + c, "42501", "INSERT 0 1"},
		{"asking whether theirs is there", `insert into ` + tab.Name + ` (` + cols + `) ` + row + ` on conflict do nothing`, "42501", "INSERT 0 0"},
		{"merging into theirs", `merge into ` + tab.Name + ` t using (values ({them}::uuid)) v (o) on t.organization_id = v.o when matched then update set ` + c + ` = t.` + c, "MERGE 0", "MERGE 1"},
		{"merging theirs away", `merge into ` + tab.Name + ` t using (values ({them}::uuid)) v (o) on t.organization_id = v.o when matched then delete`, "MERGE 0", "MERGE 1"},
		{"moving ours to them", `update ` + tab.Name + ` set organization_id = {them}`, "42501", ""},
	}
}

// administered tables are changed by administrators alone, who so have the better chance to change another organization's rows.
var administered = []string{"commons.course", "commons.lesson"}

func TestEveryTenantTableKeepsToItself(t *testing.T) { // SYSTEM D1, D2, D4
	w, _, globex := newTowns(t)
	admin := w.Admin(t)
	all := tables(t, admin)
	if len(all) < 6 {
		t.Fatalf("only %d tenant tables", len(all))
	}
	us, them := w.Organization("Globex"), w.Organization("Acme")
	before := fingerprint(t, admin, all, them)
	fingerprint(t, admin, all, us) // has something in each, too
	// Another tenant, and nobody else: the shared database holds the organizations of other tests.
	others := fmt.Sprintf(`organization_id not in ('%s', '%s')`, us, them)
	for _, tab := range all {
		for _, a := range tab.attacks() {
			t.Run(tab.Name+" "+a.name, func(t *testing.T) {
				for _, bare := range []bool{false, true} {
					want := a.want
					if bare {
						want = a.bare
					}
					if want == "" {
						continue
					}
					tx, err := admin.Begin(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					open(t, tx, tab, bare, others)
					attacker := globex.member
					if slices.Contains(administered, tab.Name) {
						attacker = globex.boss
					}
					got := attempt(t, tx, tab, a.sql, us, them, attacker.Session())
					tx.Rollback(t.Context())
					if got != want && !(!bare && a.name == "updating all" && slices.Contains(upTo(rowsOf(t, admin, tab, us)), got)) && !(bare && alike(got, want)) && !(want == "42501" && got == "23503") { // a trigger may be faster than the policy
						t.Errorf("without policies %t: got %s, want %s", bare, got, want)
					}
				}
			})
		}
	}
	if fingerprint(t, admin, all, them) != before {
		t.Error("Acme's rows have changed")
	}
}

// rowsOf is how many rows an organization has.
func rowsOf(t *testing.T, admin *pgx.Conn, tab table, org layer.OrgID) (n int) {
	t.Helper()
	if err := admin.QueryRow(t.Context(), `select count(*) from `+tab.Name+` where organization_id = $1`, org).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// upTo is what changing one to n rows says.
func upTo(n int) (tags []string) {
	for i := range n {
		tags = append(tags, fmt.Sprint("UPDATE ", i+1))
	}
	return tags
}

// alike allows a bare attack to reach more rows than one, or to be stopped by a constraint, which is behind the policies.
func alike(got, want string) bool {
	verb, n, _ := strings.Cut(want, " ")
	return n != "" && n != "0" && strings.HasPrefix(got, verb+" ") && got != verb+" 0" || len(got) == 5 && (got[:2] == "23" || got == "RD409") || want == "1" && got > "0"
}

// open grants what the application was not granted, so that what refuses is row level security and not a missing grant; and for
// a bare attack takes the policies away. It is all undone with tx.
func open(t *testing.T, tx pgx.Tx, tab table, bare bool, others string) {
	t.Helper()
	sql := `grant select, insert, delete, update (` + strings.Join(tab.Columns[1:], ", ") + `) on ` + tab.Name + ` to redoubt_app;`
	if bare {
		sql += `alter event trigger redoubt_command disable; alter event trigger redoubt_drop disable; alter table ` + tab.Name + ` disable row level security;
			set local session_replication_role = replica; delete from ` + tab.Name + ` where ` + others + `; set local session_replication_role = origin;`
	}
	if err := tx.Conn().PgConn().Exec(t.Context(), sql).Close(); err != nil {
		t.Fatal(err)
	}
}

// attempt runs an attack as the application with a credential of ours, and returns the value, the tag or the SQLSTATE.
func attempt(t *testing.T, tx pgx.Tx, tab table, sql string, us, them layer.OrgID, session string) string {
	t.Helper()
	var row string
	if err := tx.QueryRow(t.Context(), `select quote_literal(to_jsonb(x)) from `+tab.Name+` x where organization_id = $1 limit 1`, them).Scan(&row); err != nil {
		t.Fatal(err)
	}
	sql = strings.NewReplacer("{row}", row, "{them}", "'"+string(them)+"'", "{me}", "'"+string(us)+"'").Replace(sql)
	if _, err := tx.Exec(t.Context(), `set local session authorization redoubt_app`); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, session); err != nil {
		t.Fatal(err)
	}
	results, err := tx.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	if last := results[len(results)-1]; len(last.Rows) > 0 {
		return string(last.Rows[0][0])
	}
	return results[len(results)-1].CommandTag.String()
}

// Every foreign key is asked, with row level security as it is, for a row of another organization.
func TestNoRowRefersToAnotherOrganization(t *testing.T) { // SYSTEM D4, A5
	w, _, globex := newTowns(t)
	admin := w.Admin(t)
	us, them := w.Organization("Globex"), w.Organization("Acme")
	rows, err := admin.Query(t.Context(), `
select k.conrelid::regclass::text, k.confrelid::regclass::text, c.attname, f.attname
  from pg_constraint k
  cross join lateral unnest(k.conkey, k.confkey) as x (a, b)
  join pg_attribute c on c.attrelid = k.conrelid and c.attnum = x.a
  join pg_attribute f on f.attrelid = k.confrelid and f.attnum = x.b
  join pg_class r on r.oid = k.conrelid
 where k.contype = 'f' and guard.tenant_schema(r.relnamespace) and c.attname <> 'organization_id' order by 1, 3`)
	if err != nil {
		t.Fatal(err)
	}
	type reference struct{ From, To, Column, Target string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reference])
	if err != nil || len(all) < 8 {
		t.Fatalf("%d foreign keys, %v", len(all), err)
	}
	columns := map[string]table{}
	for _, tab := range tables(t, admin) {
		columns[tab.Name] = tab
	}
	for _, ref := range all {
		t.Run(ref.From+"."+ref.Column, func(t *testing.T) {
			tab := columns[ref.From]
			tx, err := admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(context.Background())
			open(t, tx, tab, false, "")
			var row, foreign string
			if err := tx.QueryRow(t.Context(), `select `+ref.Target+`::text from `+ref.To+` where organization_id = $1 limit 1`, them).Scan(&foreign); err != nil {
				t.Fatal(err)
			}
			// Our own row, under a new id and name, that refers to one of theirs.
			if err := tx.QueryRow(t.Context(), `select quote_literal(to_jsonb(x) || jsonb_build_object('id', gen_random_uuid(), 'name', 'aaaaaaaaaaaaaaaaaaaaaaaaaa.png') || jsonb_build_object($2::text, $3::text))
				from `+tab.Name+` x where organization_id = $1 limit 1`, us, ref.Column, foreign).Scan(&row); err != nil {
				t.Fatal(err)
			}
			got := attempt(t, tx, tab, `insert into `+tab.Name+` (`+strings.Join(tab.Columns, ", ")+`) select `+strings.Join(tab.Columns, ", ")+` from jsonb_populate_record(null::`+tab.Name+`, `+row+`) x`, us, them, globex.member.Session())
			if got != "23503" && got != "42501" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// bodies are what routes with an id in their path take besides, so that nothing but the id can be wrong.
var bodies = map[string]any{
	"PUT /api/v1/posts/{id}":                 map[string]string{"body": "x"},
	"POST /api/v1/posts/{id}/comments":       map[string]string{"body": "x"},
	"PUT /api/v1/courses/{id}":               map[string]string{"title": "x"},
	"PUT /api/v1/courses/{id}/state":         map[string]string{"state": "archived"},
	"POST /api/v1/courses/{id}/lessons":      map[string]string{"title": "x", "body": "x"},
	"PUT /api/v1/courses/{id}/lessons/order": map[string][]string{"lessons": {"00000000-0000-4000-8000-000000000000"}},
	"POST /posts/{id}/edit":                  layertest.Multipart{Fields: url.Values{"body": {"x"}}},
	"POST /courses/{id}/lessons":             layertest.Multipart{Fields: url.Values{"title": {"x"}, "body": {"x"}}},
	"POST /lessons/{id}/edit":                layertest.Multipart{Fields: url.Values{"title": {"x"}, "body": {"x"}}},
	"PUT /api/v1/lessons/{id}":               map[string]string{"title": "x", "body": "x"},
	"POST /courses/{id}/edit":                url.Values{"title": {"x"}},
	"POST /posts/{id}/comments":              url.Values{"body": {"x"}},
	"POST /admin/members/{id}/role":          url.Values{"role": {"guest"}},
	"PUT /api/v1/members/{id}/role":          map[string]string{"role": "guest"},
	"POST /organization/roles/{id}":          url.Values{"name": {"x"}},
	"PUT /api/v1/roles/{id}":                 map[string]string{"name": "x"},
}

// indifferent routes answer the same whether the thing is there or not: there is nothing to take back.
var indifferent = []string{"DELETE /api/v1/posts/{id}/like"}

// ask sends what route takes about the thing with this id, by the sort of caller that the route is for.
func ask(c *layertest.Caller, pattern, id string, body any) *layertest.Response {
	method, path, _ := strings.Cut(pattern, " ")
	if !strings.HasPrefix(path, "/api/") {
		c = c.Browser()
		if body == nil && method == http.MethodPost {
			body = url.Values{}
		}
	}
	return c.Do(c.Request(method, strings.NewReplacer("{id}", id, "{variant}", "small").Replace(path), body))
}

func nounOf(pattern string) string {
	parts := strings.Split(pattern, "/")
	return parts[slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, "{") })-1]
}

func TestEveryRouteRefusesAnIdOfAnotherOrganization(t *testing.T) { // SYSTEM A4, A5, A6
	w, acme, globex := newTowns(t)
	admin := w.Admin(t)
	all := tables(t, admin)
	before := fingerprint(t, admin, all, w.Organization("Acme"))
	const nowhere = "00000000-0000-4000-8000-000000000000"
	asked := 0
	for _, r := range w.Routes() {
		if !strings.Contains(r.Pattern, "{id}") || provisions(r) {
			continue
		}
		asked++
		t.Run(r.Pattern, func(t *testing.T) {
			noun := nounOf(r.Pattern)
			id, ok := acme.ids[noun]
			if !ok {
				t.Fatalf("let settle make one of %q", noun)
			}
			by := layer.RLS
			if noun == "sessions" {
				by = layer.Identity // a session is a person's, and its id says nothing
			}
			for who, c := range map[string]*layertest.Caller{"the administrator": globex.boss, "a member": globex.member} {
				theirs, absent := ask(c, r.Pattern, id, bodies[r.Pattern]), ask(c, r.Pattern, nowhere, bodies[r.Pattern])
				if gone := ask(c, r.Pattern, rls.NewID(w.Organization("Acme")), bodies[r.Pattern]); theirs.Code != gone.Code {
					t.Errorf("%s can tell what is another's (%d) from what the other has not (%d)", who, theirs.Code, gone.Code)
				}
				if slices.Contains(indifferent, r.Pattern) {
					absent.NoContent()
				} else if theirs.Code != absent.Code {
					t.Errorf("%s can tell what is another's (%d) from what is not there (%d)", who, theirs.Code, absent.Code)
				}
				if refusedBy, _ := theirs.RefusedBy(); refusedBy == layer.GateRoute && who == "a member" {
					continue // this route is not for members at all
				} else {
					theirs.NotFound(by)
				}
			}
		})
	}
	if asked < 15 {
		t.Errorf("only %d routes were asked", asked)
	}
	// Ids in bodies.
	order := shop.PlaceOrder{ProductID: shop.ProductID(acme.ids["products"]), Quantity: 1}
	globex.member.Post("/api/v1/orders", order).NotFound(layer.RLS)
	globex.member.Browser().Post("/orders", url.Values{"product_id": {acme.ids["products"]}, "quantity": {"1"}}).NotFound(layer.RLS)
	globex.member.Browser().Post("/organization", url.Values{"organization_id": {string(w.Organization("Acme"))}}).NotFound(layer.Identity)
	// And in cursors, which give no right.
	cursor := "1-" + acme.ids["posts"]
	for _, path := range []string{"/api/v1/posts", "/api/v1/products", "/api/v1/orders"} {
		if body := string(globex.member.Get(path + "?cursor=9999999999999999-" + cursor[2:]).OK().Body); strings.Contains(body, "Acme") {
			t.Errorf("%s shows %s", path, body)
		}
	}
	if fingerprint(t, admin, all, w.Organization("Acme")) != before {
		t.Error("Acme's rows have changed")
	}
}

func TestListsHoldOnesOwnAlone(t *testing.T) { // SYSTEM D1
	w, _, globex := newTowns(t)
	for _, r := range w.Routes() {
		if !strings.HasPrefix(r.Pattern, "GET ") || strings.Contains(r.Pattern, "{id}") {
			continue
		}
		path := strings.TrimSuffix(strings.TrimPrefix(r.Pattern, "GET "), "{$}")
		body := string(ask(globex.boss, "GET "+path, "", nil).Body)
		if strings.Contains(body, "Acme") || strings.Contains(body, string(w.Organization("Acme"))) {
			t.Errorf("%s shows something of Acme's", r.Pattern)
		}
	}
}
