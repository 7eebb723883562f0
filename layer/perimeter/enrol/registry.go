package enrol

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// A connectorEntry says that a connector is enrolled. Revoke removes it; there is no other state, so that it works with a full disk.
type connectorEntry struct {
	Application string   `json:"application"`
	Edges       []string `json:"edges"` // of its invitation
}

// A keyEntry is a key that a connector's certificate holds. It has no time of its own: a clock that runs ahead must not remove it.
type keyEntry struct {
	Pin     Pin       `json:"pin"`
	Number  int       `json:"number"` // among its connector's, in the order of their issue
	Expires time.Time `json:"expires"`
	Issuer  Pin       `json:"issuer"`
	Seen    bool      `json:"seen"`    // it was used for a link: so its connector has the answer in which it came
	Signing string    `json:"signing"` // the next key for assertions in that answer

}

func (a *Authority) connector(id string) (c connectorEntry, err error) {
	content, err := a.connectors.Get(id)
	if err == nil && json.Unmarshal(content, &c) != nil {
		err = errors.New("reading a connector's entry: it cannot be read")
	}
	return c, err
}

func (a *Authority) key(id string, p Pin) (k keyEntry, err error) {
	content, err := a.keys.Get(id + p.short())
	if err == nil && json.Unmarshal(content, &k) != nil {
		err = errors.New("reading a connector's key: it cannot be read")
	}
	return k, err
}

func (a *Authority) putKey(id string, k keyEntry) error {
	content, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("recording a key: %w", err)
	}
	return a.keys.Put(id+k.Pin.short(), content, time.Time{})
}

// keysOf returns the keys on record by connector, oldest first.
func (a *Authority) keysOf() (map[string][]keyEntry, error) {
	entries, err := a.keys.List()
	if err != nil {
		return nil, err
	}
	all := map[string][]keyEntry{}
	for _, e := range entries {
		var k keyEntry
		if json.Unmarshal(e.Content, &k) != nil || len(e.Key) != 64 || e.Key[32:] != k.Pin.short() {
			return nil, errors.New("reading the connectors' keys: one cannot be read")
		}
		all[e.Key[:32]] = append(all[e.Key[:32]], k)
	}
	for _, keys := range all {
		slices.SortFunc(keys, func(x, y keyEntry) int { return cmp.Compare(x.Number, y.Number) })
	}
	return all, nil
}

// saw notes that a connector uses a key with the certificate that was issued last for it: then it has that answer, and knows which
// authority is next. If the note cannot be written, a rotation waits, and nothing else.
func (a *Authority) saw(p Peer, k keyEntry, issuer Pin) {
	a.watch(p.ID)
	if k.Seen || k.Issuer != issuer {
		return
	}
	k.Seen = true
	if err := a.putKey(p.ID, k); err != nil {
		a.log.Warn("a connector's new key cannot be noted as used", "connector", p.ID, "error", err.Error())
	}
}

// certify records a key for a connector and then issues a certificate for it. Recorded first: a certificate whose key is not on record
// opens nothing, and a key on record without a certificate neither.
func (a *Authority) certify(r *record, id string, public crypto.PublicKey, p Pin, number int) ([]byte, error) {
	now, issuer := a.now(), r.issuer()
	k := keyEntry{Pin: p, Number: number, Expires: now.Add(a.config.Life), Issuer: issuer.pin, Signing: r.newest().ID}
	if before, err := a.key(id, p); err == nil && before.Issuer == k.Issuer {
		k.Seen = before.Seen // it asks a second time, and has the first answer
	}
	if err := a.putKey(id, k); err != nil {
		return nil, err
	}
	return issuer.issue(public, r.deployment, connectorPart, id, now, a.config.Life)
}

// enrol makes a connector with its first key.
func (a *Authority) enrol(r *record, public crypto.PublicKey, p Pin, application string, edges []string) (id string, certificate []byte, err error) {
	var b [16]byte
	rand.Read(b[:])
	id = hex.EncodeToString(b[:])
	content, err := json.Marshal(connectorEntry{application, edges})
	if err != nil {
		return "", nil, fmt.Errorf("recording a connector: %w", err)
	}
	if certificate, err = a.certify(r, id, public, p, 0); err != nil {
		return "", nil, err
	}
	err = a.connectors.Create(id, content, time.Time{})
	if errors.Is(err, state.ErrFull) && a.reap() {
		err = a.connectors.Create(id, content, time.Time{})
	}
	if err != nil {
		a.forget(id)
		return "", nil, err
	}
	return id, certificate, nil
}

