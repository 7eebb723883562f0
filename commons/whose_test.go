package commons_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// policiesOff takes row level security from every table of the application, for good: the world is damaged.
const policiesOff = `
alter event trigger redoubt_command disable;
do $$ declare t regclass; begin
  for t in select c.oid from pg_class c where c.relkind in ('r', 'p') and guard.tenant_schema(c.relnamespace) loop
    execute format('alter table %s disable row level security', t);
  end loop;
end $$;
alter event trigger redoubt_command enable`

// A theft is what a member of Globex asks for of Acme's, by an id or in a list. harm is what the database or the answer then says.
type theft struct {
	name, method, path string // {orders} is Acme's order
	body               kv
	harm               string // a query about {orders}; empty for Acme's words in the answer

}

var thefts = []theft{
	{name: "reading their order", method: "GET", path: "/api/v1/orders/{orders}"},
	{name: "reading all orders", method: "GET", path: "/api/v1/orders"},
	{name: "reading all orders on a page", method: "GET", path: "/orders"},
	{name: "reading their post", method: "GET", path: "/api/v1/posts/{posts}"},
	{name: "reading all posts", method: "GET", path: "/api/v1/posts"},
	{name: "reading what was said of their post", method: "GET", path: "/api/v1/posts/{posts}/comments"},
	{name: "reading their lesson", method: "GET", path: "/api/v1/lessons/{lessons}"},
	{name: "reading their course", method: "GET", path: "/api/v1/courses/{courses}"},
	{name: "reading their product", method: "GET", path: "/api/v1/products/{products}"},
	{name: "reading all bookmarks", method: "GET", path: "/api/v1/bookmarks"},
	{name: "cancelling their order", method: "POST", path: "/api/v1/orders/{orders}/cancel", harm: `select state = 'cancelled' from commons.order_ where id = '{orders}'`},
	{name: "deleting their post", method: "DELETE", path: "/api/v1/posts/{posts}", harm: `select not exists (select from commons.post where id = '{posts}')`},
	{name: "deleting their comment", method: "DELETE", path: "/api/v1/comments/{comments}", harm: `select not exists (select from commons.comment where id = '{comments}')`},
	{name: "liking their post", method: "PUT", path: "/api/v1/posts/{posts}/like", harm: `select count(*) > 1 from commons.post_like where post_id = '{posts}'`},
	{name: "commenting on their post", method: "POST", path: "/api/v1/posts/{posts}/comments", body: kv{"body": "From Globex."}, harm: `select count(*) > 1 from commons.comment where post_id = '{posts}'`},
	{name: "marking their post", method: "POST", path: "/api/v1/bookmarks", body: kv{"post_id": "{posts}"}, harm: `select count(*) > 0 from commons.bookmark where post_id = '{posts}'`},
	{name: "ordering their product", method: "POST", path: "/api/v1/orders", body: kv{"product_id": "{products}", "quantity": 1}, harm: `select count(*) > 1 from commons.order_ where product_id = '{products}'`},
}

// try lets who do it, and reports whether it did harm, and who stopped it if not.
func (x theft) try(t *testing.T, admin *pgx.Conn, ids map[string]string, who *layertest.Caller) (harm bool, by layer.Layer) {
	t.Helper()
	var pairs []string
	for noun, id := range ids {
		pairs = append(pairs, "{"+noun+"}", id)
	}
	fill := strings.NewReplacer(pairs...)
	body := kv{}
	for name, value := range x.body {
		if text, ok := value.(string); ok {
			value = fill.Replace(text)
		}
		body[name] = value
	}
	if !strings.HasPrefix(x.path, "/api/") {
		who = who.Browser()
	}
	request := who.Request(x.method, fill.Replace(x.path), nil)
	if x.body != nil {
		request = who.Request(x.method, fill.Replace(x.path), body)
	}
	answer := who.Do(request)
	if x.harm == "" {
		harm = strings.Contains(string(answer.Body), "Acme")
	} else if err := admin.QueryRow(t.Context(), fill.Replace(x.harm)).Scan(&harm); err != nil {
		t.Fatal(err)
	}
	by, _ = answer.RefusedBy()
	return harm, by
}

// untag makes of the ids in orders such as say nothing, as rows have that are older than such ids. That of its buyer or product would be
// enough to tell.
const untag = `
alter event trigger redoubt_command disable;
set session_replication_role = replica;
update commons.order_ set id = overlay(id::text placing '4' from 15)::uuid,
  product_id = overlay(product_id::text placing '4' from 15)::uuid, buyer_id = null;
set session_replication_role = origin;
alter event trigger redoubt_command enable`

func TestAnIDSaysWhoseItIs(t *testing.T) { // SYSTEM A5, D1
	w := layertest.Disposable(t, commons.App)
	admin, acme, globex := w.Admin(t), settle(t, w, "Acme"), settle(t, w, "Globex")
	for _, x := range thefts { // by the policies
		if harm, _ := x.try(t, admin, acme.ids, globex.boss); harm {
			t.Errorf("%s: it happens", x.name)
		}
	}
	if _, err := admin.Exec(t.Context(), policiesOff); err != nil {
		t.Fatal(err)
	}
	for _, x := range thefts { // by the ids alone
		if harm, by := x.try(t, admin, acme.ids, globex.boss); harm || by != layer.RLS {
			t.Errorf("%s, without policies: it happens %t, refused by %q", x.name, harm, by)
		}
	}
	acme.member.Get("/api/v1/orders/" + acme.ids["orders"]).OK()
	// That they are attacks: the same, where the ids say nothing.
	if _, err := admin.Exec(t.Context(), untag); err != nil {
		t.Fatal(err)
	}
	acme.ids["orders"] = acme.ids["orders"][:14] + "4" + acme.ids["orders"][15:]
	for _, x := range thefts {
		if harm, by := x.try(t, admin, acme.ids, globex.boss); strings.Contains(x.name, "their order") && (!harm || by != "") {
			t.Errorf("%s, without policies and ids that say anything: it does not happen, refused by %q", x.name, by)
		}
	}
}

func TestEveryTablesIDsSayWhoseTheyAre(t *testing.T) { // SYSTEM A5
	w := layertest.World(t, commons.App)
	rows, err := w.Admin(t).Query(t.Context(), `
select a.attrelid::regclass || '.' || a.attname
  from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relkind in ('r', 'p') and a.atttypid = 'uuid'::regtype and not a.attisdropped and a.attname = 'id'
   and guard.tenant_schema(c.relnamespace) and not exists (select from guard.global_table g where g.name = c.oid::regclass::text)
   and pg_get_expr(d.adbin, d.adrelid) is distinct from 'redoubt.new_id()' order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "commons.profile.id" { // the membership's, which identity makes
		t.Errorf("ids that say nothing: %v; let their default be redoubt.new_id()", got)
	}
}
