package enrol_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// A world is one edge on loopback, with its authority. It takes links and does nothing with them but to answer messages.
type world struct {
	*testing.T
	*enrol.Authority
	folder string
	addr   string
	log    *logbook
}

type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, changes ...func(*enrol.Config)) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), changes...)
}

func newWorldIn(t *testing.T, folder string, changes ...func(*enrol.Config)) *world {
	t.Helper()
	w := &world{T: t, folder: folder, log: &logbook{}}
	w.Authority = w.another(changes...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.greet(raw) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return w
}

// another opens the folder as another process would.
func (w *world) another(changes ...func(*enrol.Config)) *enrol.Authority {
	w.Helper()
	f, err := state.Open(w.folder)
	if err != nil {
		w.Fatal(err)
	}
	c := enrol.Config{Folder: f, Edge: "edge-1", Log: slog.New(slog.NewJSONHandler(w.log, nil))}
	for _, change := range changes {
		change(&c)
	}
	a, err := enrol.New(c)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// greet does what an edge does. An accepted link hears one byte, and each of its messages is answered, framed as on a connection
// to be enrolled.
func (w *world) greet(raw net.Conn) {
	conn := tls.Server(raw, w.TLS())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if conn.HandshakeContext(ctx) != nil {
		raw.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == enrol.Protocol {
		w.Enrol(context.Background(), conn)
		return
	}
	defer conn.Close()
	p, err := w.Peer(conn.ConnectionState())
	if err != nil {
		return
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write([]byte("+"))
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		message := make([]byte, int(head[0])<<8|int(head[1]))
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		reply, err := w.Control(p, message)
		if err != nil {
			return
		}
		conn.Write(append([]byte{byte(len(reply) >> 8), byte(len(reply))}, reply...))
	}
}

func (w *world) invite() string {
	w.Helper()
	token, err := w.Invite("wiki", []string{w.addr})
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func (w *world) join() *enrol.Credential {
	w.Helper()
	c, err := enrol.Join(w.Context(), w.invite(), "")
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// dial tries to link, and says whether the edge took it: in TLS 1.3 its refusal comes after the client's handshake.
func dial(addr string, c *tls.Config) (*tls.Conn, error) {
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		conn.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			panic("neither taken nor refused")
		}
		return nil, err
	}
	return conn, nil
}

func (w *world) link(c *enrol.Credential) (*tls.Conn, error) {
	conn, err := dial(w.addr, c.TLS())
	if err == nil {
		w.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func (w *world) mustLink(c *enrol.Credential) *tls.Conn {
	w.Helper()
	conn, err := w.link(c)
	if err != nil {
		w.Fatalf("linking: %v", err)
	}
	return conn
}

// ask sends what a credential has to say over a link, and gives it the answer.
func (w *world) ask(conn net.Conn, c *enrol.Credential) error {
	w.Helper()
	message, err := c.Renewal()
	if err != nil {
		w.Fatal(err)
	}
	reply, err := say(conn, message)
	if err != nil {
		return err
	}
	return c.Control(reply)
}

func say(conn net.Conn, message []byte) ([]byte, error) {
	if _, err := conn.Write(append([]byte{byte(len(message) >> 8), byte(len(message))}, message...)); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, int(head[0])<<8|int(head[1]))
	_, err := io.ReadFull(conn, reply)
	return reply, err
}

func (w *world) connectors() []enrol.Peer {
	w.Helper()
	all, err := w.Connectors()
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// A clock can be put forward and back.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) set(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}

func (c *clock) config(e *enrol.Config) { e.Now = c.now }

// serveTLS answers one handshake after the other, and says nothing.
func serveTLS(t *testing.T, c *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				conn.(*tls.Conn).Handshake()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// apart runs a test in a process of its own, and reports whether this is it: a full disk would hinder the others, too.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv("ENROL_TEST_APART") != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "ENROL_TEST_APART=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// fullDisk lets this process write no byte to any file until the returned func is called: what a full disk does, short of filling one.
func fullDisk(t *testing.T) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), []byte("x"), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	return restore
}

func withPair(pair tls.Certificate) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{link.Protocol}, Certificates: []tls.Certificate{pair}}
}

func servePair(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{link.Protocol}, ClientAuth: tls.RequestClientCert}
}
