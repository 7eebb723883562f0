package access_test

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
)

func TestWhoIsBlocked(t *testing.T) { // SYSTEM M3, P4
	w := newWorld(t, noMail)
	one, two := w.gate(), w.gate()
	alice := signedOn(t, w, two)
	again, ended := alice.gone.Again, alice.gone.Ended
	if err := one.BlockNetwork(netip.MustParsePrefix("192.0.2.9/24"), time.Hour); err != nil {
		t.Fatal(err)
	}
	within(t, "the other edge blocks a network", func() bool { return !alice.letIn() })
	if p := alice.once(wiki + "/x"); p.StatusCode != http.StatusForbidden || !strings.Contains(p.text, "You are shut out") {
		t.Errorf("got %d %s", p.StatusCode, p.text)
	}
	if p := alice.once(wiki + "/.redoubt/sign-on"); p.StatusCode != http.StatusForbidden {
		t.Errorf("the sign-on page: %d", p.StatusCode)
	}
	if alice.once(wiki + "/hello"); alice.passed != nil {
		t.Error("what is public: let in")
	}
	if again() {
		t.Error("what has begun goes on")
	}
	select {
	case <-ended:
		t.Error("the session ends with the network")
	default:
	}
	alice.client = "192.0.3.7"
	if !alice.letIn() {
		t.Error("from elsewhere she is not let in")
	}
	alice.client = "::ffff:192.0.2.7"
	if alice.letIn() {
		t.Error("in another spelling she is let in")
	}
	alice.client = "192.0.2.7"
	w.clock.pass(61 * time.Minute)
	if !alice.letIn() {
		t.Error("it does not end by its time")
	}
	w.clock.pass(-61 * time.Minute)
	if alice.letIn() {
		t.Fatal("not blocked again") // the clock of the test went back
	}
	if err := one.UnblockNetwork(netip.MustParsePrefix("192.0.2.0/24")); err != nil {
		t.Fatal(err)
	}
	within(t, "the other edge lifts it", alice.letIn)

	if err := one.BlockPerson("okta", "alice", time.Hour); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the session does not end")
	}
	if alice.letIn() {
		t.Error("a person: let in")
	}
	w.clock.pass(5 * time.Second)
	fresh := w.browser(two, "alice")
	if p := fresh.get(wiki + "/x"); fresh.passed != nil || p.StatusCode != http.StatusForbidden || !strings.Contains(p.text, "You are shut out") {
		t.Errorf("a person signs on again: %d %s", p.StatusCode, p.text)
	}
	if fresh.jar["wiki.example"][edgeCookie] != "" {
		t.Error("a session begins")
	}
	if other := w.browser(two, "carol"); other.get(wiki+"/.redoubt/sign-out").StatusCode != http.StatusOK {
		t.Error("another is blocked, too")
	}
	if err := one.UnblockPerson("okta", "alice"); err != nil {
		t.Fatal(err)
	}
	within(t, "she is let in again", func() bool {
		b := w.browser(two, "alice")
		b.get(wiki + "/x")
		return b.passed != nil
	})
}

func TestBlocksThatAreNone(t *testing.T) { // SYSTEM M3
	w := newWorld(t)
	g := w.gate()
	for what, err := range map[string]error{
		"no network":    g.BlockNetwork(netip.Prefix{}, time.Hour),
		"no time":       g.BlockPerson("okta", "alice", 0),
		"time for ever": g.BlockPerson("okta", "alice", 100*24*time.Hour),
	} {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	for range 1000 {
		name := filepath.Join(w.folder.Path(), "blocked", hex.EncodeToString([]byte(rand.Text())))
		if err := os.WriteFile(name, []byte(`{"content":""}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.BlockPerson("okta", "alice", time.Hour); err == nil {
		t.Error("more than the bound: taken")
	}
}

// within waits for another edge to look.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 50 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("it never comes that %s", what)
}

// An edge that has not looked yet signs a blocked person on; the others do not take that session.
func TestABlockedPersonAtAnEdgeThatIsLate(t *testing.T) { // SYSTEM M3
	w := newWorld(t, noMail)
	late, err := access.New(w.setting) // which nobody runs
	if err != nil {
		t.Fatal(err)
	}
	one := w.gate()
	if err := one.BlockPerson("okta", "alice", time.Hour); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(5 * time.Second)
	b := signedOn(t, w, late)
	b.gate = one
	if p := b.once(wiki + "/x"); b.passed != nil || p.StatusCode != http.StatusForbidden {
		t.Errorf("let in: %t, %d", b.passed != nil, p.StatusCode)
	}
}
