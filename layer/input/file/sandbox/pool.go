package sandbox

import (
	"context"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
)

// A pool lets a few jobs run, and a few more wait. Each worker may take Memory bytes and a processor; without a bound, an hour's
// worth of uploads sent at once would take the machine (SYSTEM T6).
type pool struct {
	running chan struct{} // one token for each job that runs
	inside  chan struct{} // one for each job that runs or waits
}

var errFull = errors.New("as many jobs wait for a worker as may")

func newPool(running, waiting int) *pool {
	return &pool{make(chan struct{}, running), make(chan struct{}, running+waiting)}
}

// enter waits for a turn until ctx ends, and refuses at once where too many wait already. Without an error, leave must follow.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.inside <- struct{}{}:
	default:
		return &layer.Refusal{By: layer.Input, Reason: layer.Limited, Cause: errFull,
			Public: "Too many files are being looked at right now. Try again in a minute."}
	}
	select {
	case p.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-p.inside
		return interrupted(ctx)
	}
}

func (p *pool) leave() { <-p.running; <-p.inside }

// interrupted is the refusal of a job whose caller no longer waits.
func interrupted(ctx context.Context) error {
	return &layer.Refusal{By: layer.Input, Reason: layer.Unavailable, Cause: context.Cause(ctx),
		Public: "The file could not be looked at in time. Try again."}
}
