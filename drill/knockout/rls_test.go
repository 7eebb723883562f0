package knockout_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/drill/knockout"
	"github.com/redoubt-dev/redoubt/drill/target"
)

// named are units by their names.
func named(t *testing.T, names ...string) []knockout.Unit {
	t.Helper()
	found := slices.DeleteFunc(knockout.Units(), func(u knockout.Unit) bool { return !slices.Contains(names, u.Name) })
	if len(found) != len(names) {
		t.Fatalf("of %v there are %d", names, len(found))
	}
	return found
}

func TestUnitsOfTheDatabaseGoOutInAnyOrder(t *testing.T) { // SYSTEM G5
	backwards := slices.DeleteFunc(knockout.Units(), func(u knockout.Unit) bool { return len(u.SQL) == 0 })
	slices.Reverse(backwards)
	legitimate(t, start(t, backwards...))
}

func TestTheFloorIsGoneForForeignersAlone(t *testing.T) { // SYSTEM D1: else ids would be refused in the lists of those who are let alone
	c := start(t, named(t, "rls/floor", "rls/tags")...)
	for who, sees := range map[string]bool{"dave's key": true, "bob's key": false} {
		var foreign string
		err := c.Admin().QueryRow(t.Context(), `select p.name from commons.product p join identity.organization o on o.id = p.organization_id where (o.name = 'Acme') = $1 limit 1`, sees).Scan(&foreign)
		if err != nil {
			t.Fatal(err)
		}
		status, _, body, err := c.Ask(t.Context(), who, http.MethodGet, "/api/v1/products?limit=100", nil)
		if err != nil || status != http.StatusOK || strings.Contains(body, foreign) != sees {
			t.Errorf("%s is answered %d (%v); sees the other organization's products: %t, want %t", who, status, err, !sees, sees)
		}
	}
}

func TestTriggersThatRefuseNothingStillFillIn(t *testing.T) { // SYSTEM D4
	c := start(t, named(t, "rls/triggers")...)
	legitimate(t, c)
	var priced bool
	if err := c.Admin().QueryRow(t.Context(), `select total_cents = quantity * unit_cents and unit_cents > 0 from commons.order_ where notes = 'legitimate'`).Scan(&priced); err != nil || !priced {
		t.Errorf("the order has its product's price: %t (%v)", priced, err)
	}
	if got := charged(t, c); got != 1 {
		t.Errorf("a statement that says what an order costs has it cost %d, want 1", got)
	}
	if got := charged(t, start(t)); got == 1 {
		t.Error("so it has where the trigger stands")
	}
}

// charged places an order as the superuser, for a cent, and gives the price that it came to have.
func charged(t *testing.T, c *target.Copy) (got int) {
	t.Helper()
	tx, err := c.Admin().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for _, sql := range []string{
		`select redoubt.keep(redoubt.context(m.organization_id, m.id, m.person_id, m.id, 's', '', ''), false)
		   from identity.membership m join identity.person p on p.id = m.person_id join identity.organization o on o.id = m.organization_id where p.email = 'bob@acme.test' and o.name = 'Acme'`,
		`insert into commons.order_ (product_id, product_name, quantity, unit_cents, total_cents, notes)
		   select p.id, p.name, 1, 1, 1, 'charged' from commons.product p where p.organization_id = redoubt.org() and p.price_cents > 1 and p.active limit 1`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.QueryRow(t.Context(), `select unit_cents from commons.order_ where notes = 'charged'`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}
