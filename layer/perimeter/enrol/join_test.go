package enrol_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// SYSTEM P3: a connector is enrolled with an invitation, keeps what it got, and finds it again.
func TestAnInvitationEnrols(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "credential.json")
	c, err := enrol.Join(t.Context(), w.invite(), file)
	if err != nil {
		t.Fatal(err)
	}
	w.mustLink(c)
	if c.Application() != "wiki" || len(c.Edges()) != 1 || c.Edges()[0] != w.addr || len(c.Keys()) != 1 || c.Keys()[0].ID != w.Signer().ID {
		t.Errorf("got %v with edges %v and keys %v", c, c.Edges(), c.Keys())
	}
	if left := time.Until(c.Expires()); left < enrol.CertificateLife-time.Minute || left > enrol.CertificateLife {
		t.Errorf("the certificate is good for %v", left)
	}
	again, err := enrol.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != c.ID() || again.Pin() != c.Pin() {
		t.Errorf("loaded %v, want %v", again, c)
	}
	w.mustLink(again)
	all := w.connectors()
	if len(all) != 1 || all[0].ID != c.ID() || all[0].Application != "wiki" || all[0].Pin != c.Pin() || !all[0].Expires.Truncate(time.Second).Equal(c.Expires()) {
		t.Errorf("got %v", all)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("the credential has mode %04o", info.Mode().Perm())
	}
}

// The application of the same machine needs no invitation; another process is handed its credential.
func TestAProvisionedConnectorIsHandedOver(t *testing.T) {
	w := newWorld(t)
	c, err := w.Provision("commons", []string{w.addr})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var other enrol.Credential
	if err := json.Unmarshal(text, &other); err != nil {
		t.Fatal(err)
	}
	w.mustLink(&other)
	if other.Application() != "commons" {
		t.Errorf("got %v", &other)
	}
	for name, bad := range map[string]func() error{
		"no name":   func() error { _, err := w.Provision("", []string{w.addr}); return err },
		"no edge":   func() error { _, err := w.Provision("x", nil); return err },
		"bad edge":  func() error { _, err := w.Invite("x", []string{"localhost"}); return err },
		"same edge": func() error { _, err := w.Invite("x", []string{"a:1", "a:1"}); return err },
	} {
		if bad() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// SYSTEM P3: an invitation is good once, whoever uses it and however many at once.
func TestAReplayedInvitationIsRefused(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	var won, refused atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := enrol.Join(t.Context(), token, "")
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, enrol.ErrRefused):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || refused.Load() != 19 {
		t.Errorf("%d were enrolled and %d refused, want 1 and 19", won.Load(), refused.Load())
	}
	if got := len(w.connectors()); got != 1 {
		t.Errorf("%d connectors are enrolled, want 1", got)
	}
	if _, err := enrol.Join(t.Context(), token, ""); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("used once more: got %v", err)
	}
	if strings.Contains(w.log.String(), token[20:60]) {
		t.Error("the log holds the invitation")
	}
}

// SYSTEM P3: an old invitation, one of another deployment, and a guessed one are answered alike.
func TestAnInvitationIsForOneDeploymentAndAQuarterOfAnHour(t *testing.T) {
	var c clock
	w, other := newWorld(t, c.config), newWorld(t)
	old, good := w.invite(), w.invite()
	c.set(enrol.InvitationLife + time.Second)
	if _, err := enrol.JoinAt(t.Context(), old, "", c.now); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("an old invitation: got %v", err)
	}
	c.set(enrol.InvitationLife - time.Minute)
	if _, err := enrol.JoinAt(t.Context(), good, "", c.now); err != nil {
		t.Errorf("one of fourteen minutes: got %v", err)
	}
	c.set(0)
	// The other deployment's, whose holder is led to this edge: he says nothing, because the edge is none of his.
	foreign, err := other.Invite("wiki", []string{w.addr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Join(t.Context(), foreign, ""); !errors.Is(err, enrol.ErrStranger) {
		t.Errorf("an invitation of another deployment: got %v", err)
	}
	// The same secret with this edge's authority, as its thief would write it.
	forged := enrol.Redirect(foreign, w.invite())
	if _, err := enrol.Join(t.Context(), forged, ""); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("a secret of another deployment: got %v", err)
	}
}

