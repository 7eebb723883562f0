package enrol_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// SYSTEM P3: the authority and the key for assertions are replaced in two steps. In between both are believed; the second step waits
// for every connector that could be left behind.
func TestARotationLeavesNobodyBehind(t *testing.T) {
	var at clock
	w := newWorld(t, at.config)
	c, slow, revoked := w.join(), w.join(), w.join()
	conn, slowConn := w.mustLink(c), w.mustLink(slow)
	w.mustLink(revoked)
	old, oldKey, oldCA := clone(t, c), w.Signer().ID, w.Thief()
	if err := w.FinishRotation(); !errors.Is(err, enrol.ErrNotRotating) {
		t.Errorf("finished before it began: got %v", err)
	}
	invited := w.invite()
	w.EdgeCertificate()
	if err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := w.Rotate(); !errors.Is(err, enrol.ErrRotating) {
		t.Errorf("begun twice: got %v", err)
	}
	if w.Signer().ID != oldKey || len(w.Keys()) != 2 {
		t.Error("something changed already, or the next key is not told")
	}
	w.mustLink(old)
	lags := func(want ...*enrol.Credential) {
		t.Helper()
		err := w.FinishRotation()
		l := new(enrol.Lagging)
		if !errors.As(err, &l) || len(l.Connectors) != len(want) {
			t.Fatalf("got %v, want %d connectors", err, len(want))
		}
		for _, c := range want {
			if !strings.Contains(err.Error(), c.ID()) {
				t.Errorf("%v is not named: %v", c, err)
			}
		}
	}
	lags(c, slow, revoked)
	if err := w.ask(conn, c); err != nil || len(c.Keys()) != 2 { // news: and that it should renew
		t.Fatal(err)
	}
	if !c.Due(time.Now()) {
		t.Error("it is not asked to renew")
	}
	if err := w.ask(conn, c); err != nil || c.Pin() == old.Pin() {
		t.Fatalf("renewing: %v", err)
	}
	lags(c, slow, revoked) // it may not have got the answer
	w.mustLink(c)
	lags(slow, revoked)
	if err := w.Revoke(revoked.ID()); err != nil {
		t.Fatal(err)
	}
	fresh, err := enrol.Join(t.Context(), invited, "")
	if err != nil {
		t.Fatal(err)
	}
	lags(slow, fresh)
	w.mustLink(fresh)
	for range 2 {
		if err := w.ask(slowConn, slow); err != nil {
			t.Fatal(err)
		}
	}
	w.mustLink(slow)
	if err := w.FinishRotation(); err != nil {
		t.Fatal(err)
	}
	if n := w.Generations(); n != 1 {
		t.Errorf("%d generations of keys are kept", n)
	}
	if !slices.Equal(w.EdgeCertificate().Certificate[1], w.CA().Raw) {
		t.Error("the edge shows a certificate of the former authority")
	}
	if w.Signer().ID == oldKey || w.Rotating() {
		t.Error("the key for assertions is the old one")
	}
	if keys := w.Keys(); len(keys) != 2 || keys[0].ID != w.Signer().ID || keys[1].ID != oldKey {
		t.Errorf("got %v, want the new key and, for a moment, the former", keys)
	}
	for _, c := range []*enrol.Credential{c, slow, fresh} {
		w.mustLink(c)
	}
	if _, err := w.link(old); err == nil {
		t.Error("a certificate of the former authority is taken")
	}
	forged := oldCA.Forge(enrol.KeyOf(c.Certificate()), w.Deployment(), "connector", c.ID(), time.Now(), time.Hour)
	if _, err := dial(w.addr, withPair(forged)); err == nil {
		t.Error("the former authority's key still makes connectors")
	}
	late := w.mustLink(c)
	if err := w.ask(late, c); err != nil {
		t.Fatal(err)
	}
	edge := oldCA.Forge(nil, w.Deployment(), "edge", "edge-1", time.Now(), time.Hour)
	if _, err := dial(serveTLS(t, servePair(edge)), c.TLS()); !errors.Is(err, enrol.ErrStranger) {
		t.Errorf("the former authority's key still makes edges: got %v", err)
	}
	at.set(enrol.FormerLife + time.Second)
	if keys := w.Keys(); len(keys) != 1 {
		t.Errorf("the former key is believed after %v", enrol.FormerLife)
	}
}

