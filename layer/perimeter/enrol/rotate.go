package enrol

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// ErrRotating means that a rotation has begun already; ErrNotRotating, that none has.
var (
	ErrRotating    = errors.New("a rotation is under way: finish it first")
	ErrNotRotating = errors.New("no rotation is under way")
)

// Lagging says which connectors have not heard of the next authority yet. Each either will, within a minute of being linked, or can
// be revoked.
type Lagging struct{ Connectors []Peer }

// Error implements error.
func (l *Lagging) Error() string {
	var names []string
	for _, p := range l.Connectors {
		names = append(names, p.ID+" ("+p.Application+")")
	}
	return fmt.Sprintf("%d connectors do not know the next authority yet; start them, or revoke them: %s", len(names), strings.Join(names, ", "))
}

// newest is the key for assertions that a connector must know to live through the next step.
func (r *record) newest() assertion.VerifyKey {
	if r.next != nil {
		return r.signNext.Public()
	}
	return r.signing.Public()
}

// Rotate begins to replace the authority's key and the key for assertions: the next ones are made, and told to every connector, each
// of which renews its certificate (SYSTEM P3). Nothing that is in use changes.
func (a *Authority) Rotate() error {
	err := a.change(func(r *record) (err error) {
		if r.next != nil {
			return ErrRotating
		}
		if r.next, err = newSigner(); err != nil {
			return err
		}
		r.signNext, err = newSigning()
		return err
	})
	if err != nil {
		return fmt.Errorf("beginning a rotation: %w", err)
	}
	a.log.Info("rotation begun")
	return nil
}

// FinishRotation puts the next keys in the place of the current ones, which are believed no more, except that assertions under way
// keep their key for FormerLife. With a *Lagging it refuses while a connector would be left behind. Invitations from before Rotate are of
// no use afterwards: their connectors know the former key alone.
func (a *Authority) FinishRotation() error {
	err := a.change(func(r *record) error {
		if r.next == nil {
			return ErrNotRotating
		}
		if err := a.lagging(r); err != nil {
			return err
		}
		old := r.signing.Public()
		r.former = append([]former{{old.ID, old.Public, a.now().Add(FormerLife)}}, r.former...)
		r.former = r.former[:min(len(r.former), maxFormer)]
		r.current, r.signing, r.next, r.signNext = r.next, r.signNext, nil, assertion.SigningKey{}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finishing the rotation: %w", err)
	}
	a.log.Info("rotation finished")
	return nil
}

// Rotating reports whether a rotation is under way.
func (a *Authority) Rotating() bool { return a.known().next != nil }

// lagging finds who could still link, or renew, and has not yet used a certificate that came with the next keys.
func (a *Authority) lagging(r *record) error {
	peers, err := a.Connectors()
	if err != nil {
		return err
	}
	all, err := a.keysOf()
	if err != nil {
		return err
	}
	var l Lagging
	for _, p := range peers {
		keys := all[p.ID]
		knows := func(k keyEntry) bool { return k.Seen && k.Issuer == r.next.pin && k.Signing == r.signNext.ID }
		if a.alive(keys) && !slices.ContainsFunc(keys, knows) {
			l.Connectors = append(l.Connectors, p)
		}
	}
	if len(l.Connectors) > 0 {
		return &l
	}
	return nil
}
