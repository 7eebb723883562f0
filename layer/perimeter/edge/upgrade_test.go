package edge_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// echo is an application that says again what it hears, by a WebSocket library of its own.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(4 << 20)
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, text); err != nil {
			return
		}
	}
})

func (w *world) webSocket(path string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, w.url(path), &websocket.DialOptions{HTTPClient: w.client(false)})
	if err == nil {
		c.SetReadLimit(4 << 20)
		w.Cleanup(func() { c.CloseNow() })
	}
	return c, resp, err
}

// SYSTEM P2: a WebSocket works, with messages of any size, and is counted in the log when it is over.
func TestWebSocket(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(echo)
	c, resp, err := w.webSocket("/socket")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 {
		t.Errorf("got %d", resp.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		said := strings.Repeat("x", size)
		if err := c.Write(ctx, websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if _, heard, err := c.Read(ctx); err != nil || string(heard) != said {
			t.Fatalf("%d bytes: got %d, %v", size, len(heard), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Error(err)
	}
	w.eventually("the line is written", func() bool { return strings.Contains(w.access.String(), `"status":101`) })
	if got := w.access.String(); strings.Contains(got, `"out":0`) || strings.Contains(got, `"in":0`) {
		t.Errorf("nothing was counted: %s", got)
	}
}

const opening = "GET /x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// acceptance is what belongs to the key in opening, by RFC 6455 section 1.3.
const acceptance = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

func TestAcceptanceIsTheStandards(t *testing.T) {
	sum := sha1.Sum([]byte("dGhlIHNhbXBsZSBub25jZQ==" + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != acceptance {
		t.Errorf("got %s", got)
	}
}

// switching takes an upgrade over by hand.
func switching(accept string, then func(c net.Conn, b *bufio.ReadWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Accept", accept)
		w.Header().Set("Server", "leaky/1.0")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		then(c, b)
	})
}

// SYSTEM P6: one direction may end before the other, whichever it is.
func TestUpgradeClosesByHalves(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(switching(acceptance, func(c net.Conn, b *bufio.ReadWriter) {
		heard, _ := io.ReadAll(b)
		fmt.Fprintf(c, "heard %s", heard)
	}))
	c := w.dialRaw()
	io.WriteString(c, strings.ReplaceAll(opening, "HOST", w.host))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Server") != "" || resp.Header.Get("Sec-WebSocket-Accept") != acceptance {
		t.Fatalf("got %+v, %v", resp, err)
	}
	io.WriteString(c, "all of it")
	c.CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "heard all of it" {
		t.Errorf("got %q, %v", got, err)
	}
}

// SYSTEM P6: an upgrade is no way to say to the application, or to make the client believe, what the edge has not read.
func TestUpgradeSmuggling(t *testing.T) {
	hidden := "GET /hidden HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
	for _, a := range []struct {
		name    string
		request string
		app     http.Handler
		want    string // the first status
	}{
		{"a request after an upgrade that the application declines", opening + hidden, hello, ""},
		{"a request behind an upgrade to something else", strings.Replace(opening, "websocket", "h2c", 1) + hidden, hello, "501"},
		{"a 101 that accepts another key", opening, switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", func(c net.Conn, _ *bufio.ReadWriter) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }), "502"},
		{"a 101 that accepts nothing", opening, switching("", func(c net.Conn, _ *bufio.ReadWriter) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }), "502"},
		{"bytes before the answer", opening + "\x81\x05hello", switching(acceptance, func(net.Conn, *bufio.ReadWriter) {}), ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			var hiddenSeen atomic.Bool
			w := newWorld(t, edge.Times{})
			w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hidden" {
					hiddenSeen.Store(true)
				}
				a.app.ServeHTTP(w, r)
			}))
			got := w.raw(a.request)
			if a.want != "" && !strings.HasPrefix(got, "HTTP/1.1 "+a.want) {
				t.Errorf("got %.60q, want %s", got, a.want)
			}
			if hiddenSeen.Load() || strings.Count(got, "HTTP/1.1 ") > 1 || strings.Contains(got, "/hidden") || strings.Contains(got, " 101 ") {
				t.Errorf("got %.200q; the hidden request was seen: %t", got, hiddenSeen.Load())
			}
		})
	}
	t.Run("a request sent after the application has declined", func(t *testing.T) {
		w := newWorld(t, edge.Times{})
		w.connect(hello)
		c := w.dialRaw()
		io.WriteString(c, strings.ReplaceAll(opening, "HOST", w.host))
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 || !resp.Close {
			t.Fatalf("got %+v, %v; want 200 and the connection's end", resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		io.WriteString(c, strings.ReplaceAll(hidden, "HOST", w.host))
		if got, _ := io.ReadAll(r); len(got) > 0 {
			t.Errorf("got %.60q, want nothing", got)
		}
	})
}

// SYSTEM P4 P6: an upgraded connection ends in silence, when its caller may no longer pass, and when either side goes.
func TestUpgradedConnectionsEnd(t *testing.T) {
	ended := make(chan struct{})
	for _, x := range []struct {
		name  string
		times edge.Times
		gate  gate
		do    func(w *world, c *tls.Conn)
	}{
		{"in silence", edge.Times{Silence: 200 * time.Millisecond}, everybody, func(*world, *tls.Conn) {}},
		{"when the client goes", edge.Times{}, everybody, func(_ *world, c *tls.Conn) { c.NetConn().Close() }},
		{"when the session ends", edge.Times{Recheck: 100 * time.Millisecond}, func(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
			return access.Admission{Who: nobody, Ended: ended}, false
		}, func(*world, *tls.Conn) { close(ended) }},
		{"when the policy changes", edge.Times{Recheck: 100 * time.Millisecond}, func(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
			return access.Admission{Who: nobody, Again: func() bool { return false }}, false
		}, func(*world, *tls.Conn) {}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, x.times, func(c *edge.Config) { c.Gate = x.gate })
			over := make(chan struct{})
			w.connect(switching(acceptance, func(c net.Conn, b *bufio.ReadWriter) { io.Copy(io.Discard, b); close(over) }))
			c := w.dialRaw()
			io.WriteString(c, strings.ReplaceAll(opening, "HOST", w.host))
			r := bufio.NewReader(c)
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
				t.Fatalf("got %+v, %v", resp, err)
			}
			x.do(w, c)
			select {
			case <-over:
			case <-time.After(5 * time.Second):
				t.Error("the application was not told within 5 s")
			}
			if n, _ := r.Read(make([]byte, 1)); n != 0 {
				t.Error("the client got something")
			}
			w.eventually("the line is written", func() bool { return strings.Contains(w.access.String(), `"status":101`) })
		})
	}
}

