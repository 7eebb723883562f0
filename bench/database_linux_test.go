package bench

import (
	"strings"
	"testing"
)

// SYSTEM D7: what a credential costs a backend beside the same look-up as a query, to the microsecond. Nothing is asserted but that
// every kind of round trip was taken, and none is free.
func TestEveryRoundTripIsMeasured(t *testing.T) {
	nothingLeft(t)
	result, err := Database(t.Context(), small(t))
	failed(t, err)
	for _, c := range contrasts {
		for _, name := range []string{c.entered, c.lookedUp, c.own, identityTrip, "empty", "enter, verify three times"} {
			if samples := result.Trips[name]; name != "" && (len(samples) != blocks || cost(samples) <= 0) {
				t.Errorf("%s: measured %v", name, samples)
			}
		}
		if v := result.contrast(c); v.ToLookedUp <= 0 || v.OfRequest <= 0 || v.OfRequest < min(1, v.ToLookedUp) || v.OfRequest > max(1, v.ToLookedUp) {
			t.Errorf("%s: got %+v", c.what, v)
		}
	}
	var out strings.Builder
	result.Print(&out)
	for _, want := range []string{"an empty statement", "identity's look-up", "update a post, an equal trail"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}
