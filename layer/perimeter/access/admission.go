package access

import (
	"net/http"
	"net/netip"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// An Admission is the gate's decision about one request.
type Admission struct {
	Who  assertion.SignOn
	Rule string // the rule that decided, as "file:line id"; for the log
	// Again decides once more about the same request, by the policies and the sessions of that moment; the edge asks every minute
	// while the request lasts.
	Again func() bool
	// Ended is closed when the session ends; nil if there is none.
	Ended <-chan struct{}
	// Refused is why the gate did not let the request pass; nil if it did, or answered with a page of its own. It is for the log:
	// the answer has been given.
	Refused *layer.Refusal
}

// A Visitor is what the edge knows of a request besides its text.
type Visitor struct {
	Application string
	Client      netip.Addr
	ID          string // of the request
}

// Gate is implemented by *Guard; the edge consumes this. Admit decides, and removes from r.Header what is the gate's own (its
// cookies, a service's token), so that it has to come before the edge drops claims. If it answers r itself (a page of its own, a
// redirect to sign on, a refusal), answered is true.
type Gate interface {
	Admit(w http.ResponseWriter, r *http.Request, v Visitor) (a Admission, answered bool)
}

var _ Gate = (*Guard)(nil)
