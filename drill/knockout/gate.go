package knockout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// gateUnits are the three gates.
func gateUnits() []Unit {
	return []Unit{
		{
			Name: "gate/route", Layer: layer.GateRoute, What: "who may ask for a route, as it has declared",
			Gone: "every route admits everybody", Bites: routeBites,
			Cuts: []Cut{{Package: "layer/gate/route", Func: "Gate.Check", Body: `return nil`}},
		},
		{
			Name: "gate/spelling", Layer: layer.GateRoute, What: "an address has one spelling",
			Gone: "addresses are read as the mux reads them", Bites: spellingBites,
			Cuts: []Cut{{Package: "layer/gate/route", Func: "Spelled", Body: `return nil`}},
		},
		{
			Name: "gate/method", Layer: layer.GateRoute, What: "a route answers its own method alone",
			Gone: "what a form may do, its address does by itself, where no page has that address", Bites: methodBites,
			Cuts: []Cut{{Package: ".", Func: "Server.document", Body: answersGet}},
		},
		{
			Name: "gate/page", Layer: layer.GatePage, What: "the session store is asked again at the moment of rendering",
			Gone: "pages are rendered for whom the first gate let through", Bites: pageBites,
			Cuts: []Cut{{Package: "layer/gate/page", Func: "Gate.Check", Body: `
	if _, err := read(ctx, who); err != nil { // what a page's frame shows
		return false, err
	}
	return administratorsOnly || who.Administrator(), nil`}},
		},
		{
			Name: "gate/action", Layer: layer.GateAction, What: "the claims are asked for the scope of a change, and held against the database's caller",
			Gone: "the database alone is asked", Bites: actionBites,
			Cuts: []Cut{
				{Package: "layer/gate/action", Func: "claimed", Body: `return nil`},
				{Package: "layer/gate/action", Func: "run", Body: runs},
			},
		},
		{
			Name: "gate/own", Layer: layer.GateAction, What: "what belongs to another member is theirs alone to change",
			Gone: "whoever may change such things may change everybody's", Bites: ownBites,
			Cuts: []Cut{{Package: "layer/gate/action", Func: "Tx.Own", Body: `return nil`}},
		},
	}
}

// answersGet lets every form's route answer GET, too, once all others are there. The mux panics about an address that has another meaning
// already: it keeps that.
const answersGet = `
	for _, own := range s.routes {
		if own.outside || own.machines || own.kind == api || own.Method() == http.MethodGet {
			continue
		}
		func() {
			defer func() { recover() }()
			s.mux.HandleFunc("GET "+own.Path(), func(w http.ResponseWriter, r *http.Request) {
				c := &call{s: s, w: w, r: r, route: own}
				if err := c.through(); err != nil {
					c.refuse(err)
				}
			})
		}()
	}`

// runs is what action.run does without comparing whom the database sees with the Principal.
const runs = `
	var none T
	defer opened.Rollback()
	if result, err = act(&Tx{opened, profile}); err != nil {
		return none, err
	}
	if err := opened.Commit(); err != nil {
		return none, err
	}
	return result, nil`

// routeBites asks as a stranger for what members may do. Identity finds later that there is nobody.
func routeBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.GateRoute, question{method: http.MethodPost, path: "/organization", form: map[string]string{"organization_id": victim}})
}

// lockWait is how long a session's end waits for its page to be rendered.
const lockWait = 4 * time.Second

// pageBites ends a session between the first gate and the rendering: a lock on what only the second gate reads keeps the page waiting.
func pageBites(ctx context.Context, at Place) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, _, _, err := at.Ask(ctx, "new dave", http.MethodGet, "/signed-out", nil); err != nil {
		return err
	}
	tx, err := at.Admin().Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, `lock table identity.person in access exclusive mode`); err != nil {
		return err
	}
	answered := make(chan error, 1)
	go func() {
		answered <- passes(ctx, at, layer.GatePage, question{who: "dave", method: http.MethodGet, path: "/step-up?return=%2F"})
	}()
	waiting := false
	for until := time.Now().Add(lockWait); !waiting && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		const waits = `select exists (select from pg_locks where not granted and relation = 'identity.person'::regclass)`
		if err := tx.QueryRow(ctx, waits).Scan(&waiting); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, endSessions); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	if err := <-answered; err != nil || waiting {
		return err
	}
	return fmt.Errorf("%w: nothing was read for the page", errUnanswered)
}

// spellingBites writes a letter of an address as an escape, which the edge lets pass.
func spellingBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.GateRoute, question{method: http.MethodGet, path: "/%73igned-out"})
}

// methodBites signs somebody out by an address.
func methodBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.GateRoute, question{who: "new bob", method: http.MethodGet, path: "/sign-out"})
}

const somebodysPost = `
select p.id::text from commons.post p join identity.membership m on m.organization_id = p.organization_id and m.id = p.author_id join identity.person o on o.id = m.person_id
 where p.organization_id = '` + victim + `' and o.subject <> 'dev-bob' limit 1`

// deletesAnothers has bob delete a post of somebody else's in his organization. It says which layer refuses.
func deletesAnothers(ctx context.Context, at Place) (layer.Layer, error) {
	var id string
	if err := at.Admin().QueryRow(ctx, somebodysPost).Scan(&id); err != nil {
		return "", fmt.Errorf("looking for a post: %w", err)
	}
	return refuser(ctx, at, question{who: "bob's key", method: http.MethodDelete, path: "/api/v1/posts/" + id})
}

// ownBites is refused by a policy of the table instead.
func ownBites(ctx context.Context, at Place) error {
	by, err := deletesAnothers(ctx, at)
	if err == nil && by == layer.GateAction {
		err = errors.New("the gate of actions refuses")
	}
	return err
}

// actionBites can show no more than that the gate was missed: the database gives the same answers, in the same words.
func actionBites(ctx context.Context, at Place) error {
	if _, err := deletesAnothers(ctx, at); err != nil {
		return err
	}
	return missed("gate/action")(ctx, at)
}
