package commons_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// TestARowSaysWhomItIsFor takes the tables' own policies away: what is a colleague's or not ready yet is refused all the same, by what the rows
// say of themselves.
func TestARowSaysWhomItIsFor(t *testing.T) { // SYSTEM A5
	w := layertest.Disposable(t, commons.App)
	alice, bob, erin := w.Administrator("Acme"), w.Member("Acme"), w.Member("Acme")
	product := alice.Post("/api/v1/products", shop.OfferProduct{Name: "Day pass", PriceCents: 900}).Created()
	order := bob.Post("/api/v1/orders", shop.PlaceOrder{ProductID: shop.ProductID(product.ID), Quantity: 1}).Created()
	draft := alice.Post("/api/v1/courses", course.Describe{Title: "Not yet"}).Created()
	paths := []string{"/api/v1/orders", "/api/v1/orders/" + order.ID, "/api/v1/courses", "/api/v1/courses/" + draft.ID}

	for _, path := range []string{paths[1], paths[3]} {
		erin.Get(path).NotFound(layer.RLS) // with both in place
	}
	if _, err := w.Admin(t).Exec(t.Context(), `drop policy own_read on commons.order_; drop policy visible on commons.course`); err != nil {
		t.Fatal(err)
	}
	erin.Get(paths[1]).NotFound(layer.RLS)
	erin.Get(paths[3]).NotFound(layer.RLS)
	for path, id := range map[string]string{paths[0]: order.ID, paths[2]: draft.ID} {
		if list := erin.Get(path).OK(); strings.Contains(string(list.Body), id) {
			t.Errorf("%s lists it", path)
		}
		if list := alice.Get(path).OK(); !strings.Contains(string(list.Body), id) {
			t.Errorf("%s does not list it for whom it is for", path)
		}
	}
	bob.Get(paths[1]).OK()
	for _, path := range paths {
		alice.Get(path).OK()
	}
}
