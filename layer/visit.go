package layer

import (
	"context"
	"net/netip"
)

// A Visit says where a request came from, for the audit trail and the logs. Nothing is decided on it: what has authority is a
// parameter (Principal), what is merely told may travel in a context.
type Visit struct {
	Address   netip.Addr // the client's, as the edge saw it; invalid when unknown
	RequestID string     // unique, printable, at most 64 bytes; also shown on error pages
}

type visitKey struct{}

// WithVisit returns a context that carries v.
func WithVisit(ctx context.Context, v Visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

// VisitFrom returns the Visit that ctx carries, or an empty one.
func VisitFrom(ctx context.Context) Visit {
	v, _ := ctx.Value(visitKey{}).(Visit)
	return v
}

// String is what the audit trail records: the address and the request's id.
func (v Visit) String() string {
	if !v.Address.IsValid() {
		return "- " + v.RequestID
	}
	return v.Address.String() + " " + v.RequestID
}
