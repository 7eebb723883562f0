package route

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// The bounds of what a route may ask for. Less than a minute could not be met when the provider's clock and ours differ by as much
// as sign-on forgives; more than a week no session lives.
const (
	shortest = time.Minute
	longest  = 7 * 24 * time.Hour
	skew     = time.Minute // how far in the future a proof may seem to be
)

var levelText = regexp.MustCompile(`^[A-Za-z0-9:/._-]{1,100}$`) // goes into a header (RFC 9470 section 3)

// Need records that pattern, which was declared before, asks for more than its access: a proof that is recent, or strong (SYSTEM I6).
// It refuses what could not be met, and what says nothing.
func (g *Gate) Need(pattern string, needs layer.Assurance) error {
	access := g.declared[pattern]
	switch {
	case needs == layer.Assurance{}:
		return nil
	case !needs.Asks():
		return fmt.Errorf("route %q lets keys pass too, but asks nobody for a proof: say Fresh or Assured", pattern)
	case access.kind == undeclared || access.kind == public:
		return fmt.Errorf("route %q asks for a proof of who it is, and admits anybody", pattern)
	case needs.Keys && access.kind != scope:
		return fmt.Errorf("route %q lets keys pass too, but is for people alone", pattern)
	case needs.Within != 0 && (needs.Within < shortest || needs.Within > longest):
		return fmt.Errorf("route %q asks for a proof within %s: say a minute to a week", pattern, needs.Within)
	case needs.Level != "" && !levelText.MatchString(needs.Level):
		return fmt.Errorf("route %q asks for a level of assurance that is no plain word", pattern)
	}
	if g.needs == nil {
		g.needs = map[string]layer.Assurance{}
	}
	g.needs[pattern] = needs
	return nil
}

// Needs is what pattern asks for beyond its access; zero for nothing.
func (g *Gate) Needs(pattern string) layer.Assurance { return g.needs[pattern] }

var (
	errUnattended = errors.New("an API key asks for what a person has to prove again")
	errStale      = errors.New("the person's proof of who they are is too old, or of no known time")
	errWeak       = errors.New("the person's proof of who they are is too weak")
)

// proved refuses who, whom the access admits, if their proof does not meet what pattern asks for. It reads the claims that identity
// authenticated; the action gate asks the database's own copy.
func (g *Gate) proved(pattern string, who layer.Principal) error {
	needs, asked := g.needs[pattern]
	switch {
	case !asked:
		return nil
	case !who.Interactive() && !needs.Keys:
		return refuse(layer.Forbidden, "This needs a person at a browser.", errUnattended)
	case !who.Interactive():
		return nil
	case needs.Level != "" && !who.Assured(needs.Level):
		return unproven(needs, errWeak)
	case needs.Within != 0 && !within(who.AuthTime(), needs.Within):
		return unproven(needs, errStale)
	}
	return nil
}

// within reports whether at is a time in the last d. A provider that does not say when leaves the zero time, or 1970.
func within(at time.Time, d time.Duration) bool {
	age := time.Since(at)
	return age <= d && age >= -skew
}

func unproven(needs layer.Assurance, why error) error {
	return refuse(layer.Unproven, "Please confirm that it is you, by signing in once more.", &layer.Unmet{Needs: needs, Err: why})
}
