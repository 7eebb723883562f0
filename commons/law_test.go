package commons_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What the schema says stays true whatever SQL is typed: each statement runs as a member of Acme who has somehow been granted to
// write every column.
func TestTheSchemaIsTheLaw(t *testing.T) { // SYSTEM D4, A3
	w, acme, _ := newTowns(t)
	admin := w.Admin(t)
	bob := w.Member("Acme")
	fill := strings.NewReplacer("{product}", acme.ids["products"], "{post}", acme.ids["posts"], "{comment}", acme.ids["comments"], "{order}", acme.ids["orders"],
		"{me}", string(acme.member.Principal().Profile()), "{bob}", string(bob.Principal().Profile()))
	laws := []struct{ name, sql, want string }{
		{"the price is the product's, whatever the statement says",
			`insert into commons.order_ (product_id, quantity, unit_cents, total_cents, product_name) values ('{product}', 3, 1, 3, 'free') returning concat_ws(' ', unit_cents, total_cents, product_name)`, "1800 5400 Acme pass"},
		{"nothing is ordered", `insert into commons.order_ (product_id, quantity) values ('{product}', 0)`, "23514"},
		{"less than nothing is ordered", `insert into commons.order_ (product_id, quantity) values ('{product}', -1)`, "23514"},
		{"more is ordered than there may be", `insert into commons.order_ (product_id, quantity) values ('{product}', 101)`, "23514"},
		{"as much is ordered as there may be", `insert into commons.order_ (product_id, quantity) values ('{product}', 100)`, "INSERT 0 1"},
		{"what nobody sells is ordered", `insert into commons.order_ (product_id, quantity) values (gen_random_uuid(), 1)`, "23503"},
		{"somebody else pays", `insert into commons.order_ (product_id, quantity, buyer_id) values ('{product}', 1, '{bob}')`, "42501"},
		{"an order begins as paid", `insert into commons.order_ (product_id, quantity, state, paid_at) values ('{product}', 1, 'paid', now())`, "RD409"},
		{"an order begins with the time of its payment", `insert into commons.order_ (product_id, quantity, paid_at) values ('{product}', 1, now())`, "23514"},
		{"an order costs less afterwards", `update commons.order_ set unit_cents = 1, total_cents = 2 where id = '{order}'`, "RD409"},
		{"an order costs less than nothing", `update commons.order_ set unit_cents = -1800, total_cents = -3600 where id = '{order}'`, "RD409"},
		{"an order grows afterwards", `update commons.order_ set quantity = 3, total_cents = 5400 where id = '{order}'`, "RD409"},
		{"an order is for something else afterwards", `update commons.order_ set product_name = 'gold' where id = '{order}'`, "RD409"},
		{"an order's notes are altered", `update commons.order_ set notes = 'x' where id = '{order}'`, "RD409"},
		{"an order goes to another buyer", `update commons.order_ set buyer_id = '{bob}' where id = '{order}'`, "RD409"},
		{"an order loses its buyer", `update commons.order_ set buyer_id = null where id = '{order}'`, "RD409"},
		{"the name of a buyer is typed", `update commons.order_ set buyer_name = '[Deleted User]' where id = '{order}'`, "428C9"},
		{"an order is marked as paid by its buyer", `update commons.order_ set state = 'paid' where id = '{order}'`, "RD403"},
		{"an order is in a state that there is not", `update commons.order_ set state = 'lost' where id = '{order}'`, "RD409"},
		{"an order is in no state", `update commons.order_ set state = null where id = '{order}'`, "RD409"},
		{"an order is cancelled, with a time that is typed", `update commons.order_ set state = 'cancelled', cancelled_at = '2001-01-01', paid_at = '2001-01-01' where id = '{order}'
			returning concat_ws(' ', cancelled_at > now() - interval '1 minute', paid_at is null)`, "t t"},
		{"a product is sold by a member", `insert into commons.product (name, price_cents) values ('x', 1)`, "42501"},
		{"a post in another's name", `insert into commons.post (body, author_id) values ('x', '{bob}')`, "42501"},
		{"a post of one's own goes to another", `update commons.post set author_id = '{bob}' where id = '{post}'`, "42501"},
		{"a post of one's own belongs to nobody", `update commons.post set author_id = null where id = '{post}'`, "42501"},
		{"the name of an author is typed", `update commons.post set author_name = 'Somebody' where id = '{post}'`, "428C9"},
		{"a post comes with a name that is typed", `insert into commons.post (body, author_name) values ('x', 'Somebody')`, "428C9"},
		{"a post by nobody", `insert into commons.post (body, author_id) values ('x', null)`, "42501"},
		{"a post without words", `insert into commons.post (body) values ('')`, "23514"},
		{"a post too long", `insert into commons.post (body) values (repeat('x', 5001))`, "23514"},
		{"a comment in another's name", `insert into commons.comment (post_id, body, author_id) values ('{post}', 'x', '{bob}')`, "42501"},
		{"a comment of one's own belongs to nobody", `update commons.comment set author_id = null where id = '{comment}'`, "42501"},
		{"the name of who comments is typed", `update commons.comment set author_name = 'Somebody' where id = '{comment}'`, "428C9"},
		{"a comment too long", `insert into commons.comment (post_id, body) values ('{post}', repeat('x', 2001))`, "23514"},
		{"a second like", `insert into commons.post_like (post_id) values ('{post}')`, "23505"},
		{"a like in another's name", `insert into commons.post_like (post_id, profile_id) values ('{post}', '{bob}')`, "42501"},
		{"a name that differs by its capitals", `update commons.profile set display_name = upper(display_name) where id = '{me}'`, "UPDATE 1"}, // one's own may
		{"another's name, in capitals", `update commons.profile set display_name = upper((select p.display_name from commons.profile p where p.id = '{bob}')) where id = '{me}'`, "23505"},
		{"a name with a space at its end", `update commons.profile set display_name = display_name || ' ' where id = '{me}'`, "23514"},
		{"another's profile", `update commons.profile set bio = 'x' where id = '{bob}'`, "UPDATE 0"},
		{"a profile for another", `insert into commons.profile (id, display_name) values (gen_random_uuid(), 'x')`, "42501"},
	}
	tabs := tables(t, admin)
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			tx, err := admin.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(context.Background())
			var of table
			for _, tab := range tabs {
				open(t, tx, tab, false, "")
				if strings.Contains(law.sql, tab.Name+" ") {
					of = tab
				}
			}
			if got := attempt(t, tx, of, fill.Replace(law.sql), w.Organization("Acme"), w.Organization("Globex"), acme.member.Session()); got != law.want {
				t.Errorf("got %s, want %s", got, law.want)
			}
		})
	}
}

