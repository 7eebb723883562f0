package perimeter

import (
	"net/http"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// Believe opens an arrival's token alone.
func (v *Verifier) Believe(a link.Arrival) error {
	_, err := v.open(a, v.config.Keys(), v.config.Now())
	return err
}

// Remembered is how many tokens v remembers.
func (v *Verifier) Remembered() int { return len(v.verified) }

// HandlerFor is Handler for requests that all arrived in one way, for measuring without a link.
func (v *Verifier) HandlerFor(a link.Arrival, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { v.serve(w, r, a, true, next) })
}
