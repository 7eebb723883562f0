package identity_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// from is a request with this key, from this address.
func from(t *testing.T, key, address string) *http.Request {
	t.Helper()
	r := by(t, "Bearer "+key)
	visit := layer.Visit{RequestID: "r"}
	if address != "" {
		visit.Address = netip.MustParseAddr(address)
	}
	return r.WithContext(layer.WithVisit(r.Context(), visit))
}

func mustKnow(t *testing.T, w *layertest.W, r *http.Request) layer.Principal {
	t.Helper()
	who, err := w.Identity.Identify(r)
	if err != nil || who.Nobody() {
		t.Fatalf("got %v %v", who, err)
	}
	return who
}

const newNetworks = `select count(*) from audit.log where action = 'api_key.new_network' and category = 'security' and entity_id = $1 and credential = $1::uuid and organization_id is not null and actor is not null`

func TestAKeyFromANewNetworkIsAnEvent(t *testing.T) { // SYSTEM I9, M2
	w := layertest.World(t, scoped)
	alice := w.Member("Acme")
	key := alice.APIKey("posts:write")
	for _, c := range []struct {
		name, address string
		networks      int
		events        int
	}{
		{"nobody knows where", "", 0, 0},
		{"the first place of all", "203.0.113.7", 1, 0},
		{"the same", "203.0.113.7", 1, 0},
		{"another address of its network", "203.0.113.200", 1, 0},
		{"the same, written as IPv6", "::ffff:203.0.113.9", 1, 0},
		{"nobody knows where, again", "", 1, 0},
		{"another network", "203.0.112.7", 2, 1},
		{"the same again", "203.0.112.9", 2, 1},
		{"IPv6", "2001:db8:1::1", 3, 2},
		{"another address of the same site", "2001:db8:1:ffff::2", 3, 2},
		{"with a zone", "fe80::1%eth0", 4, 3},
		{"with another", "fe80::1%eth1", 4, 3},
		{"another site", "2001:db8:2::1", 5, 4},
		{"back home", "203.0.113.7", 5, 4},
	} {
		who := mustKnow(t, w, from(t, key, c.address))
		events := scan[int](t, w, newNetworks, who.CredentialID())
		networks := scan[int](t, w, `select count(*) from identity.api_key_network where api_key_id = $1`, who.CredentialID())
		if networks != c.networks || events != c.events {
			t.Errorf("%s: %d networks and %d events, want %d and %d", c.name, networks, events, c.networks, c.events)
		}
	}
	keys, err := identity.Keys(w.DB.As(t.Context(), alice.Principal()))
	if err != nil || len(keys) != 1 || len(keys[0].Networks) != 5 {
		t.Fatalf("got %v %v", keys, err)
	}
	for _, n := range keys[0].Networks {
		if home := n.Network == "203.0.113.0/24"; n.Suspect == home || n.FirstSeen.IsZero() || n.LastSeen.IsZero() {
			t.Errorf("got %+v", n)
		}
	}
	if keys, err := identity.Keys(w.DB.As(t.Context(), w.Member("Acme").Principal())); err != nil || len(keys) != 0 {
		t.Errorf("another member sees %v %v", keys, err)
	}
}

func TestAKeysNetworksAreBounded(t *testing.T) { // SYSTEM T6
	w := layertest.World(t, scoped)
	key := w.Member("Acme").APIKey("posts:write")
	var who layer.Principal
	for i := range 60 {
		who = mustKnow(t, w, from(t, key, fmt.Sprintf("10.0.%d.1", i)))
	}
	if n := scan[int](t, w, `select count(*) from identity.api_key_network where api_key_id = $1`, who.CredentialID()); n != 50 {
		t.Errorf("%d networks are remembered, want 50", n)
	}
	if !scan[bool](t, w, `select exists (select from identity.api_key_network where api_key_id = $1 and network = '10.0.59.0/24')`, who.CredentialID()) {
		t.Error("the latest is not among them")
	}
	before := scan[int](t, w, newNetworks, who.CredentialID())
	mustKnow(t, w, from(t, key, "10.0.0.1")) // which was forgotten
	if after := scan[int](t, w, newNetworks, who.CredentialID()); before != 59 || after != 60 {
		t.Errorf("%d events and then %d, want 59 and 60", before, after)
	}
}

// A key that is used a lot from where it is known writes once a minute, as before.
func TestAKnownNetworkWritesNothing(t *testing.T) { // SYSTEM D7
	w := layertest.World(t, scoped)
	key := w.Member("Acme").APIKey("posts:write")
	who := mustKnow(t, w, from(t, key, "203.0.113.7"))
	version := func() string {
		return scan[string](t, w, `select k.xmin::text || ' ' || (select string_agg(n.xmin::text, ' ') from identity.api_key_network n where n.api_key_id = k.id) from identity.api_key k where k.id = $1`, who.CredentialID())
	}
	before := version()
	for range 5 {
		mustKnow(t, w, from(t, key, "203.0.113.8"))
	}
	if after := version(); after != before {
		t.Error("its rows were written")
	}
	change(t, w, `update identity.api_key set last_used_at = now() - interval '2 minutes' where id = $1`, who.CredentialID())
	change(t, w, `update identity.api_key_network set last_seen = now() - interval '2 minutes' where api_key_id = $1`, who.CredentialID())
	mustKnow(t, w, from(t, key, "203.0.113.8"))
	if !scan[bool](t, w, `select last_seen > now() - interval '1 minute' from identity.api_key_network where api_key_id = $1`, who.CredentialID()) {
		t.Error("its use was not recorded after a minute")
	}
}

// Where somebody's key was used from goes with them.
func TestNetworksGoWithTheirKey(t *testing.T) { // SYSTEM I8
	w := layertest.World(t, scoped)
	key := w.Member("Acme").APIKey("posts:write")
	who := mustKnow(t, w, from(t, key, "203.0.113.7"))
	change(t, w, `delete from identity.api_key where id = $1`, who.CredentialID())
	if n := scan[int](t, w, `select count(*) from identity.api_key_network where api_key_id = $1`, who.CredentialID()); n != 0 {
		t.Errorf("%d networks are left", n)
	}
}
