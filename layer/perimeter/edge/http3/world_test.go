package http3_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
)

var identity = func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"app.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}()

func trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(identity.Leaf)
	return &tls.Config{ServerName: "app.example", RootCAs: roots, NextProtos: []string{"h3"}}
}

// A world is a server on a loopback socket.
type world struct {
	t      testing.TB
	server *http3.Server
	socket net.PacketConn
	addr   string
	log    logbook
	stop   func() error // ends the server and returns what Serve did
}

func newWorld(t testing.TB, handler http.HandlerFunc, times http3.Times, change ...func(*http3.Config)) *world {
	t.Helper()
	return newWorldOn(t, "127.0.0.1:0", handler, times, change...)
}

func newWorldOn(t testing.TB, addr string, handler http.HandlerFunc, times http3.Times, change ...func(*http3.Config)) *world {
	t.Helper()
	w := &world{t: t}
	config := http3.Config{
		Handler: handler, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &identity, nil },
		Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := http3.NewIn(config, times)
	if err != nil {
		t.Fatal(err)
	}
	w.server = s
	if w.socket, err = net.ListenPacket("udp", addr); err != nil {
		t.Fatal(err)
	}
	w.addr = w.socket.LocalAddr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, w.socket) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return w
}

// client is a browser: whatever the name, it leads to the server.
func (w *world) client() *http.Client {
	tr := &quichttp3.Transport{
		TLSClientConfig:    trust(),
		DisableCompression: true,
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, w.addr, t, q)
		},
	}
	w.t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr}
}

const origin = "https://app.example"

func get(t testing.TB, c *http.Client, path string) (int, string) {
	t.Helper()
	resp, err := c.Get(origin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// dial opens a connection by hand, with the control stream that every client must have (RFC 9114 section 6.2.1).
func (w *world) dial(change ...func(*quic.Config)) *quic.Conn {
	w.t.Helper()
	c, err := w.tryDial(change...)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) tryDial(change ...func(*quic.Config)) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	config := &quic.Config{KeepAlivePeriod: time.Second}
	for _, c := range change {
		c(config)
	}
	c, err := quic.DialAddr(ctx, w.addr, trust(), config)
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { c.CloseWithError(0, "") })
	control, err := c.OpenUniStream()
	if err != nil {
		return nil, err
	}
	_, err = control.Write([]byte{0x00, 0x04, 0x00}) // a control stream, and SETTINGS without any
	return c, err
}

// A field is one header field of a hand-made request.
type field struct{ name, value string }

func request(method, path string, more ...field) []field {
	return append([]field{{":method", method}, {":scheme", "https"}, {":authority", "app.example"}, {":path", path}}, more...)
}

// frame is an HTTP/3 frame.
func frame(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(nil, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}

const (
	dataFrame    = 0x0
	headersFrame = 0x1
)

// head is a HEADERS frame of whatever fields, lawful or not.
func head(fields ...field) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for _, f := range fields {
		if err := e.WriteField(qpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
			panic(err)
		}
	}
	return frame(headersFrame, b.Bytes())
}

// answer reads the status of a response, or the error that ended the stream.
func answer(str *quic.Stream) (string, error) {
	str.SetReadDeadline(time.Now().Add(10 * time.Second))
	r := quicvarint.NewReader(str)
	for {
		kind, err := quicvarint.Read(r)
		if err != nil {
			return "", err
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return "", err
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return "", err
		}
		if kind != headersFrame {
			continue
		}
		decode := qpack.NewDecoder().Decode(payload)
		f, err := decode()
		if err != nil || f.Name != ":status" {
			return "", err
		}
		return f.Value, nil
	}
}

// send writes a hand-made request and its end, and returns the answer.
func (w *world) send(c *quic.Conn, parts ...[]byte) (string, error) {
	w.t.Helper()
	str, err := c.OpenStreamSync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := str.Write(p); err != nil {
			break // refused meanwhile; the answer says so
		}
	}
	str.Close()
	return answer(str)
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("after 15 s it is not true that %s", what)
		}
	}
}

// A logbook collects what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
