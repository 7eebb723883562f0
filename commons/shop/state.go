package shop

import (
	"context"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// A State is how far an order has come. Which way leads from one to another is the database's to say: commons.move_order.
type State string

// The states. Cancelled, fulfilled and refunded are ends.
const (
	Placed    State = "placed"
	Paid      State = "paid"
	Fulfilled State = "fulfilled"
	Cancelled State = "cancelled"
	Refunded  State = "refunded"
)

const (
	selectBuyer = `select coalesce(buyer_id, '00000000-0000-0000-0000-000000000000') from commons.order_ where id = $1`
	updateState = `update commons.order_ set state = $2 where id = $1 and state <> $2`
)

// Cancel calls off an order that nobody has paid, for its buyer or for an administrator.
func (s *Shop) Cancel(ctx context.Context, who layer.Principal, in OneOrder) (Nothing, error) {
	return action.Do(ctx, s.db, who, "orders:write", func(tx *action.Tx) (Nothing, error) {
		buyer, err := rls.One[layer.ProfileID](tx, selectBuyer, in.ID)
		if err != nil {
			return Nothing{}, err
		}
		if !who.Has("orders:manage") { // the policy own_update asks the database the same
			if err := tx.Own(buyer); err != nil {
				return Nothing{}, err
			}
		}
		return move(tx, in.ID, Cancelled, audit.State)
	})
}

// Pay records that an order is paid, for an administrator.
func (s *Shop) Pay(ctx context.Context, who layer.Principal, in OneOrder) (Nothing, error) {
	return s.manage(ctx, who, in.ID, Paid, audit.Payment)
}

// Fulfill records that a paid order is fulfilled, for an administrator.
func (s *Shop) Fulfill(ctx context.Context, who layer.Principal, in OneOrder) (Nothing, error) {
	return s.manage(ctx, who, in.ID, Fulfilled, audit.State)
}

// Refund records that a paid order's money has gone back, for an administrator.
func (s *Shop) Refund(ctx context.Context, who layer.Principal, in OneOrder) (Nothing, error) {
	return s.manage(ctx, who, in.ID, Refunded, audit.Payment)
}

func (s *Shop) manage(ctx context.Context, who layer.Principal, id OrderID, to State, as audit.Category) (Nothing, error) {
	return action.Do(ctx, s.db, who, "orders:manage", func(tx *action.Tx) (Nothing, error) {
		if _, err := rls.One[layer.ProfileID](tx, selectBuyer, id); err != nil {
			return Nothing{}, err
		}
		return move(tx, id, to, as)
	})
}

var errUnmoved = errors.New("the order is in this state already")

// move asks the database for the order's next state. That it is there already, or that no way leads there, is a conflict.
func move(tx *action.Tx, id OrderID, to State, as audit.Category) (Nothing, error) {
	n, err := rls.Do(tx, updateState, id, string(to))
	if err == nil && n == 0 {
		err = &layer.Refusal{By: layer.RLS, Reason: layer.Conflict, Public: "This cannot be done as things are.", Cause: errUnmoved}
	}
	if err != nil {
		return Nothing{}, err
	}
	return Nothing{}, tx.Audit(as, "order."+string(to), string(id))
}
