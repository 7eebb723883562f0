package egress

import (
	"context"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
)

// A Fault is why an address was not asked, or its answer not taken. It is the cause of every refusal of this package, and all that
// is told of it: the names are a closed list, and hold nothing of what was submitted or found. It is for the log and the
// detectors, never for the person who gave the address.
type Fault string

// The faults, in the order in which a request meets them.
const (
	Unreadable  Fault = "address is not one that is taken"
	Busy        Fault = "too many requests at once"
	Unresolved  Fault = "name has no addresses, or too many"
	Inside      Fault = "name has an address that is special, ours, or inside"
	Guarded     Fault = "address refused at the connection"
	Strayed     Fault = "connection leads elsewhere than was judged"
	Unreachable Fault = "no connection, or no answer in HTTP"
	TooSlow     Fault = "out of time"
	Redirected  Fault = "redirected too often, or to where may not be followed"
	Unwanted    Fault = "answer of another status, type or encoding"
	TooLarge    Fault = "answer too large"
)

// Error implements error.
func (f Fault) Error() string { return string(f) }

// Two sentences for everybody. A third would tell the one who asks what is inside, one address at a time.
const (
	unreachable = "This address cannot be reached from here."
	busy        = "Too many addresses are being asked at once. Try again shortly."
)

// refuse turns whatever went wrong into a refusal without detail: errors of the net package quote names and addresses.
func refuse(err error) error {
	fault := faultOf(err)
	if fault == Busy {
		return &layer.Refusal{By: layer.Input, Reason: layer.Limited, Public: busy, Cause: fault}
	}
	return &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: unreachable, Cause: fault}
}

func faultOf(err error) Fault {
	if fault, ok := errors.AsType[Fault](err); ok {
		return fault
	}
	if slow, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && slow.Timeout() || errors.Is(err, context.Canceled) {
		return TooSlow
	}
	return Unreachable
}