// reap makes room, when there is none, by removing connectors whose last certificate has been over for longer than Grace: they cannot
// come back by themselves.
func (a *Authority) reap() bool {
	all, err := a.keysOf()
	ids, err2 := a.connectors.List()
	if err != nil || err2 != nil {
		return false
	}
	reaped := false
	for _, c := range ids {
		if keys := all[c.Key]; len(keys) == 0 || !a.alive(keys) {
			reaped = a.connectors.Delete(c.Key) == nil || reaped
			a.forget(c.Key)
		}
	}
	return reaped
}

// alive reports whether a connector with these keys can still link, or renew.
func (a *Authority) alive(keys []keyEntry) bool {
	return slices.ContainsFunc(keys, func(k keyEntry) bool { return !a.now().After(k.Expires.Add(Grace)) })
}

// forget removes a connector's keys. They are of no use without its entry.
func (a *Authority) forget(id string) {
	all, err := a.keysOf()
	if err != nil {
		return
	}
	for _, k := range all[id] {
		a.keys.Delete(id + k.Pin.short())
	}
}

// Connectors lists the enrolled ones, each with its newest key.
func (a *Authority) Connectors() ([]Peer, error) {
	ids, err := a.connectors.List()
	if err != nil {
		return nil, fmt.Errorf("listing connectors: %w", err)
	}
	all, err := a.keysOf()
	if err != nil {
		return nil, fmt.Errorf("listing connectors: %w", err)
	}
	var peers []Peer
	for _, e := range ids {
		var c connectorEntry
		if err := json.Unmarshal(e.Content, &c); err != nil {
			return nil, errors.New("listing connectors: an entry cannot be read")
		}
		p := Peer{ID: e.Key, Application: c.Application}
		if keys := all[e.Key]; len(keys) > 0 {
			p.Pin, p.Expires = keys[len(keys)-1].Pin, keys[len(keys)-1].Expires
		}
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(x, y Peer) int {
		return cmp.Or(strings.Compare(x.Application, y.Application), strings.Compare(x.ID, y.ID))
	})
	return peers, nil
}

// Revoke shuts a connector out, at once, at every edge of the folder. It needs no room on the disk.
func (a *Authority) Revoke(id string) error {
	if _, err := a.connectors.Get(id); errors.Is(err, state.ErrNone) || !isID(id) {
		return errors.New("revoking a connector: none of this name is enrolled")
	}
	if err := a.connectors.Delete(id); err != nil {
		return fmt.Errorf("revoking a connector: %w", err)
	}
	a.forget(id)
	a.log.Info("connector revoked", "connector", id)
	return nil
}

// Watch tells of each connector that has been revoked, by this process or another, until ctx ends: several times, because a link may be
// made at the very moment. What cannot be read is asked again: a disk that fails ends no link.
func (a *Authority) Watch(ctx context.Context, revoked func(id string)) {
	if ids, err := a.connectors.List(); err == nil {
		for _, c := range ids {
			a.watch(c.Key)
		}
	}
	t := time.NewTicker(RevocationDelay / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, id := range a.gone() {
				revoked(id)
			}
		}
	}
}

// watch lets Watch ask about a connector.
func (a *Authority) watch(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peers[id] = tellings
}

// gone returns those who are not enrolled any more, and forgets whom it has told of often enough.
func (a *Authority) gone() (gone []string) {
	a.mu.Lock()
	ids := slices.Collect(maps.Keys(a.peers))
	a.mu.Unlock()
	for _, id := range ids {
		if _, err := a.connectors.Get(id); errors.Is(err, state.ErrNone) {
			gone = append(gone, id)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range gone {
		if a.peers[id]--; a.peers[id] <= 0 {
			delete(a.peers, id)
		}
	}
	return gone
}
