package enrol_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv("ENROL_TEST_FOLDER"); folder != "" {
		busy(folder) // until it is killed
	}
	if file := os.Getenv("ENROL_TEST_CREDENTIAL"); file != "" {
		renewing(file) // likewise
	}
	os.Exit(m.Run())
}

// busy changes a deployment as fast as it can.
func busy(folder string) {
	f, err := state.Open(folder)
	if err == nil {
		var a *enrol.Authority
		if a, err = enrol.Open(f, "edge-2"); err == nil {
			for {
				fmt.Print(".")
				a.Invite("wiki", []string{"edge.example:443"})
				a.Rotate()
				if c, err := a.Provision("app", []string{"edge.example:443"}); err == nil {
					a.Revoke(c.ID())
				}
				a.FinishRotation()
			}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// SYSTEM P3: an edge that is killed at any moment leaves a folder that the next one can use, and nobody enrolled who was not.
func TestAKilledEdgeLeavesTheFolderWhole(t *testing.T) {
	folder := t.TempDir()
	var last uint64
	for range 12 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "ENROL_TEST_FOLDER="+folder)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 2)); err != nil { // it is at its second round
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.N(60)) * time.Millisecond)
		child.Process.Kill()
		child.Wait()
		w := newWorldIn(t, folder)
		for _, p := range w.connectors() { // one that was enrolled, and not yet revoked: its credential is lost with its process
			if p.Application != "app" {
				t.Errorf("%v is enrolled", p)
			}
			if err := w.Revoke(p.ID); err != nil {
				t.Error(err)
			}
		}
		c, err := w.Provision("check", []string{w.addr})
		if err != nil {
			t.Fatal(err)
		}
		w.mustLink(c)
		if err := w.Revoke(c.ID()); err != nil {
			t.Error(err)
		}
		if w.Generations() != 1 || w.Generation() < last {
			t.Errorf("%d generations, the last is %d after %d", w.Generations(), w.Generation(), last)
		}
		last = w.Generation()
	}
	if last < 5 {
		t.Errorf("the authority was changed %d times in all: the test shows nothing", last)
	}
}

// renewing replaces a connector's certificate as fast as it can.
func renewing(file string) {
	c, err := enrol.Load(file)
	for err == nil {
		var conn net.Conn
		if conn, err = dial(c.Edges()[0], c.TLS()); err != nil {
			break
		}
		c.Want()
		var message []byte
		if message, err = c.Renewal(); err != nil {
			break
		}
		if message, err = say(conn, message); err == nil {
			err = c.Control(message)
		}
		conn.Close()
		fmt.Print(".")
	}
	fmt.Println(err)
	os.Exit(1)
}

// SYSTEM P3: a connector that is killed at any moment, in the middle of a renewal too, starts again with what it has kept.
func TestAKilledConnectorStartsAgain(t *testing.T) {
	w := newWorld(t, func(c *enrol.Config) { c.Life = time.Minute })
	file := filepath.Join(t.TempDir(), "credential.json")
	c, err := enrol.Join(t.Context(), w.invite(), file)
	if err != nil {
		t.Fatal(err)
	}
	pins := map[enrol.Pin]bool{c.Pin(): true}
	for range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "ENROL_TEST_CREDENTIAL="+file)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.N(10)) * time.Millisecond)
		child.Process.Kill()
		child.Wait()
		again, err := enrol.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		w.mustLink(again)
		pins[again.Pin()] = true
	}
	if len(pins) < 5 || w.KeysOnRecord() > 4 || len(w.connectors()) != 1 {
		t.Errorf("%d keys were seen, %d are on record, for %d connectors", len(pins), w.KeysOnRecord(), len(w.connectors()))
	}
}

