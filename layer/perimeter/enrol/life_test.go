package enrol_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// SYSTEM P3: a certificate is renewed over the link at two thirds of its life, with a new key; both keys link until the old
// certificate ends.
func TestACertificateIsRenewedOverTheLink(t *testing.T) {
	var at clock
	w := newWorld(t, at.config)
	file := filepath.Join(t.TempDir(), "credential.json")
	c, err := enrol.Join(t.Context(), w.invite(), file)
	if err != nil {
		t.Fatal(err)
	}
	c.SetClock(at.now)
	conn, old := w.mustLink(c), c.Certificate()
	ask := func() {
		t.Helper()
		if err := w.ask(conn, c); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if c.Pin() != enrol.PinOf(old.Leaf) || c.Due(at.now()) {
		t.Error("it was renewed at once, or is to be")
	}
	at.set(enrol.CertificateLife*2/3 - time.Minute)
	ask()
	if c.Pin() != enrol.PinOf(old.Leaf) {
		t.Error("it was renewed before two thirds of its life")
	}
	at.set(enrol.CertificateLife*2/3 + time.Minute)
	if !c.Due(at.now()) {
		t.Error("it is not due")
	}
	ask()
	if c.Pin() == enrol.PinOf(old.Leaf) {
		t.Fatal("it was not renewed, or with the same key")
	}
	if again, err := enrol.Load(file); err != nil || again.Pin() != c.Pin() {
		t.Errorf("the new one was not kept: %v", err)
	}
	w.mustLink(c)
	links := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{link.Protocol}, Certificates: []tls.Certificate{old}}
	if conn, err := dial(w.addr, links); err != nil {
		t.Errorf("the old one, which is still in force: %v", err)
	} else {
		conn.Close()
	}
	at.set(enrol.CertificateLife + time.Minute)
	if _, err := dial(w.addr, links); err == nil {
		t.Error("the old one is taken after its end")
	}
	w.mustLink(c)
}

// However often a connector renews, or loses the answer, only its last keys stay on record.
func TestKeysOnRecordAreFew(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	first := c.Certificate()
	for range 8 {
		conn := w.mustLink(c)
		c.Want()
		if err := w.ask(conn, c); err != nil {
			t.Fatal(err)
		}
	}
	w.mustLink(c)
	entries, _ := os.ReadDir(filepath.Join(w.folder, "connector-keys"))
	if len(entries) != 4 {
		t.Errorf("%d keys are on record, want 4", len(entries))
	}
	if _, err := dial(w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{link.Protocol}, Certificates: []tls.Certificate{first}}); err == nil {
		t.Error("the first key, long replaced, still links")
	}
}

// An answer that was lost is asked for again, with the same key.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	conn := w.mustLink(c)
	c.Want()
	message, err := c.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	lost, err := say(conn, message)
	if err != nil {
		t.Fatal(err)
	}
	before := c.Pin()
	if err := w.ask(conn, c); err != nil || c.Pin() == before {
		t.Errorf("asked again: %v", err)
	}
	w.mustLink(c)
	if err := c.Control(lost); err != nil { // it was late, not lost
		t.Errorf("the first answer after the second: %v", err)
	}
	w.mustLink(c)
	if got := len(w.connectors()); got != 1 {
		t.Errorf("%d connectors", got)
	}
	// Asked for over two links at once, it is given twice; that it has been used is not forgotten.
	if err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	c.Want()
	twice, err := c.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := say(conn, twice)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Control(answer); err != nil {
		t.Fatal(err)
	}
	w.mustLink(c)
	if answer, err = say(conn, twice); err != nil {
		t.Fatal(err)
	}
	if err := c.Control(answer); err != nil {
		t.Error(err)
	}
	if err := w.FinishRotation(); err != nil {
		t.Error(err)
	}
	w.mustLink(c)
}

