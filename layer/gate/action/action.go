// Package action is the third gate, the first line of every mutation (SYSTEM A3). It is the only door to a transaction that
// writes: opening one presents the caller's credential to the database and asks the database whether its own view of the
// caller allows the action. Forgetting the gate is not possible, because without it there is nothing to write with.
//
// # What it assumes has failed
//
// The route was declared wrongly or its gate is missing; the Principal was made from claims that are out of date.
//
// # What it stops
//
// A mutation by a caller whose session, key, membership or role, as the database has them at this moment, does not allow it;
// and, with Own, of a thing that belongs to another member; and, with DoAssured, by a person whose proof of who they are is too old
// or too weak by the database's own note of it (SYSTEM I6).
//
// # What it does not stop
//
// A caller from doing what the database says they may. Rows of other organizations are layer rls's business.
//
// # How it is knocked out in a drill
//
// The handler runs with a transaction that presented its credential but was never asked for the scope.
//
// # Example
//
//	return action.Do(ctx, db, who, "orders:write", func(tx *action.Tx) (Order, error) {
//		return rls.One[Order](tx, insertOrder, in.ProductID, in.Quantity)
//	})
package action

import (
	"context"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A Tx is a transaction that the gate has let through for one caller and one scope.
type Tx struct {
	*rls.Tx
	profile layer.ProfileID // the caller, as the database sees them
}

// Profile is the caller, as the database and not the application knows them.
func (tx *Tx) Profile() layer.ProfileID { return tx.profile }

// Own refuses unless the thing belongs to the caller. It asks the database's view of the caller, not the Principal's.
func (tx *Tx) Own(owner layer.ProfileID) error {
	if owner == "" || owner != tx.profile {
		return &layer.Refusal{By: layer.GateAction, Reason: layer.Forbidden, Public: "This belongs to somebody else.", Cause: errNotOwner}
	}
	return nil
}

// Audit records an event of this transaction; see audit.Append.
func (tx *Tx) Audit(category audit.Category, action, id string) error {
	return audit.Append(tx.Tx, category, action, id)
}

var (
	errNotOwner = errors.New("the caller does not own it")
	errDisagree = errors.New("the database's caller is not the Principal")
	errMissing  = errors.New("the scope is not in the caller's claims")
)

const require = `select coalesce(redoubt.require($1)::text, '')` // an endpoint has no profile

// Do asks whether who may do what scope names, and if so runs act in a transaction and commits it. If the gate refuses, act
// does not run; if act returns an error, or panics, nothing of it remains. Opening costs one round trip, committing another.
//
// Both the caller's claims and the database must allow scope: an administrator's scope comes from the identity provider, so a
// row that was tampered with is not enough (SYSTEM I3).
func Do[T any](ctx context.Context, db *rls.DB, who layer.Principal, scope string, act func(*Tx) (T, error)) (result T, err error) {
	if err := claimed(who, scope); err != nil {
		return result, err
	}
	opened, profile, err := rls.Begin[layer.ProfileID](ctx, mint.Gate{}, db, who, require, scope)
	if err != nil {
		return result, err
	}
	return run(opened, profile, who, act)
}

const requireProof = `select coalesce(redoubt.require_proof($1, $2, $3, $4)::text, '')`

// DoAssured is Do for what cannot be undone, or gives lasting power: the database must also know that the person has proved who they
// are as recently and as well as needs asks (SYSTEM I6). It asks the session's own row, by the database's clock. The route gate asks
// the claims, by the application's, so that neither a row that was altered nor a route that forgot to ask is enough. It costs no
// more round trips than Do.
func DoAssured[T any](ctx context.Context, db *rls.DB, who layer.Principal, scope string, needs layer.Assurance, act func(*Tx) (T, error)) (result T, err error) {
	if err := claimed(who, scope); err != nil {
		return result, err
	}
	opened, profile, err := rls.Begin[layer.ProfileID](ctx, mint.Gate{}, db, who, requireProof, scope, int(needs.Within.Seconds()), needs.Level, needs.Keys)
	if err != nil {
		return result, unmet(err, needs)
	}
	return run(opened, profile, who, act)
}

// unmet tells whoever leads the person to the provider what would do.
func unmet(err error, needs layer.Assurance) error {
	var r *layer.Refusal
	if errors.As(err, &r) && r.Reason == layer.Unproven {
		r.Cause = &layer.Unmet{Needs: needs, Err: r.Cause}
	}
	return err
}

// claimed refuses somebody whose claims lack the scope. Nobody is left for the database to refuse.
func claimed(who layer.Principal, scope string) error {
	if !who.Nobody() && !who.Has(scope) {
		return &layer.Refusal{By: layer.GateAction, Reason: layer.Forbidden, Public: "You may not do this.", Cause: errMissing}
	}
	return nil
}

// run runs act in a transaction that the database has let who open, and commits it.
func run[T any](opened *rls.Tx, profile layer.ProfileID, who layer.Principal, act func(*Tx) (T, error)) (result T, err error) {
	var none T
	defer opened.Rollback() // also when act panics; nothing after Commit
	if profile != who.Profile() {
		return none, &layer.Refusal{By: layer.GateAction, Reason: layer.Forbidden, Public: "You may not do this.", Cause: errDisagree}
	}
	result, err = act(&Tx{opened, profile})
	if err != nil {
		return none, err
	}
	if err := opened.Commit(); err != nil {
		return none, err
	}
	return result, nil
}