// Several edges that start at once on an empty folder have one authority.
func TestEdgesThatStartAtOnceAgree(t *testing.T) {
	for range 5 {
		folder := t.TempDir()
		var all [6]*enrol.Authority
		var starts sync.WaitGroup
		for i := range all {
			starts.Go(func() {
				f, err := state.Open(folder)
				if err == nil {
					all[i], err = enrol.Open(f, "edge-1")
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		starts.Wait()
		if t.Failed() {
			return
		}
		for _, a := range all[1:] {
			if a.Deployment() != all[0].Deployment() || a.Signer().ID != all[0].Signer().ID || !a.CA().Equal(all[0].CA()) {
				t.Error("two edges have different authorities")
			}
		}
		if n := all[0].Generations(); n != 1 {
			t.Errorf("%d authorities are kept", n)
		}
	}
}

// SYSTEM P6: a full disk ends nothing that runs, and loses nothing: what cannot be written is refused, and done when there is room.
func TestAFullDiskStopsNothing(t *testing.T) {
	if !apart(t) {
		return
	}
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "credential.json")
	kept, err := enrol.Join(t.Context(), w.invite(), file)
	if err != nil {
		t.Fatal(err)
	}
	c, gone, token := w.join(), w.join(), w.invite()
	conn, keptConn := w.mustLink(c), w.mustLink(kept)
	pin, keptPin, generation := c.Pin(), kept.Pin(), w.Generation()
	restore := fullDisk(t)

	for name, err := range map[string]error{
		"an invitation":   func() error { _, err := w.Invite("wiki", []string{w.addr}); return err }(),
		"a rotation":      w.Rotate(),
		"an announcement": w.Announce([]string{"edge.example:443"}),
		"a provision":     func() error { _, err := w.Provision("wiki", []string{w.addr}); return err }(),
	} {
		if err == nil {
			t.Errorf("%s succeeds", name)
		}
	}
	if _, err := enrol.Join(t.Context(), token, ""); !errors.Is(err, enrol.ErrLater) {
		t.Errorf("joining: got %v", err)
	}
	c.Want()
	if err := w.ask(conn, c); !errors.Is(err, enrol.ErrLater) || c.Pin() != pin {
		t.Errorf("renewing: got %v", err)
	}
	w.mustLink(c)
	w.mustLink(kept)
	if err := w.Revoke(gone.ID()); err != nil {
		t.Errorf("revoking: %v", err)
	}
	if _, err := w.link(gone); err == nil {
		t.Error("a revoked connector links")
	}
	if w.Generation() != generation {
		t.Error("the authority changed")
	}
	restore()

	if _, err := enrol.Join(t.Context(), token, ""); err != nil {
		t.Errorf("joining afterwards, with the same invitation: %v", err)
	}
	if err := w.ask(conn, c); err != nil || c.Pin() == pin {
		t.Errorf("renewing afterwards: %v", err)
	}
	if n := len(w.connectors()); n != 3 {
		t.Errorf("%d connectors are enrolled, want 3", n)
	}

	// The connector's own disk: it goes on with what it has.
	kept.Want()
	message, err := kept.Renewal()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := say(keptConn, message)
	if err != nil {
		t.Fatal(err)
	}
	restore = fullDisk(t)
	if err := kept.Control(answer); err == nil || kept.Pin() != keptPin {
		t.Errorf("an answer that cannot be kept: got %v", err)
	}
	w.mustLink(kept)
	if _, err := enrol.Join(t.Context(), token, filepath.Join(t.TempDir(), "c")); err == nil || errors.Is(err, enrol.ErrRefused) {
		t.Errorf("joining without room for the credential: got %v", err)
	}
	restore()
	if again, err := enrol.Load(file); err != nil || again.Pin() != keptPin {
		t.Errorf("the file was changed: %v", err)
	}
	if err := w.ask(keptConn, kept); err != nil || kept.Pin() == keptPin {
		t.Errorf("asking again: %v", err)
	}
	w.mustLink(kept)
}

// A deployment is not founded on a full disk, and is founded afterwards.
func TestNoAuthorityIsFoundedOnAFullDisk(t *testing.T) {
	if !apart(t) {
		return
	}
	f, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	restore := fullDisk(t)
	if _, err := enrol.Open(f, "edge-1"); err == nil {
		t.Error("it is founded")
	}
	restore()
	if _, err := enrol.Open(f, "edge-1"); err != nil {
		t.Error(err)
	}
}

// An edge whose folder cannot be read any more goes on with what it knows; one that starts says what is wrong, by the file's name.
func TestADamagedFolderIsNamed(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	entries, err := os.ReadDir(filepath.Join(w.folder, "authority"))
	if err != nil || len(entries) != 1 {
		t.Fatal(err, len(entries))
	}
	file := filepath.Join(w.folder, "authority", entries[0].Name())
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		f, err := state.Open(w.folder)
		if err != nil {
			return err
		}
		_, err = enrol.Open(f, "edge-1")
		return err
	}
	for name, damage := range map[string]func() error{
		"cut":        func() error { return os.WriteFile(file, good[:len(good)/2], 0o600) },
		"empty":      func() error { return os.WriteFile(file, nil, 0o600) },
		"open":       func() error { return os.Chmod(file, 0o644) },
		"other JSON": func() error { return os.WriteFile(file, []byte(`{"content":"e30="}`), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || name != "other JSON" && !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", name, err)
		}
		time.Sleep(250 * time.Millisecond)
		w.mustLink(c)
		os.WriteFile(file, good, 0o600)
		os.Chmod(file, 0o600)
	}
	if err := open(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.log.String(), "stays in force") {
		t.Error("the edge that goes on does not say so")
	}
}

func TestAnAuthoritysConfigurationIsChecked(t *testing.T) {
	_, err := enrol.New(enrol.Config{Edge: "Edge 1", Life: time.Second})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want three problems", err)
	}
}

// The folder takes a bounded number of invitations and connectors. Connectors that cannot come back make room.
func TestTheFolderIsBounded(t *testing.T) {
	var at clock
	w := newWorld(t, at.config)
	for range enrol.MaxInvitations {
		w.invite()
	}
	if _, err := w.Invite("wiki", []string{w.addr}); err == nil || !strings.Contains(err.Error(), "256") {
		t.Errorf("one invitation more: got %v", err)
	}
	w.SetConnectors(t, 3)
	for range 3 {
		if _, err := w.Provision("app", []string{w.addr}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Provision("app", []string{w.addr}); !errors.Is(err, state.ErrFull) {
		t.Errorf("one connector more: got %v", err)
	}
	if n := w.KeysOnRecord(); n != 3 {
		t.Errorf("%d keys are on record, want 3", n)
	}
	at.set(enrol.CertificateLife + enrol.Grace + time.Hour)
	c, err := w.Provision("app", []string{w.addr})
	if err != nil {
		t.Fatal(err)
	}
	if all := w.connectors(); len(all) != 1 || all[0].ID != c.ID() || w.KeysOnRecord() != 1 {
		t.Errorf("got %v and %d keys", all, w.KeysOnRecord())
	}
}
