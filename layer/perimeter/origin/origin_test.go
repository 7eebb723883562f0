package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// SYSTEM P5 P7: the application gets what was asked, as it was asked, and the edge's word on who asks instead of the client's.
func TestTheApplicationGetsTheRequest(t *testing.T) {
	heads := make(chan []string, 1)
	s := before(t, rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
		lines, _ := readHead(r)
		heads <- lines
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}))
	ask(t, s, "GET", "/a%2fb/../c;d?x=1&y=%zz&q=\"", nil,
		"Accept", "text/html", "Cookie", "a=b; c=d", "Redoubt-Assertion", "a.b.c", "X-Custom", "one", "X-Custom", "two",
		"Connection", "X-Named, keep-alive", "X-Named", "dropped", "Te", "trailers",
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "evil.test", "X-Forwarded-User", "root", "X_Forwarded_For", "6.6.6.6",
		"X-Real-Ip", "6.6.6.6", "X_Real_IP", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Request-Id", "forged", "X-Original-Url", "/admin", "Via", "x",
		"Proxy-Authorization", "Basic x", "Proxy", "http://evil.test")
	got := <-heads
	slices.Sort(got[1:])
	want := []string{
		`GET /a%2fb/../c;d?x=1&y=%zz&q=" HTTP/1.1`,
		"Accept: text/html", "Cookie: a=b; c=d", "Host: app.test", "Redoubt-Assertion: a.b.c", "TE: trailers", "User-Agent: Go-http-client/1.1",
		"X-Custom: one", "X-Custom: two",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: app.test", "X-Forwarded-Proto: https", "X-Request-Id: request-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTheHostCanBeReplaced(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.Header.Get("X-Forwarded-Host"))
	})
	if _, got := ask(t, front(t, app), "GET", "/", nil); got != "app.test app.test" {
		t.Errorf("got %q", got)
	}
	inside := func(c *origin.Config) { c.Host = "inside:3000" }
	if _, got := ask(t, front(t, app, inside), "GET", "/", nil); got != "inside:3000 app.test" {
		t.Errorf("got %q", got)
	}
}

// SYSTEM P2: bodies of any size pass both ways, with a length and without.
func TestBodiesPassBothWays(t *testing.T) {
	s := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %d %x %v %v", r.Method, r.ContentLength, sha256.Sum256(body), r.TransferEncoding, err))
		if r.Header.Get("X-Length") != "" {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.Write(body)
	}))
	for _, size := range []int{0, 1, 1000, 32<<10 - 10, 32 << 10, 32<<10 + 1, 1 << 20, 10 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for _, known := range []bool{true, false} {
			var from io.Reader = bytes.NewReader(body)
			length, encoding := int64(size), "[]"
			if !known {
				from = io.MultiReader(from)
				length, encoding = -1, "[chunked]"
			}
			headers := []string{}
			if known {
				headers = []string{"X-Length", "1"}
			}
			answer, got := ask(t, s, "POST", "/", from, headers...)
			want := fmt.Sprintf("POST %d %x %s <nil>", length, sha256.Sum256(body), encoding)
			if seen := answer.Header.Get("X-Seen"); seen != want {
				t.Errorf("%d bytes: the application saw %q, want %q", size, seen, want)
			}
			if got != string(body) {
				t.Errorf("%d bytes came back as %d", size, len(got))
			}
		}
	}
}

func TestAnswersPassAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		name, method, answer string
		status               int
		header, want, body   string
	}{
		{"with a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc", 200, "X-A", "b", "abc"},
		{"in chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", 200, "", "", "abc"},
		{"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", 200, "", "", "abc"},
		{"of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "", "", "abc"},
		{"to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 200, "Content-Length", "3", ""},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", ""},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n", 304, "Etag", `"x"`, ""},
		{"a redirect", "GET", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:3000/x\r\nContent-Length: 0\r\n\r\n", 302, "Location", "http://127.0.0.1:3000/x", ""},
		{"headers of the connection", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Named\r\nX-Named: x\r\n\r\n", 200, "X-Named", "", ""},
		{"keep-alive", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n", 200, "Keep-Alive", "", ""},
		{"after an interim answer", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "Link", "", "ok"},
		{"a status of its own", "GET", "HTTP/1.1 499 Whatever\r\nContent-Length: 0\r\n\r\n", 499, "", "", ""},
	} {
		s := before(t, rude(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(conn, c.answer)
		}))
		answer, body := ask(t, s, c.method, "/", nil)
		if answer.StatusCode != c.status || body != c.body || c.header != "" && answer.Header.Get(c.header) != c.want {
			t.Errorf("%s: got %d %q %v", c.name, answer.StatusCode, body, answer.Header)
		}
	}
}

// Connections are kept, and one that the application gave up costs nobody a request.
func TestKeptConnections(t *testing.T) {
	var conns, requests atomic.Int32
	app := rude(t, func(n int, c net.Conn, r *bufio.Reader) {
		conns.Add(1)
		for i := 0; ; i++ {
			if _, err := readHead(r); err != nil {
				return
			}
			requests.Add(1)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if i == 9 {
				return
			}
		}
	})
	o := newOrigin(t, app)
	for i, method := range slices.Repeat([]string{"GET", "POST", "DELETE"}, 20) {
		w := httptest.NewRecorder()
		if o.ServeHTTP(w, httptest.NewRequest(method, "/", nil)); w.Code != 200 {
			t.Fatalf("request %d: got %d", i, w.Code)
		}
		if i%10 == 9 {
			time.Sleep(10 * time.Millisecond) // for the closing to arrive
		}
	}
	if conns.Load() != 6 || requests.Load() != 60 {
		t.Errorf("%d requests on %d connections, want 60 on 6", requests.Load(), conns.Load())
	}
}

// SYSTEM P2: what may be sent twice is, once, when a kept connection turns out to be gone after it was taken; nothing else is.
func TestOnlyWhatIsSafeIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		method, body string
		status       int
		times        int32
	}{
		{"GET", "", 200, 2}, {"HEAD", "", 200, 2}, {"OPTIONS", "", 200, 2},
		{"POST", "", 502, 1}, {"PUT", "", 502, 1}, {"DELETE", "", 502, 1}, {"PATCH", "", 502, 1},
		{"GET", "body", 502, 1}, {"POST", "body", 502, 1},
	} {
		var asked atomic.Int32
		o := newOrigin(t, rude(t, func(n int, conn net.Conn, r *bufio.Reader) {
			for i := 0; ; i++ {
				lines, err := readHead(r)
				if err != nil {
					return
				}
				if !strings.Contains(lines[0], "/warm") {
					asked.Add(1)
				}
				if n == 0 && i == 1 {
					return // it took the request and says nothing
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}))
		o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/warm", nil))
		var body io.Reader
		if c.body != "" {
			body = strings.NewReader(c.body)
		}
		w := httptest.NewRecorder()
		o.ServeHTTP(w, httptest.NewRequest(c.method, "/", body))
		if w.Code != c.status || asked.Load() != c.times {
			t.Errorf("%s %q: got %d after %d times, want %d after %d", c.method, c.body, w.Code, asked.Load(), c.status, c.times)
		}
	}
	var asked atomic.Int32
	o := newOrigin(t, rude(t, func(n int, conn net.Conn, r *bufio.Reader) { readHead(r); asked.Add(1) }))
	w := httptest.NewRecorder()
	if o.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code != 502 || asked.Load() != 1 {
		t.Errorf("a new connection that is closed: got %d after %d times", w.Code, asked.Load())
	}
}

// Node.js says after how long it closes; the connection is given up before.
func TestTheApplicationSaysHowLongItKeeps(t *testing.T) {
	for keepAlive, want := range map[string]int32{"": 1, "timeout=5": 1, "timeout=1": 2, "max=3, timeout=0": 2, "timeout=x": 2, "timeout=-5": 2, "timeout=99999": 2} {
		var conns atomic.Int32
		o := newOrigin(t, rude(t, func(n int, c net.Conn, r *bufio.Reader) {
			conns.Add(1)
			for {
				if _, err := readHead(r); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: %s\r\n\r\n", keepAlive)
			}
		}))
		for range 2 {
			o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
		if conns.Load() != want {
			t.Errorf("%q: %d connections, want %d", keepAlive, conns.Load(), want)
		}
	}
}

// SYSTEM P2: an event is there when it is sent, and so is whatever has no length.
func TestEventsAreNotHeldBack(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "text/plain"} {
		next := make(chan struct{})
		s := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.(http.Flusher).Flush()
			for range next {
				fmt.Fprint(w, "data: x\n")
				w.(http.Flusher).Flush()
			}
		}))
		answer, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(answer.Body)
		for range 5 {
			sent := time.Now()
			next <- struct{}{}
			if !lines.Scan() {
				t.Fatal(lines.Err())
			}
			if delay := time.Since(sent); delay > 500*time.Millisecond {
				t.Errorf("%s: an event took %v", kind, delay)
			}
		}
		close(next)
		answer.Body.Close()
	}
}

// SYSTEM P2: interim answers and trailers pass, announced or not, in both directions.
func TestInterimAnswersAndTrailersPass(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Trailer", "X-Announced")
		io.Copy(w, r.Body)
		w.Header().Set("X-Announced", "a")
		w.Header().Set(http.TrailerPrefix+"X-Sudden", "b")
		w.Header().Set(http.TrailerPrefix+"X-Came", r.Trailer.Get("X-Checksum"))
		w.Header().Set(http.TrailerPrefix+"Keep-Alive", "timeout=1")
	}))
	defer app.Close()
	for name, stand := range fronts {
		t.Run(name, func(t *testing.T) {
			var hint string
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hint = fmt.Sprint(code, h.Get("Link"))
				return nil
			}}
			r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", "http://"+stand(t, app.URL), io.MultiReader(strings.NewReader("body")))
			r.Trailer = http.Header{"X-Checksum": {"c"}}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if hint != "103</style.css>; rel=preload" || string(body) != "body" || err != nil || answer.Header.Get("Link") != "" {
				t.Errorf("got hint %q, body %q, %v, %v", hint, body, err, answer.Header)
			}
			if got := answer.Trailer; got.Get("X-Announced") != "a" || got.Get("X-Sudden") != "b" || got.Get("X-Came") != "c" || got.Get("Keep-Alive") != "" {
				t.Errorf("trailers: %v", got)
			}
		})
	}
}

