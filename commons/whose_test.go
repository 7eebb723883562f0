package commons_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/bookmark"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// policiesOff is what a table is without row level security, for every table of the application: the world is damaged for good.
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
	name         string
	method, path string // {orders} is Acme's order
	body         any
	harm         string // a query about {orders}; empty for Acme's words in the answer
}

var thefts = []theft{
	{"reading their order", "GET", "/api/v1/orders/{orders}", nil, ""},
	{"reading all orders", "GET", "/api/v1/orders", nil, ""},
	{"reading all orders, as a page", "GET", "/orders", nil, ""},
	{"reading their post", "GET", "/api/v1/posts/{posts}", nil, ""},
	{"reading all posts", "GET", "/api/v1/posts", nil, ""},
	{"reading what was said of their post", "GET", "/api/v1/posts/{posts}/comments", nil, ""},
	{"reading their lesson", "GET", "/api/v1/lessons/{lessons}", nil, ""},
	{"reading their course", "GET", "/api/v1/courses/{courses}", nil, ""},
	{"reading their product", "GET", "/api/v1/products/{products}", nil, ""},
	{"reading all bookmarks", "GET", "/api/v1/bookmarks", nil, ""},
	{"cancelling their order", "POST", "/api/v1/orders/{orders}/cancel", nil, `select state = 'cancelled' from commons.order_ where id = '{orders}'`},
	{"liking their post", "PUT", "/api/v1/posts/{posts}/like", nil, `select count(*) > 1 from commons.post_like where post_id = '{posts}'`},
	{"commenting on their post", "POST", "/api/v1/posts/{posts}/comments", kv{"body": "Hello from Globex."}, `select count(*) > 1 from commons.comment where post_id = '{posts}'`},
	{"marking their post", "POST", "/api/v1/bookmarks", kv{"post_id": "{posts}"}, `select count(*) > 0 from commons.bookmark where post_id = '{posts}'`},
	{"ordering their product", "POST", "/api/v1/orders", kv{"product_id": "{products}", "quantity": 1}, `select count(*) > 1 from commons.order_ where product_id = '{products}'`},
}

var _ = []any{bookmark.ID(""), community.PostID(""), shop.OrderID("")}

// happens lets dave try, and reports whether it did harm, and who stopped it if it did not.
func (x theft) happens(t *testing.T, w *layertest.W, acme town, dave *layertest.Caller) (harm bool, by layer.Layer) {
	t.Helper()
	var pairs []string
	for noun, id := range acme.ids {
		pairs = append(pairs, "{"+noun+"}", id)
	}
	fill := strings.NewReplacer(pairs...)
	body := x.body
	if fields, ok := body.(kv); ok {
		filled := kv{}
		for k, v := range fields {
			if text, ok := v.(string); ok {
				v = fill.Replace(text)
			}
			filled[k] = v
		}
		body = filled
	}
	answer := dave.Do(dave.Request(x.method, fill.Replace(x.path), body))
	by, _ = answer.RefusedBy()
	harm = strings.Contains(string(answer.Body), "Acme")
	if x.harm != "" {
		if err := w.Admin(t).QueryRow(t.Context(), fill.Replace(x.harm)).Scan(&harm); err != nil {
			t.Fatal(err)
		}
	}
	return harm, by
}

func TestAnIDSaysWhoseItIs(t *testing.T) { // SYSTEM A5, D1
	w := layertest.Disposable(t, commons.App)
	acme, globex := settle(t, w, "Acme"), settle(t, w, "Globex")
	try := func(name string, dave *layertest.Caller) {
		for _, x := range thefts {
			if harm, by := x.happens(t, w, acme, dave); harm {
				t.Errorf("%s, %s: it happens", name, x.name)
			} else {
				t.Log(name, x.name, by)
			}
		}
	}
	try("as it is", globex.boss)
	if _, err := w.Admin(t).Exec(t.Context(), policiesOff); err != nil {
		t.Fatal(err)
	}
	try("without policies", globex.boss)
}
