package commons_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// ways lead from where an order has been placed to each of its states.
var ways = map[shop.State][]string{
	shop.Placed: nil, shop.Paid: {"pay"}, shop.Fulfilled: {"pay", "fulfill"}, shop.Cancelled: {"cancel"}, shop.Refunded: {"pay", "refund"},
}

// orderIn is a new order of the buyer's that has come to a state.
func (o town) orderIn(buyer *layertest.Caller, state shop.State) (id string) {
	id = buyer.Post("/api/v1/orders", shop.PlaceOrder{ProductID: shop.ProductID(o.ids["products"]), Quantity: 2}).Created().ID
	for _, step := range ways[state] {
		o.boss.Post("/api/v1/orders/"+id+"/"+step, nil).NoContent()
	}
	return id
}

// typed is what comes back from SQL that somebody types as the application, with their own credential; it is all undone.
func typed(t *testing.T, conn *pgx.Conn, who *layertest.Caller, sql string) string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `select redoubt.enter($1)`, who.Session()); err != nil {
		t.Fatal(err)
	}
	return answered(t, tx.Conn().PgConn().Exec(t.Context(), sql))
}

func TestAnOrderGoesItsWaysAlone(t *testing.T) { // SYSTEM D4, A3
	w, acme, _ := newTowns(t)
	app, bob := w.AsApp(t), w.Member("Acme")
	type way struct{ from, to shop.State }
	forBuyer := []way{{shop.Placed, shop.Cancelled}}
	forSeller := []way{{shop.Placed, shop.Paid}, {shop.Placed, shop.Cancelled}, {shop.Paid, shop.Fulfilled}, {shop.Paid, shop.Refunded}}
	for from := range ways {
		id := acme.orderIn(acme.member, from)
		for _, to := range []shop.State{shop.Placed, shop.Paid, shop.Fulfilled, shop.Cancelled, shop.Refunded, "lost", ""} {
			sql := fmt.Sprintf(`update commons.order_ set state = '%s' where id = '%s'`, to, id)
			want := map[string]string{"the seller": "RD409", "the buyer": "RD409", "another member": "UPDATE 0"}
			if slices.Contains(forSeller, way{from, to}) {
				want["the seller"], want["the buyer"] = "UPDATE 1", "RD403"
			}
			if slices.Contains(forBuyer, way{from, to}) {
				want["the buyer"] = "UPDATE 1"
			}
			if from == to { // which changes nothing
				want["the seller"], want["the buyer"] = "UPDATE 1", "UPDATE 1"
			}
			for name, who := range map[string]*layertest.Caller{"the seller": acme.boss, "the buyer": acme.member, "another member": bob} {
				if got := typed(t, app, who, sql); got != want[name] {
					t.Errorf("from %s to %q by %s: got %s, want %s", from, to, name, got, want[name])
				}
			}
		}
	}
}

// What the application may write of an order is its state, and nothing else.
func TestOnlyTheStateOfAnOrderIsGranted(t *testing.T) { // SYSTEM D4, D3
	w, acme, _ := newTowns(t)
	app := w.AsApp(t)
	for _, column := range []string{"id", "organization_id", "buyer_id", "buyer_name", "product_id", "product_name", "quantity", "unit_cents", "total_cents", "notes", "created_at",
		"paid_at", "fulfilled_at", "cancelled_at", "refunded_at"} {
		want := "42501"
		if column == "buyer_name" {
			want = "428C9" // which not even its owner can write
		}
		if got := typed(t, app, acme.boss, `update commons.order_ set `+column+` = null`); got != want {
			t.Errorf("%s: got %s, want %s", column, got, want)
		}
	}
	for _, column := range []string{"state", "buyer_id", "paid_at"} {
		if got := typed(t, app, acme.boss, `insert into commons.order_ (product_id, quantity, `+column+`) values (gen_random_uuid(), 1, null)`); got != "42501" {
			t.Errorf("inserting %s: got %s", column, got)
		}
	}
	if got := typed(t, app, acme.boss, `delete from commons.order_`); got != "42501" {
		t.Errorf("deleting: got %s", got)
	}
	if got := typed(t, app, acme.boss, `update commons.order_ set state = 'paid'`); got != "UPDATE 1" { // that much is
		t.Errorf("got %s", got)
	}
}