// SYSTEM P6: an edge that stops says so to WebSockets in their own protocol, and does not wait for them.
func TestGoingAway(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(echo)
	c, _, err := w.webSocket("/")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c.Write(ctx, websocket.MessageText, []byte("hello"))
	if _, _, err := c.Read(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.stop()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v, want it to be told that the server goes away", err)
	}
	err = <-w.served
	w.served <- nil
	if err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("stopped after %v with %v", time.Since(began), err)
	}
}

func TestFramesAreFollowed(t *testing.T) {
	long := append([]byte{0x82, 126, 0x01, 0x00}, make([]byte, 256)...)
	longer := append([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, make([]byte, 65536)...)
	for _, c := range []struct {
		name   string
		pieces [][]byte
		want   bool
	}{
		{"nothing", nil, true},
		{"an empty frame", [][]byte{{0x81, 0}}, true},
		{"half a head", [][]byte{{0x81}}, false},
		{"a frame in two pieces", [][]byte{{0x81, 2, 'a'}, {'b'}}, true},
		{"a frame that is not whole", [][]byte{{0x81, 2, 'a'}}, false},
		{"two frames", [][]byte{{0x81, 1, 'a', 0x81, 1, 'b'}}, true},
		{"a length of two bytes", [][]byte{long}, true},
		{"a length of two bytes, cut", [][]byte{long[:100]}, false},
		{"a length of eight bytes, in pieces", [][]byte{longer[:5], longer[5:11], longer[11:]}, true},
		{"a masked frame, which no server sends", [][]byte{{0x81, 0x81, 0, 0, 0, 0, 0}}, false},
	} {
		if got := edge.Between(c.pieces...); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