// SYSTEM P3: who stands in between gets nothing to use: the connector does not say its secret to him.
func TestTheSecretIsSaidToTheDeploymentOnly(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	heard := make(chan int, 1)
	pair := enrol.Stranger().Forge(nil, w.Deployment(), "edge", "edge-1", time.Now(), time.Hour)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{enrol.Protocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		n, _ := io.Copy(io.Discard, conn)
		heard <- int(n)
	}()
	between := enrol.MoveTo(token, l.Addr().String())
	if _, err := enrol.Join(t.Context(), between, ""); !errors.Is(err, enrol.ErrStranger) {
		t.Errorf("got %v", err)
	}
	if n := <-heard; n != 0 {
		t.Errorf("%d bytes were said to a stranger", n)
	}
	if _, err := enrol.Join(t.Context(), token, ""); err != nil {
		t.Errorf("afterwards, at the right place: %v", err)
	}
}

// SYSTEM P3: an edge of the deployment that went astray cannot enrol a connector somewhere else, or for something else.
func TestAConnectorIsEnrolledWhereItWasInvited(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	for _, a := range []struct {
		name, application string
		deployment        string
		trusts            *world
		taken             bool
	}{
		{"the answer that was asked for", "wiki", w.Deployment(), w, true},
		{"for another application", "other", w.Deployment(), w, false},
		{"in another deployment's name", "wiki", other.Deployment(), w, false},
		{"with another deployment's keys", "wiki", w.Deployment(), other, false},
	} {
		t.Run(a.name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*w.EdgeCertificate()}, NextProtos: []string{enrol.Protocol}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				w.AnswerAs(conn, a.trusts.Authority, a.application, a.deployment, l.Addr().String())
			}()
			_, err = enrol.Join(t.Context(), enrol.MoveTo(w.invite(), l.Addr().String()), "")
			if (err == nil) != a.taken {
				t.Errorf("got %v, want it taken: %v", err, a.taken)
			}
		})
	}
}

// SYSTEM P3: a message that was captured on one connection is worth nothing on another.
func TestAMessageIsBoundToItsConnection(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	conn := func() *tls.Conn {
		c, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second, third := conn(), conn(), conn()
	captured := enrol.Redeem(token, enrol.Session(first.ConnectionState()))
	for _, try := range []struct {
		name    string
		conn    *tls.Conn
		message []byte
		want    string
	}{
		{"on another connection", second, captured, `{"is":"refused"}`},
		{"on its own", first, captured, `"is":"done"`},
		{"after its use", third, enrol.Redeem(token, enrol.Session(third.ConnectionState())), `{"is":"refused"}`},
	} {
		got, err := say(try.conn, try.message)
		if err != nil || !strings.Contains(string(got), try.want) {
			t.Errorf("%s: got %q and %v", try.name, got, err)
		}
	}
}

// Every message that cannot be honest is answered alike, and within its time.
func TestTheDoorAnswersNonsenseAlike(t *testing.T) {
	w := newWorld(t)
	for name, message := range map[string]string{
		"nothing":             "",
		"no JSON":             "\x00\x01\x02",
		"an unknown member":   `{"ask":"join","more":1}`,
		"a question for news": `{"ask":"news"}`,
		"an empty secret":     `{"ask":"join","secret":"","key":"AA==","proof":"AA=="}`,
		"a key that is none":  `{"ask":"join","secret":"` + strings.Repeat("A", 43) + `=","key":"AA==","proof":"AA=="}`,
		"a renewal by nobody": `{"ask":"renew","key":"AA==","proof":"AA=="}`,
		"two values":          `{"ask":"news"}{}`,
	} {
		conn, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		got, err := say(conn, []byte(message))
		if err != nil || string(got) != `{"is":"refused"}` {
			t.Errorf("%s: got %q and %v", name, got, err)
		}
		conn.Close()
	}
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	conn.Write([]byte{(enrol.MaxMessage + 1) >> 8, (enrol.MaxMessage + 1) & 0xff}) // that much is announced, and nothing of it awaited
	if got, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(got), `{"is":"refused"}`) {
		t.Errorf("too much: got %q and %v", got, err)
	}
	if got := len(w.connectors()); got != 0 {
		t.Errorf("%d connectors are enrolled", got)
	}
}