// The checks hold by themselves, without the trigger and without the policies: each state has its own times and no others.
func TestAStateHasItsTimes(t *testing.T) { // SYSTEM D4
	w, acme, _ := newTowns(t)
	admin := w.Admin(t)
	right := map[string]string{"placed": "", "paid": "paid_at", "fulfilled": "paid_at fulfilled_at", "cancelled": "cancelled_at", "refunded": "paid_at refunded_at"}
	columns := []string{"paid_at", "fulfilled_at", "cancelled_at", "refunded_at"}
	for state, times := range right {
		for subset := range 1 << len(columns) {
			var set, has []string
			for i, c := range columns {
				value := "null"
				if subset&(1<<i) != 0 {
					value, has = "now()", append(has, c)
				}
				set = append(set, c+" = "+value)
			}
			want := "23514"
			if strings.Join(has, " ") == times {
				want = "UPDATE 1"
			}
			got := untriggered(t, admin, `update commons.order_ set state = '`+state+`', `+strings.Join(set, ", ")+` where id = '`+acme.ids["orders"]+`'`)
			if got != want {
				t.Errorf("%s with %v: got %s, want %s", state, has, got, want)
			}
		}
	}
	for name, set := range map[string]string{
		"paid before it was placed":      `state = 'paid', paid_at = created_at - interval '1 second'`,
		"cancelled before it was placed": `state = 'cancelled', cancelled_at = created_at - interval '1 second'`,
		"fulfilled before it was paid":   `state = 'fulfilled', paid_at = now(), fulfilled_at = now() - interval '1 second'`,
		"refunded before it was paid":    `state = 'refunded', paid_at = now(), refunded_at = now() - interval '1 second'`,
		"a total of something else":      `total_cents = total_cents + 1`,
		"less than nothing":              `unit_cents = -1, total_cents = -quantity`,
		"a state that there is not":      `state = 'lost'`,
	} {
		if got := untriggered(t, admin, `update commons.order_ set `+set+` where id = '`+acme.ids["orders"]+`'`); got != "23514" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// untriggered is what comes back from a superuser's SQL where no trigger fires; it is all undone.
func untriggered(t *testing.T, admin *pgx.Conn, sql string) string {
	t.Helper()
	tx, err := admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `set local session_replication_role = replica`); err != nil {
		t.Fatal(err)
	}
	return answered(t, tx.Conn().PgConn().Exec(t.Context(), sql))
}

// The same, as people and programs meet it from the outside.
func TestWhoMovesAnOrder(t *testing.T) { // SYSTEM A3, A5, N1, D4
	w, acme, globex := newTowns(t)
	bob := w.Member("Acme")
	at := func(id, step string) string { return "/api/v1/orders/" + id + "/" + step }
	placed := acme.orderIn(acme.member, shop.Placed)
	bob.Post(at(placed, "cancel"), nil).NotFound(layer.RLS) // another member's
	globex.boss.Post(at(placed, "cancel"), nil).NotFound(layer.RLS)
	globex.boss.Post(at(placed, "pay"), nil).NotFound(layer.RLS)
	for _, step := range []string{"pay", "fulfill", "refund"} {
		acme.member.Post(at(placed, step), nil).Refused(403, layer.GateRoute)
		acme.member.Browser().Post("/orders/"+placed+"/"+step, url.Values{}).NotFound(layer.GateRoute)
		acme.boss.WithKey("orders:read", "orders:write", "orders:read-all").Post(at(placed, step), nil).Refused(403, layer.GateRoute)
	}
	acme.boss.WithKey("orders:manage").Post(at(placed, "pay"), nil).NotFound(layer.RLS) // the key sees nobody's orders but its maker's
	acme.boss.Post(at(placed, "fulfill"), nil).Refused(409, layer.RLS)
	acme.boss.Post(at(placed, "refund"), nil).Refused(409, layer.RLS)
	for _, body := range []string{`{"state": "paid"}`, `{"paid_at": "2001-01-01T00:00:00Z"}`, `{"id": "` + nobodys + `"}`} { // mass assignment
		if got := acme.boss.Post(at(placed, "pay"), []byte(body)); got.Code < 400 {
			t.Errorf("%s is taken: %d", body, got.Code)
		}
	}
	acme.boss.Post(at(placed, "pay"), nil).NoContent()
	acme.member.Post(at(placed, "cancel"), nil).Refused(409, layer.RLS)
	acme.boss.Post(at(placed, "pay"), nil).Refused(409, layer.RLS) // nobody pays twice
	acme.boss.Post(at(placed, "fulfill"), nil).NoContent()
	acme.boss.Post(at(placed, "refund"), nil).Refused(409, layer.RLS)

	own := acme.orderIn(acme.member, shop.Placed)
	acme.member.Browser().Post("/orders/"+own+"/cancel", url.Values{}).Status(303)
	acme.boss.Post(at(own, "pay"), nil).Refused(409, layer.RLS)
	acme.boss.Post(at(acme.orderIn(bob, shop.Placed), "cancel"), nil).NoContent() // whoever sells may call off any

	var read shop.Order
	acme.member.Get("/api/v1/orders/" + placed).OK().JSON(&read)
	if read.State != shop.Fulfilled || read.PaidAt == nil || read.FulfilledAt == nil || read.CancelledAt != nil || read.RefundedAt != nil || read.TotalCents != 3600 || !read.Mine {
		t.Errorf("got %+v", read)
	}
	var events string
	w.Admin(t).QueryRow(t.Context(), `select string_agg(category || ' ' || action, ', ' order by id) from audit.log where entity = 'order' and entity_id = $1`, placed).Scan(&events)
	if want := "payment order.placed, payment order.paid, state order.fulfilled"; events != want {
		t.Errorf("the audit trail says %q, want %q", events, want)
	}
}

// The page offers what its reader may do, and nothing else.
func TestTheReceiptOffersWhatMayBeDone(t *testing.T) { // SYSTEM R
	_, acme, _ := newTowns(t)
	for state, want := range map[shop.State]struct{ buyer, seller string }{
		shop.Placed: {"cancel", "cancel pay"}, shop.Paid: {"", "fulfill refund"}, shop.Fulfilled: {}, shop.Cancelled: {}, shop.Refunded: {},
	} {
		id := acme.orderIn(acme.member, state)
		for who, wanted := range map[*layertest.Caller]string{acme.member: want.buyer, acme.boss: want.seller} {
			page := string(who.Browser().Get("/orders/" + id).OK().Body)
			var offers []string
			for _, step := range []string{"cancel", "fulfill", "pay", "refund"} {
				if strings.Contains(page, `action="/orders/`+id+`/`+step+`"`) {
					offers = append(offers, step)
				}
			}
			if got := strings.Join(offers, " "); got != wanted {
				t.Errorf("%s: the page offers %q, want %q", state, got, wanted)
			}
			if !strings.Contains(page, `>`+string(state)+`</span>`) {
				t.Errorf("the page does not say that the order is %s", state)
			}
		}
	}
}

// Of two who move an order at the same time, one comes first, and the other is told.
func TestPayingAndCancellingAtOnce(t *testing.T) { // SYSTEM D4
	_, acme, _ := newTowns(t)
	for range 5 {
		id := acme.orderIn(acme.member, shop.Placed)
		requests := []func() int{
			func() int { return acme.boss.Post("/api/v1/orders/"+id+"/pay", nil).Code },
			func() int { return acme.member.Post("/api/v1/orders/"+id+"/cancel", nil).Code },
		}
		codes := make([]int, len(requests))
		var wg sync.WaitGroup
		for i, ask := range requests {
			wg.Go(func() { codes[i] = ask() })
		}
		wg.Wait()
		slices.Sort(codes)
		if !slices.Equal(codes, []int{204, 409}) {
			t.Errorf("got %v, want one that is done and one in conflict", codes)
		}
	}
}