// SYSTEM P3: an answer that is not for this connector, or was not asked for, changes nothing.
func TestAConnectorTakesOnlyItsOwnAnswers(t *testing.T) {
	w := newWorld(t)
	c, other := w.join(), w.join()
	conn := w.mustLink(other)
	other.Want()
	message, err := other.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := say(conn, message)
	if err != nil {
		t.Fatal(err)
	}
	pin := c.Pin()
	for name, prepare := range map[string]func(){"nobody asked": func() {}, "for another key": func() {
		c.Want()
		if _, err := c.Renewal(); err != nil {
			t.Fatal(err)
		}
	}} {
		prepare()
		if err := c.Control(foreign); err == nil || c.Pin() != pin {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "nonsense": "{", "refused": `{"is":"refused"}`, "later": `{"is":"later"}`, "nothing in it": `{"is":"done"}`,
		"too large": `{"is":"done","application":"` + strings.Repeat("x", enrol.MaxMessage) + `"}`,
	} {
		if err := c.Control([]byte(bad)); err == nil || c.Pin() != pin {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w.mustLink(c)
}

// SYSTEM P3: an edge that went astray cannot make another connector of this one.
func TestAConnectorStaysWhoItIs(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	conn, pin := w.mustLink(c), c.Pin()
	c.Want()
	message, err := c.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	good, err := say(conn, message)
	if err != nil {
		t.Fatal(err)
	}
	with := func(member string, value any) []byte {
		all := map[string]any{}
		if err := json.Unmarshal(good, &all); err != nil {
			t.Fatal(err)
		}
		all[member] = value
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	forged := func(deployment, id string) []byte {
		return w.Thief().Forge(c.Pending(), deployment, "connector", id, time.Now(), time.Hour).Certificate[0]
	}
	for name, bad := range map[string][]byte{
		"another application": with("application", "other"),
		"another name":        with("certificate", forged(w.Deployment(), strings.Repeat("0", 32))),
		"another deployment":  with("certificate", forged(strings.Repeat("0", 32), c.ID())),
		"no authority":        with("authorities", []string{}),
		"three authorities":   with("authorities", []enrol.Pin{{}, {}, {}}),
		"no key":              with("keys", []string{}),
		"no edge":             with("edges", []string{}),
		"an edge nowhere":     with("edges", []string{"nowhere"}),
		"a pin in other form": with("authorities", []string{"sha1/AAAA"}),
	} {
		if err := c.Control(bad); err == nil || c.Pin() != pin {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := c.Control(good); err != nil || c.Pin() == pin {
		t.Errorf("the answer itself: %v", err)
	}
}

// An entry is found by the beginning of a key's pin; the whole one is compared.
func TestTheWholeKeyIsCompared(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	w.mustLink(c)
	w.Swap(c.ID(), c.Pin())
	if _, err := w.link(c); err == nil {
		t.Error("a key that begins like the one on record is taken")
	}
}

// SYSTEM P3: a message that a link may not carry ends it; one that cannot be answered now does not.
func TestControlEndsALinkOnlyForItsPeersFault(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	p := w.connectors()[0]
	c.Want()
	renewal, err := c.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	other := w.join()
	for name, ask := range map[string]func() ([]byte, error){
		"nonsense":                      func() ([]byte, error) { return w.Control(p, []byte("x")) },
		"an invitation":                 func() ([]byte, error) { return w.Control(p, enrol.Redeem(w.invite(), nil)) },
		"another connector's renewal":   func() ([]byte, error) { return w.Control(peer(w, other.ID()), renewal) },
		"a renewal under a key unknown": func() ([]byte, error) { q := p; q.Pin[0]++; return w.Control(q, renewal) },
		"a renewal by an unknown":       func() ([]byte, error) { q := p; q.ID = strings.Repeat("0", 32); return w.Control(q, renewal) },
		"a renewal for the key that is": func() ([]byte, error) { return w.Control(p, enrol.RenewSame(c)) },
	} {
		if answer, err := ask(); err == nil {
			t.Errorf("%s: got %s", name, answer)
		}
	}
	if answer, err := w.Control(p, renewal); err != nil || !strings.Contains(string(answer), `"is":"done"`) {
		t.Errorf("the renewal itself: got %s and %v", answer, err)
	}
	later := false
	for range 100 {
		answer, err := w.Control(p, []byte(`{"ask":"news"}`))
		if err != nil {
			t.Fatal(err)
		}
		later = later || string(answer) == `{"is":"later"}`
	}
	if !later {
		t.Error("a hundred questions in a row are all answered")
	}
}

func peer(w *world, id string) enrol.Peer {
	for _, p := range w.connectors() {
		if p.ID == id {
			return p
		}
	}
	w.Fatal("not enrolled")
	return enrol.Peer{}
}

// SYSTEM P3: a revoked connector is refused at once at every edge of the folder, and its links' end is asked for within a second.
func TestARevokedConnectorIsShutOut(t *testing.T) {
	w := newWorld(t)
	second := newWorldIn(t, w.folder)
	c, stays := w.join(), w.join()
	w.mustLink(c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan string, 100)
	var watch sync.WaitGroup
	watch.Go(func() { w.Watch(ctx, func(id string) { told <- id }) })
	p := peer(w, c.ID())
	if err := second.Revoke(c.ID()); err != nil { // another process of the same folder
		t.Fatal(err)
	}
	began := time.Now()
	for _, edge := range []*world{w, second} {
		if _, err := dial(edge.addr, c.TLS()); err == nil {
			t.Error("it is still taken")
		}
	}
	if _, err := w.Control(p, []byte(`{"ask":"news"}`)); err == nil {
		t.Error("its link is still answered")
	}
	if err := c.Renew(t.Context()); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("its certificate is renewed: %v", err)
	}
	select {
	case id := <-told:
		if took := time.Since(began); id != c.ID() || took > enrol.RevocationDelay {
			t.Errorf("told of %s after %v", id, took)
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody is told")
	}
	cancel()
	watch.Wait()
	w.mustLink(stays)
	for len(told) > 0 {
		if id := <-told; id != c.ID() {
			t.Errorf("told of %s, too", id)
		}
	}
	if err := w.Revoke(c.ID()); err == nil {
		t.Error("it is revoked twice")
	}
	if err := w.Revoke("../connectors"); err == nil {
		t.Error("something else is revoked")
	}
}

// A renewal that is under way when its connector is revoked does not bring it back.
func TestARenewalDoesNotUndoARevocation(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		c := w.join()
		conn := w.mustLink(c)
		c.Want()
		var both sync.WaitGroup
		both.Go(func() { w.ask(conn, c) })
		both.Go(func() {
			if err := w.Revoke(c.ID()); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if _, err := w.link(c); err == nil {
			t.Fatal("it links after its revocation")
		}
		if len(w.connectors()) != 0 {
			t.Fatal("it is enrolled after its revocation")
		}
	}
}

// SYSTEM P3: a certificate that ended while every edge was away is renewed on a connection of its own, and opens nothing else.
func TestAnEndedCertificateAsksForAnotherAndNothingElse(t *testing.T) {
	for _, a := range []struct {
		name  string
		after time.Duration
		want  error
	}{
		{"an hour late", enrol.CertificateLife + time.Hour, nil},
		{"six days late", enrol.CertificateLife + 6*24*time.Hour, nil},
		{"eight days late", enrol.CertificateLife + 8*24*time.Hour, enrol.ErrRefused},
	} {
		t.Run(a.name, func(t *testing.T) {
			var at clock
			w := newWorld(t, at.config)
			c := w.join()
			c.SetClock(at.now)
			w.mustLink(c)
			at.set(a.after)
			if _, err := w.link(c); err == nil {
				t.Error("it links")
			}
			if err := c.Renew(t.Context()); !errors.Is(err, a.want) {
				t.Fatalf("got %v, want %v", err, a.want)
			}
			if a.want == nil {
				w.mustLink(c)
			}
		})
	}
}

// SYSTEM P3: an old copy of a credential is worth nothing once its certificate has ended, because a later key has been used.
func TestAnOldCopyOfACredentialIsNotRenewed(t *testing.T) {
	var at clock
	w := newWorld(t, at.config)
	c := w.join()
	c.SetClock(at.now)
	copied := clone(t, c)
	copied.SetClock(at.now)
	conn := w.mustLink(c)
	at.set(enrol.CertificateLife * 3 / 4)
	if err := w.ask(conn, c); err != nil {
		t.Fatal(err)
	}
	w.mustLink(c)
	at.set(enrol.CertificateLife + time.Hour)
	if err := copied.Renew(t.Context()); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("the copy: got %v", err)
	}
	w.mustLink(c)
	// But an unused later key is perhaps one whose answer was lost: the connector that never had it is let in again.
	late, err := enrol.JoinAt(t.Context(), w.invite(), "", at.now)
	if err != nil {
		t.Fatal(err)
	}
	conn = w.mustLink(late)
	late.Want()
	message, _ := late.Renewal()
	if _, err := say(conn, message); err != nil {
		t.Fatal(err)
	}
	restarted := clone(t, late)
	restarted.SetClock(at.now)
	at.set(2*enrol.CertificateLife + 2*time.Hour)
	if err := restarted.Renew(t.Context()); err != nil {
		t.Errorf("a connector that lost an answer: %v", err)
	}
}

func clone(t *testing.T, c *enrol.Credential) *enrol.Credential {
	t.Helper()
	b, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var other enrol.Credential
	if err := other.UnmarshalJSON(b); err != nil {
		t.Fatal(err)
	}
	return &other
}

// SYSTEM P6: while a clock is wrong nobody is let in by mistake, nothing is lost, and once it is right everything is as before.
func TestAWrongClockPasses(t *testing.T) {
	for _, whose := range []string{"edge", "connector"} {
		for _, jump := range []time.Duration{-365 * 24 * time.Hour, -72 * time.Hour, 72 * time.Hour, 365 * 24 * time.Hour} {
			t.Run(whose+" "+jump.String(), func(t *testing.T) {
				var edge, connector clock
				w := newWorld(t, edge.config)
				c := w.join()
				c.SetClock(connector.now)
				conn := w.mustLink(c)
				if whose == "edge" {
					edge.set(jump)
				} else {
					connector.set(jump)
				}
				if _, err := w.link(c); err == nil {
					t.Error("there is a link although the clocks disagree")
				}
				w.Connectors()
				c.Want()
				before := c.Pin()
				if err := w.ask(conn, c); err == nil {
					t.Error("a certificate is taken that is not in force")
				}
				if err := c.Renew(t.Context()); err == nil || c.Pin() != before {
					t.Errorf("renewed on another connection: %v", err)
				}
				w.another(edge.config) // a start sweeps the folder
				edge.set(0)
				connector.set(0)
				again := w.mustLink(c)
				if err := w.ask(again, c); err != nil || c.Pin() == before {
					t.Errorf("renewing afterwards: %v", err)
				}
				w.mustLink(c)
			})
		}
	}
	t.Run("a little is no matter", func(t *testing.T) {
		var at clock
		w := newWorld(t, at.config)
		c := w.join()
		at.set(-4 * time.Minute)
		w.mustLink(c)
		late := w.join()
		late.SetClock(func() time.Time { return time.Now().Add(-4 * time.Minute) })
		at.set(0)
		w.mustLink(late)
	})
}

// The edge's own certificate is made again in time, in memory: with a full disk, too.
func TestTheEdgesCertificateIsMadeAgain(t *testing.T) {
	if !apart(t) {
		return
	}
	var at clock
	w := newWorld(t, at.config)
	first := w.EdgeCertificate()
	at.set(enrol.CertificateLife/2 - time.Minute)
	if w.EdgeCertificate() != first {
		t.Error("it is made again before half of its life")
	}
	defer fullDisk(t)()
	at.set(enrol.CertificateLife/2 + time.Minute)
	second := w.EdgeCertificate()
	if second == first {
		t.Error("it is not made again")
	}
	at.set(-time.Hour)
	if third := w.EdgeCertificate(); third == second || third.Leaf.NotBefore.After(at.now()) {
		t.Error("it is not made again when the clock is put back")
	}
}