// An address that tries too often is slowed down, and its invitation is not spent by that.
func TestManyAttemptsAreSlowedDown(t *testing.T) {
	w := newWorld(t)
	wrong := enrol.Redirect(newWorld(t).invite(), w.invite())
	limited := false
	for range 60 {
		_, err := enrol.Join(t.Context(), wrong, "")
		limited = limited || errors.Is(err, enrol.ErrLater)
	}
	if !limited {
		t.Error("sixty attempts from one address are all looked at")
	}
	if n := enrol.Remembered(5000); n > 1024 {
		t.Errorf("%d addresses are remembered", n)
	}
	token := w.invite()
	if _, err := enrol.Join(t.Context(), token, ""); !errors.Is(err, enrol.ErrLater) {
		t.Errorf("the next one: got %v", err)
	}
	c := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := tls.DialWithDialer(c, "tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := say(conn, enrol.Redeem(token, enrol.Session(conn.ConnectionState())))
	if err != nil || !strings.Contains(string(got), `"is":"done"`) {
		t.Errorf("from another address: got %q and %v", got, err)
	}
}

// Who says nothing is let go, and so many hold no place for ever.
func TestASilentVisitorIsLetGo(t *testing.T) {
	w := newWorld(t)
	w.SetPatience(2 * time.Second)
	var all sync.WaitGroup
	for range enrol.Enrolments + 4 {
		conn, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it was not let go")
			}
		})
	}
	all.Wait()
	if enrol.Conversation > 10*time.Second {
		t.Errorf("it takes %v", enrol.Conversation)
	}
	w.join()
}

// A token that was cut, mistyped or edited is told from a whole one before anything is dialled.
func TestADamagedTokenIsNamedAsSuch(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	for name, bad := range map[string]string{
		"empty": "", "cut": token[:len(token)-1], "without its beginning": token[8:], "with a tail": token + "A",
		"mistyped": token[:30] + other(token[30:31]) + token[31:], "too long": token + strings.Repeat("A", enrol.MaxToken),
		"another thing": "redoubt-invite-" + strings.Repeat("A", 100),
	} {
		if _, err := enrol.Join(t.Context(), bad, ""); err == nil || !strings.Contains(err.Error(), "whole invitation") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := enrol.Join(t.Context(), " "+token+"\n", ""); err != nil {
		t.Errorf("with space around it: %v", err)
	}
}

// other is another letter of the alphabet that tokens are written in.
func other(letter string) string {
	if letter == "A" {
		return "B"
	}
	return "A"
}

// An edge that cannot be reached is passed over for the next one. A file that cannot be written is noticed before the token is spent.
func TestJoinTriesEdgesInTurnAndFilesFirst(t *testing.T) {
	w := newWorld(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	token, err := w.Invite("wiki", []string{closed.Addr().String(), w.addr})
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"no folder": filepath.Join(t.TempDir(), "none", "c.json"), "a folder": t.TempDir()} {
		if _, err := enrol.Join(t.Context(), token, file); err == nil || errors.Is(err, enrol.ErrRefused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "c.json")
	if _, err := enrol.Join(t.Context(), token, file); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := enrol.Join(ctx, w.invite(), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: got %v", err)
	}
}

// What others may have read or changed is refused, by name; so is what is no credential.
func TestACredentialFileIsPrivate(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "credential.json")
	if _, err := enrol.Join(t.Context(), w.invite(), file); err != nil {
		t.Fatal(err)
	}
	good, _ := os.ReadFile(file)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		os.Chmod(file, mode)
		if _, err := enrol.Load(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("mode %04o: got %v", mode, err)
		}
	}
	os.Chmod(file, 0o600)
	for name, content := range map[string]string{
		"empty": "", "nonsense": "x", "cut": string(good[:len(good)/2]), "twice": string(good) + string(good), "too large": strings.Repeat(" ", 65<<10),
		"another name": strings.Replace(string(good), `"id": "`, `"id": "0`, 1), "no edges": strings.Replace(string(good), w.addr, "nowhere", 1),
	} {
		os.WriteFile(file, []byte(content), 0o600)
		if _, err := enrol.Load(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	os.WriteFile(file, good, 0o600)
	if _, err := enrol.Load(file); err != nil {
		t.Error(err)
	}
}

// SYSTEM U5 S6: neither key nor certificate appears in what is printed.
func TestACredentialNeverPrintsItsKey(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	secret := fmt.Sprintf("%x", c.Secrets()[40:60])
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credential", c)
	printed := map[string]string{"slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed[verb] = fmt.Sprintf(verb, c)
	}
	for how, got := range printed {
		if strings.Contains(got, secret) || !strings.Contains(got, c.ID()) {
			t.Errorf("%s prints %s", how, got)
		}
	}
}