// SYSTEM P3: a connector that uses its new key with an answer from before the rotation has not heard of it yet.
func TestALateAnswerDoesNotCountForARotation(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	conn := w.mustLink(c)
	c.Want()
	ask := func() []byte {
		t.Helper()
		message, err := c.Renewal()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := say(conn, message)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	before := ask()
	if err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	ask() // for the same key, by the next authority; the answer is lost
	if err := c.Control(before); err != nil {
		t.Fatal(err)
	}
	again := w.mustLink(c)
	if err := w.FinishRotation(); !errors.As(err, new(*enrol.Lagging)) {
		t.Fatalf("got %v: it would be left behind", err)
	}
	for range 2 {
		if err := w.ask(again, c); err != nil {
			t.Fatal(err)
		}
	}
	w.mustLink(c)
	if err := w.FinishRotation(); err != nil {
		t.Error(err)
	}
	w.mustLink(c)
}

// A connector that ended long ago holds nobody up; one that can still renew does.
func TestARotationWaitsForWhoCanComeBack(t *testing.T) {
	var at clock
	w := newWorld(t, at.config)
	w.mustLink(w.join())
	if err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	at.set(enrol.CertificateLife + enrol.Grace - time.Hour)
	if err := w.FinishRotation(); !errors.As(err, new(*enrol.Lagging)) {
		t.Errorf("got %v", err)
	}
	at.set(enrol.CertificateLife + enrol.Grace + time.Hour)
	if err := w.FinishRotation(); err != nil {
		t.Error(err)
	}
}

// Several processes that begin a rotation at once begin one; the others of the folder hear of it at once.
func TestProcessesAgreeOnARotation(t *testing.T) {
	w := newWorld(t)
	var begun, refused atomic.Int64
	var all sync.WaitGroup
	others := []*enrol.Authority{w.another(), w.another(), w.another(), w.another()}
	for _, a := range others {
		all.Go(func() {
			for range 3 {
				err := a.Rotate()
				switch {
				case err == nil:
					begun.Add(1)
				case errors.Is(err, enrol.ErrRotating):
					refused.Add(1)
				case !strings.Contains(err.Error(), "same moment"):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if begun.Load() != 1 || refused.Load() == 0 {
		t.Errorf("%d have begun, want 1", begun.Load())
	}
	want := w.another().Keys()
	for _, a := range append(others, w.Authority) {
		for range 100 { // what runs hears of it within a moment
			if len(a.Keys()) == 2 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := a.Keys(); len(got) != 2 || got[1].ID != want[1].ID {
			t.Errorf("another process knows other keys: %v", got)
		}
	}
}

// SYSTEM P3: many changes at once by several processes all happen, one after the other, or say that they did not.
func TestNoChangeIsLost(t *testing.T) {
	w := newWorld(t)
	var done atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		a := w.another()
		all.Go(func() {
			for range 12 {
				if a.Rotate() == nil {
					if err := a.FinishRotation(); err == nil {
						done.Add(1)
					}
				} else if a.FinishRotation() == nil {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	a := w.another()
	generation := int64(a.Generation())
	steps := 2 * done.Load()
	if a.Rotating() {
		steps++
	}
	// Who is overtaken while it looks whether its change counts may be told to try again though it does. What is reported is there.
	if generation < steps+1 {
		t.Errorf("%d steps were reported, and the folder has %d behind it", steps, generation-1)
	}
	if n := a.Generations(); n != 1 {
		t.Errorf("%d generations are kept, with keys that are not used any more", n)
	}
	// The edge goes by what it read a moment ago, and so many rotations within one moment leave it behind until the next.
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		c, err := enrol.Join(t.Context(), w.invite(), "")
		if err == nil {
			_, err = w.link(c)
		}
		if err == nil {
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal(err)
		}
	}
}
