package edge_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// head builds a request head of exactly size bytes.
func (w *world) head(size int) string {
	head := "GET / HTTP/1.1\r\nHost: " + w.host + "\r\nConnection: close\r\nX: "
	return head + strings.Repeat("x", size-len(head)-4) + "\r\n\r\n"
}

// SYSTEM T6: heads are bounded in bytes and lines, and the bound itself is still good.
func TestHeadLimits(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello)
	lines := func(n int) string {
		head := "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n"
		return head + strings.Repeat("X: y\r\n", n-2) + "\r\n"
	}
	for _, c := range []struct{ name, request, want string }{
		{"as many bytes as allowed", w.head(edge.MaxHeaderBytes), "200"},
		{"one byte more", w.head(edge.MaxHeaderBytes + 1), "431"},
		{"a megabyte without end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20), "431"},
		{"as many lines as allowed", lines(edge.MaxHeaderLines), "200"},
		{"one line more", lines(edge.MaxHeaderLines + 1), "431"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := w.raw(c.request); !strings.HasPrefix(got, "HTTP/1.1 "+c.want) {
				t.Errorf("got %.60q, want %s", got, c.want)
			}
		})
	}
}

// SYSTEM T6: bodies are bounded, whether they say their length or not.
func TestBodyLimit(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		const limit = 1 << 20
		w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Applications[0].MaxBody = limit })
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}))
		c := w.client(http2)
		for _, x := range []struct {
			size    int64
			chunked bool
			want    int
		}{{limit, false, 200}, {limit + 1, false, 413}, {limit, true, 200}, {limit + 1, true, 413}} {
			send := func() (*http.Response, error) {
				r, _ := http.NewRequest("POST", w.url("/"), io.LimitReader(zeros{}, x.size))
				if !x.chunked {
					r.ContentLength = x.size
				}
				return c.Do(r)
			}
			resp, err := send()
			for tries := 0; err != nil && tries < 50; tries++ { // who still writes when it is answered may lose the answer, and the connection (RFC 9112 section 9.6)
				resp, err = send()
			}
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != x.want {
				t.Errorf("%d bytes, chunked %v: got %d, want %d", x.size, x.chunked, resp.StatusCode, x.want)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// SYSTEM T6 P6: who sends or takes too slowly is cut, at every stage of a connection.
func TestSlowClientsAreCut(t *testing.T) {
	const limit = 300 * time.Millisecond
	times := edge.Times{Handshake: limit, Header: limit, Idle: limit, Progress: limit}
	w := newWorld(t, times)
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/endless" {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}
	}))
	drip := func(c net.Conn, begin, rest string) {
		io.WriteString(c, strings.ReplaceAll(begin, "HOST", w.host))
		for {
			if _, err := io.WriteString(c, rest); err != nil {
				return
			}
			time.Sleep(limit / 10)
		}
	}
	for _, c := range []struct{ name, begin, rest, want string }{
		{"a head that never ends", "GET / HTTP/1.1\r\nHost: HOST\r\n", "X: y\r\n", ""},
		{"a request line that never ends", "G", "E", ""},
		{"a body that drips by length", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n", "x", "HTTP/1.1 408"},
		{"a body that drips in chunks", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "HTTP/1.1 408"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, began := w.dialRaw(), time.Now()
			go drip(conn, c.begin, c.rest)
			got, _ := io.ReadAll(conn)
			if took := time.Since(began); took > 10*limit {
				t.Errorf("cut after %v, want about %v", took, limit)
			}
			if !strings.HasPrefix(string(got), c.want) {
				t.Errorf("got %.60q, want %q", got, c.want)
			}
		})
	}
	t.Run("a handshake that never begins", func(t *testing.T) {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * limit))
		if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("got %v, want the connection's end", err)
		}
	})
	t.Run("a connection that idles", func(t *testing.T) {
		conn := w.dialRaw()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n")
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
			t.Errorf("got %.60q, %v", got, err)
		}
	})
	t.Run("a reader in HTTP/1.1 who stops reading", func(t *testing.T) {
		conn := w.dialRaw()
		io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n")
		bufio.NewReader(conn).ReadString('\n')
		w.eventually("the request is over", func() bool { return strings.Count(w.access.String(), `"path":"/endless"`) == 1 })
	})
	t.Run("a reader in HTTP/2 who stops reading", func(t *testing.T) {
		resp, err := w.client(true).Get(w.url("/endless"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		w.eventually("the request is over", func() bool { return strings.Count(w.access.String(), `"path":"/endless"`) == 2 })
	})
	t.Run("a body in HTTP/2 that stops", func(t *testing.T) {
		body, _ := io.Pipe()
		resp, err := w.client(true).Post(w.url("/"), "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 408 {
			t.Errorf("got %d, want 408", resp.StatusCode)
		}
	})
	t.Run("an empty body in HTTP/2 that never ends", func(t *testing.T) {
		got := w.send([][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "HOST"}, {":path", "/"}, {"content-length", "0"}})
		if got != "408" {
			t.Errorf("got %s, want 408", got)
		}
	})
	if w.edge.Links("test") != 1 {
		t.Error("a slow client cost the link")
	}
}