// The same, as a member meets it from the outside, and who of the layers says so.
func TestWhatAMemberIsRefused(t *testing.T) { // SYSTEM A3, A5, N1, D4
	w, acme, _ := newTowns(t)
	bob, post := w.Member("Acme", layertest.Named("Bob Baker")), acme.ids["posts"]
	order := func(more string) []byte {
		return []byte(`{"product_id": "` + acme.ids["products"] + `", ` + more + `}`)
	}
	bob.Post("/api/v1/orders", order(`"quantity": 0`)).Refused(422, layer.Input)
	bob.Post("/api/v1/orders", order(`"quantity": 101`)).Refused(422, layer.Input)
	bob.Post("/api/v1/orders", order(`"quantity": 1, "total_cents": 1`)).Refused(422, layer.Input) // mass assignment
	bob.Post("/api/v1/orders", order(`"quantity": 1, "organization_id": "`+string(w.Organization("Globex"))+`"`)).Refused(422, layer.Input)
	bob.Post("/api/v1/orders", order(`"quantity": 1`)).Created()
	bob.Get("/api/v1/orders/" + acme.ids["orders"]).NotFound(layer.RLS) // another member's, in one's own organization
	acme.boss.Get("/api/v1/orders/" + acme.ids["orders"]).OK()
	bob.Put("/api/v1/posts/"+post, map[string]string{"body": "mine now"}).Refused(403, layer.GateAction)
	bob.Delete("/api/v1/posts/"+post).Refused(403, layer.GateAction)
	bob.Delete("/api/v1/comments/"+acme.ids["comments"]).Refused(403, layer.GateAction)
	bob.Browser().Post("/posts/"+post+"/delete", url.Values{}).Refused(403, layer.GateAction)
	bob.Post("/api/v1/products", shop.OfferProduct{Name: "x"}).Refused(403, layer.GateRoute)
	bob.Post("/api/v1/api-keys", account.CreateKey{Name: "x", Scopes: []string{"audit:read"}, Days: 1}).Refused(403, layer.GateRoute)
	bob.Post("/api/v1/api-keys", account.CreateKey{Name: "x", Scopes: []string{"posts:read"}, Days: 1}).Refused(403, layer.GateRoute) // a key makes no keys
	acme.boss.Post("/api/v1/members/"+string(acme.boss.Principal().Profile())+"/deactivate", nil).Refused(409, layer.RLS)
	acme.boss.Put("/api/v1/posts/"+post, map[string]string{"body": "in her words"}).Refused(403, layer.GateAction) // not even an administrator

	var taken struct{ Errors []layer.Field }
	acme.member.Put("/api/v1/me", account.WriteProfile{DisplayName: "BOB BAKER"}).Refused(409, layer.RLS).JSON(&taken)
	if len(taken.Errors) != 1 || taken.Errors[0].Name != "display_name" {
		t.Errorf("got %v, want the field that is wrong", taken.Errors)
	}
	for range 2 {
		bob.Put("/api/v1/posts/"+post+"/like", nil).NoContent()
	}
	var read community.Post
	bob.Get("/api/v1/posts/" + post).OK().JSON(&read)
	if read.Likes != 2 || !read.Liked || read.Mine || read.Body != "Acme post" { // the author's own, and Bob's
		t.Errorf("got %+v", read)
	}
	acme.boss.Delete("/api/v1/posts/" + post).NoContent() // who may moderate
}

