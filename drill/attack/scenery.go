package attack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// What an attack is after is put there by its owners, in their own names and with no more rights than they have. That they cannot is an
// error, and no stop.

// made has somebody's program make something, and gives its id.
func (s *Scene) made(ctx context.Context, who, path string, body any) (id string, err error) {
	a, err := s.Program(who).Ask(ctx, http.MethodPost, path, body)
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusCreated {
		return "", fmt.Errorf("setting the scene: %s cannot make anything at %s: %d %s", who, path, a.Status, short(a.Body))
	}
	var thing struct{ ID string }
	return thing.ID, a.JSON(&thing)
}

// done has somebody's program do something that has no answer worth reading.
func (s *Scene) done(ctx context.Context, who, method, path string, body any) error {
	a, err := s.Program(who).Ask(ctx, method, path, body)
	if err == nil && a.Status >= 300 {
		err = fmt.Errorf("setting the scene: %s cannot %s %s: %d %s", who, method, path, a.Status, short(a.Body))
	}
	return err
}

// product is offered by an administrator, for 50 euros.
func (s *Scene) product(ctx context.Context, seller string) (id string, err error) {
	return s.made(ctx, seller, "/api/v1/products", map[string]any{"name": "A rope of " + s.Canary(), "price_cents": 5000})
}

// order is placed for a new product of Acme's, with notes that only its buyer and administrators see.
func (s *Scene) order(ctx context.Context, buyer, notes string) (id string, err error) {
	product, err := s.product(ctx, "alice")
	if err != nil {
		return "", err
	}
	return s.made(ctx, buyer, "/api/v1/orders", map[string]any{"product_id": product, "quantity": 1, "notes": notes})
}

// post is written for the members of its author's organization.
func (s *Scene) post(ctx context.Context, author, body string) (id string, err error) {
	return s.made(ctx, author, "/api/v1/posts", map[string]any{"body": body})
}

const memberOf = `
select m.id::text, m.organization_id::text
  from identity.membership m join identity.person p on p.id = m.person_id join identity.organization o on o.id = m.organization_id
 where p.email like $1 || '@%' and o.name = $2`

// member says how somebody is called in an organization, and how that is called: ids are no secrets. "erin/Acme" is erin at Acme.
func (s *Scene) member(ctx context.Context, who string) (profile, organization string, err error) {
	name, at, _ := strings.Cut(who, "/")
	for _, p := range s.People {
		if at == "" && strings.HasPrefix(p.Email, name+"@") {
			at = p.Organization
		}
	}
	if err := s.Admin().QueryRow(ctx, memberOf, name, at).Scan(&profile, &organization); err != nil {
		return "", "", fmt.Errorf("looking up %s: %w", who, err)
	}
	return profile, organization, nil
}

// key is a key of somebody's own making, with these scopes.
func (s *Scene) key(ctx context.Context, who string, scopes ...string) (secret string, err error) {
	c, err := s.SignIn(ctx, who)
	if err != nil {
		return "", err
	}
	a, err := c.Ask(ctx, http.MethodPost, "/keys", url.Values{"name": {"for a drill"}, "scopes": scopes, "expires_in_days": {"1"}})
	if err != nil {
		return "", err
	}
	if secret = aKey.FindString(a.Body); secret == "" {
		return "", fmt.Errorf("setting the scene: %s cannot make a key: %d %s", who, a.Status, short(a.Body))
	}
	return secret, nil
}

// aKey is how an API key looks on the one page that ever shows it.
var aKey = regexp.MustCompile(`rdk_[0-9A-Za-z]{38}`)

// bearing is a program with a key that the copy did not begin with.
func (s *Scene) bearing(whose, key string) *target.Client {
	c := s.Program("")
	c.Note = func(did, answer string) { s.Note(whose, did, answer) }
	c.Bearer = key
	return c
}

// stateOf is how far an order has come.
func (s *Scene) stateOf(ctx context.Context, order string) (state string, err error) {
	if err := s.Admin().QueryRow(ctx, `select state from commons.order_ where id = $1`, order).Scan(&state); err != nil {
		return "", fmt.Errorf("looking at an order: %w", err)
	}
	return state, nil
}