// An application that takes its time does not make its client guilty, and one that never answers is given up.
func TestSlowApplication(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		const limit = 200 * time.Millisecond
		w := newWorld(t, edge.Times{Progress: limit, Response: 4 * limit})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/never" {
				<-r.Context().Done()
				return
			}
			time.Sleep(2 * limit) // longer than a client may dawdle, while its body waits unread
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}))
		c := w.client(http2)
		resp, err := c.Post(w.url("/"), "text/plain", io.LimitReader(zeros{}, 8<<20))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprint(8<<20, nil); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if status, _ := w.get(c, "/never"); status != 504 {
			t.Errorf("got %d, want 504", status)
		}
	})
}

// SYSTEM P6: at the limit of connections the one that has idled longest goes; if none idles, a further one is closed, and a connector
// still comes in.
func TestConnectionLimit(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MaxConns = 2 })
	release := make(chan struct{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-release
		}
	}))
	ask := func(c net.Conn, path string) { io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n") }
	first, second, third := w.dialRaw(), w.dialRaw(), w.dialRaw()
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of three idle connections: got %v, want its end", err)
	}
	for _, c := range []net.Conn{second, third} {
		ask(c, "/wait")
	}
	w.eventually("both are busy", func() bool { _, public, idle := w.edge.Places(); return public == 2 && idle == 0 })
	if got := w.raw("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"); got != "" {
		t.Errorf("a connection beside two busy ones got %.40q", got)
	}
	w.connect(hello)
	close(release)
	for _, c := range []net.Conn{second, third} {
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Errorf("a busy connection got %q, %v", line, err)
		}
	}
	w.eventually("a place is free again", func() bool {
		return strings.HasPrefix(w.raw("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200")
	})
}

// SYSTEM P6: one address has its own limit, and locks out nobody else by meeting it.
func TestConnectionsOfOneAddress(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MaxPerAddress = 3 })
	w.connect(hello)
	from := func(ip string) *tls.Conn {
		d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}, Config: w.tls("http/1.1")}
		c, err := d.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c.(*tls.Conn)
	}
	honest := from("127.0.0.2")
	var crowd []*tls.Conn
	for range 10 {
		crowd = append(crowd, from("127.0.0.3"))
	}
	w.eventually("one address has three places", func() bool { _, public, _ := w.edge.Places(); return public == 4 })
	if _, err := crowd[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of the crowd: got %v, want its end", err)
	}
	for name, c := range map[string]*tls.Conn{"the honest one": honest, "the last of the crowd": crowd[9]} {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Errorf("%s got %q, %v", name, line, err)
		}
	}
}

// SYSTEM P6: at the limit of requests in flight a further one is told to come back; the least loaded link is chosen before.
func TestInFlightLimitAndLeastLoad(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MaxInFlight = 2 })
	release := make(chan struct{})
	var mu sync.Mutex
	busy := map[string]int{}
	for _, name := range []string{"a", "b"} {
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			busy[name]++
			mu.Unlock()
			<-release
		}))
	}
	c := w.client(true)
	var answered sync.WaitGroup
	for range 4 {
		answered.Go(func() {
			if status, _ := w.get(c, "/"); status != 200 {
				t.Errorf("got %d", status)
			}
		})
	}
	w.eventually("four are in flight", func() bool { mu.Lock(); defer mu.Unlock(); return busy["a"]+busy["b"] == 4 })
	if busy["a"] != 2 || busy["b"] != 2 {
		t.Errorf("links carry %v, want two each", busy)
	}
	if status, _ := w.get(c, "/"); status != 503 {
		t.Errorf("the fifth got %d, want 503", status)
	}
	close(release)
	answered.Wait()
	if status, _ := w.get(c, "/"); status != 200 {
		t.Errorf("afterwards: got %d", status)
	}
}