func TestAStoppedMemberMeetsIt(t *testing.T) { // SYSTEM I7, A2
	w, acme, _ := newTowns(t)
	bob := w.Member("Acme", layertest.AlsoOf("Globex"))
	there := bob.SignIn("Globex")
	bob.Get("/api/v1/posts").OK()
	acme.boss.Browser().Post("/admin/members/"+string(bob.Principal().Profile())+"/deactivate", url.Values{}).Status(http.StatusSeeOther)
	bob.Get("/api/v1/posts").Refused(401, layer.Identity)
	bob.Browser().Get("/orders").Refused(http.StatusSeeOther, layer.GateRoute)
	there.Browser().Get("/onboarding").OK() // elsewhere nobody has stopped them
}

// An administrator by the database's row alone meets three gates, and passes none of them.
func TestARowMakesNoAdministrator(t *testing.T) { // SYSTEM I3, A4
	w, acme, _ := newTowns(t)
	if _, err := w.Admin(t).Exec(t.Context(), `update identity.session set administrator = true where id = $1`, acme.member.Principal().CredentialID()); err != nil {
		t.Fatal(err)
	}
	browser := acme.member.Browser()
	browser.Get("/admin/members").NotFound(layer.GateRoute)
	browser.Get("/api/v1/members").Refused(403, layer.GateRoute)
	if page := browser.Get("/").OK(); strings.Contains(string(page.Body), "/admin/") {
		t.Error("the page offers administration")
	}
	browser.Delete("/api/v1/posts/"+acme.boss.Post("/api/v1/posts", community.WritePost{Body: "hers"}).Created().ID).Refused(403, layer.GateAction)
}
