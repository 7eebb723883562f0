package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

const (
	maxBlocks = 1000
	maxBlock  = 30 * 24 * time.Hour // what is to last belongs in a policy, where others read it
)

// blocks are networks and people shut out for a while at every edge, whatever policies say: what an incident asks for, at once
// (SYSTEM M3). They are entries of a drawer that the edges share: "n." and a network, or "u." and a person, until a moment.
type blocks struct {
	now func() time.Time

	polling sync.Mutex // held while looking and while adding, so that neither overlooks the other
	shelf   *shelf

	mu       sync.RWMutex
	networks map[netip.Prefix]time.Time
	people   map[string]time.Time
}

func newBlocks(s *shelf, now func() time.Time) *blocks {
	return &blocks{shelf: s, now: now, networks: map[netip.Prefix]time.Time{}, people: map[string]time.Time{}}
}

// poll learns who is blocked. If that cannot be read, whoever was blocked stays so.
func (b *blocks) poll() error {
	b.polling.Lock()
	defer b.polling.Unlock()
	keys, same, err := b.shelf.look()
	if err != nil || same {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.networks)
	clear(b.people)
	for _, key := range keys {
		b.add(key)
	}
	return nil
}

func (b *blocks) add(key string) {
	name, until, ok := cutMoment(key)
	if !ok {
		return
	}
	if text, ok := strings.CutPrefix(name, "n."); ok {
		if p, err := netip.ParsePrefix(text); err == nil && until.After(b.networks[p]) {
			b.networks[p] = until
		}
	} else if until.After(b.people[name]) {
		b.people[name] = until
	}
}

func (b *blocks) network(client netip.Addr) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.networks) == 0 {
		return false
	}
	client = client.Unmap().WithZone("")
	for p, until := range b.networks {
		if p.Contains(client) && b.now().Before(until) {
			return true
		}
	}
	return false
}

func (b *blocks) person(who assertion.SignOn) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.people) == 0 || who.By == assertion.ByNobody || who.By == assertion.ByService {
		return false
	}
	until, ok := b.people[byPerson(who.Provider, who.Subject)]
	return ok && b.now().Before(until)
}

func (b *blocks) either(client netip.Addr, who assertion.SignOn) bool {
	return b.network(client) || b.person(who)
}

// put blocks, here at once and at the other edges as soon as they look.
func (b *blocks) put(name string, life time.Duration) error {
	if life <= 0 || life > maxBlock {
		return fmt.Errorf("blocking: the time is from a moment to %d hours; what is to last longer belongs in a policy", int(maxBlock.Hours()))
	}
	b.polling.Lock()
	defer b.polling.Unlock()
	key := withMoment(name, b.now().Add(life))
	if err := b.shelf.drawer.Put(key, nil, time.Now().Add(life)); err != nil {
		return fmt.Errorf("blocking: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(key)
	return nil
}

// lift removes every block of that name.
func (b *blocks) lift(name string) error {
	keys, err := b.shelf.drawer.Keys()
	if err != nil {
		return fmt.Errorf("lifting a block: %w", err)
	}
	for _, key := range keys {
		if of, _, ok := cutMoment(key); ok && of == name {
			err = errors.Join(err, b.shelf.drawer.Delete(key))
		}
	}
	if err != nil {
		return fmt.Errorf("lifting a block: %w", err)
	}
	return b.poll()
}

// BlockNetwork shuts a network out at every edge for a while, sign-on pages included (SYSTEM M3).
func (g *Guard) BlockNetwork(network netip.Prefix, life time.Duration) error {
	if !network.IsValid() {
		return errors.New("blocking: that is no network")
	}
	return g.blocks.put(nameOf(network), life)
}

// BlockPerson shuts a person out at every edge for a while, and ends their sessions. The provider is empty for people who sign on by
// a mailed link; their subject is their address (SYSTEM M3).
func (g *Guard) BlockPerson(provider, subject string, life time.Duration) error {
	return errors.Join(g.blocks.put(byPerson(provider, subject), life), g.EndPerson(provider, subject))
}

// UnblockNetwork lifts a block of exactly this network.
func (g *Guard) UnblockNetwork(network netip.Prefix) error { return g.blocks.lift(nameOf(network)) }

// UnblockPerson lifts a block. Sessions that have ended stay ended.
func (g *Guard) UnblockPerson(provider, subject string) error {
	return g.blocks.lift(byPerson(provider, subject))
}

// nameOf spells a network in one way, and IPv4 as IPv4, as clients are compared.
func nameOf(network netip.Prefix) string {
	if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
	}
	return "n." + network.Masked().String()
}