// SYSTEM P6: a client that goes away ends the work at the application.
func TestAClientGoingAwayEndsTheRequest(t *testing.T) {
	for name, stand := range fronts {
		for kind, body := range map[string]io.Reader{"without a body": nil, "in the middle of a body": &endless{}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				began, ended := make(chan struct{}), make(chan struct{})
				app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(began)
					if _, err := io.Copy(io.Discard, r.Body); err == nil {
						<-r.Context().Done()
					}
					close(ended)
				}))
				defer app.Close()
				ctx, cancel := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, "POST", "http://"+stand(t, app.URL), body)
				go func() { <-began; cancel() }()
				if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v", err)
				}
				select {
				case <-ended:
				case <-time.After(5 * time.Second):
					t.Fatal("the application was not told")
				}
			})
		}
	}
}

type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return min(len(p), 100), nil
}

// An application may answer before it has the whole body, and the client need not send the rest.
func TestAnEarlyAnswerArrives(t *testing.T) {
	s := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 10))
		http.Error(w, "no more", http.StatusRequestEntityTooLarge)
	}))
	began := time.Now()
	answer, body := ask(t, s, "POST", "/", io.LimitReader(&endless{}, 2000))
	if answer.StatusCode != 413 || body != "no more\n" || time.Since(began) > 5*time.Second {
		t.Errorf("got %d %q after %v", answer.StatusCode, body, time.Since(began))
	}
}

// SYSTEM T6: an application that is slow, silent or not there is told from one that answers badly.
func TestTimeLimits(t *testing.T) {
	short := func(c *origin.Config) { c.Response, c.Idle = 500*time.Millisecond, 500*time.Millisecond }
	wait := func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/never":
				<-r.Context().Done()
			case "/stops":
				w.Header().Set("Content-Length", "10")
				io.WriteString(w, "abc")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			case "/slowly":
				for range 5 {
					io.WriteString(w, "a")
					w.(http.Flusher).Flush()
					time.Sleep(150 * time.Millisecond)
				}
			case "/reads":
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, "read")
			}
		})
	}
	s := front(t, wait(""), short)
	if answer, body := ask(t, s, "GET", "/never", nil); answer.StatusCode != 504 || !strings.Contains(body, "in time") {
		t.Errorf("never: got %d %q", answer.StatusCode, body)
	}
	if _, body := ask(t, s, "GET", "/stops", nil); !strings.Contains(body, "cut short") {
		t.Errorf("stops: got %q", body)
	}
	if _, body := ask(t, s, "GET", "/slowly", nil); body != "aaaaa" {
		t.Errorf("slowly: got %q", body)
	}
	if answer, body := ask(t, s, "POST", "/reads", io.LimitReader(&endless{}, 80000)); body != "read" {
		t.Errorf("an upload that takes longer than an answer may: got %d %q", answer.StatusCode, body)
	}
	deaf := newOrigin(t, rude(t, func(_ int, c net.Conn, _ *bufio.Reader) { time.Sleep(3 * time.Second) }), short)
	w := httptest.NewRecorder()
	if deaf.ServeHTTP(w, httptest.NewRequest("POST", "/", bytes.NewReader(make([]byte, 64<<20)))); w.Code != 504 {
		t.Errorf("an application that neither reads nor answers: got %d %q", w.Code, w.Body)
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	gone := "http://" + l.Addr().String()
	l.Close()
	if answer, _ := ask(t, before(t, gone), "GET", "/", nil); answer.StatusCode != 502 {
		t.Errorf("nobody there: got %d", answer.StatusCode)
	}
}

// SYSTEM T6: the application gets so many requests at once and no more; the others wait, and not without end.
func TestRequestsAtOnceAreBounded(t *testing.T) {
	var at, most atomic.Int32
	release := make(chan struct{})
	s := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := at.Add(1)
		defer at.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
	}), func(c *origin.Config) { c.MaxConns = 3 })
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if answer, _ := ask(t, s, "GET", "/", nil); answer.StatusCode != 200 {
				t.Errorf("got %d", answer.StatusCode)
			}
		})
	}
	for end := time.Now().Add(3 * time.Second); at.Load() < 3 && time.Now().Before(end); { // well before who waits gives up
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // for a fourth
	close(release)
	group.Wait()
	if most.Load() != 3 {
		t.Errorf("%d at once, want 3", most.Load())
	}
}

func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, r.RequestURI) })}
	go app.Serve(l)
	defer app.Close()
	s := before(t, "unix://"+path)
	for range 2 {
		if _, got := ask(t, s, "GET", "/a?b", nil); got != "app.test/a?b" {
			t.Errorf("got %q", got)
		}
	}
}
