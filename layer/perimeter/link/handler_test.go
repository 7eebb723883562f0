package link_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

func upgrade() *link.Request {
	r := get("/socket")
	r.Upgrade = "echo"
	return r
}

// echoUpper answers what it reads in capitals until the other side has said all.
func echoUpper(rw io.ReadWriter) {
	b := make([]byte, 100)
	for {
		n, err := rw.Read(b)
		if _, werr := rw.Write(bytes.ToUpper(b[:n])); err != nil || werr != nil {
			return
		}
	}
}

var upgraders = map[string]http.HandlerFunc{
	"WriteHeader, then Hijack": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "echo")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("X-Accept", "yes")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		echoUpper(struct {
			io.Reader
			io.Writer
		}{buffered, conn})
	},
	"Hijack, then text": func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConn")
		io.WriteString(conn, "ection: Upgrade\r\nX-Accept: yes\r\n\r\n")
		echoUpper(conn)
	},
	"Hijack, then another goroutine": func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		go func() {
			defer conn.Close()
			io.WriteString(buffered, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Accept: yes\r\n\r\n")
			buffered.Flush()
			echoUpper(conn)
		}()
	},
	"a reverse proxy in front of another server": func() http.HandlerFunc {
		var once sync.Once
		var proxy http.Handler
		return func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Upgrade") != "echo" {
						http.Error(w, "no upgrade", 400)
						return
					}
					conn, _, _ := w.(http.Hijacker).Hijack()
					defer conn.Close()
					io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Accept: yes\r\n\r\n")
					echoUpper(conn)
				}))
				u, _ := url.Parse(s.URL)
				proxy = &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }}
			})
			proxy.ServeHTTP(w, r)
		}
	}(),
}

// SYSTEM P2
func TestAnUpgradedStreamGoesBothWays(t *testing.T) {
	for name, h := range upgraders {
		t.Run(name, func(t *testing.T) {
			w := linked(t, h, link.Config{})
			resp, err := w.edge.RoundTrip(t.Context(), upgrade())
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if h := resp.Header; resp.Status != 101 || h.Get("Upgrade") != "echo" || h.Get("Connection") != "Upgrade" || h.Get("X-Accept") != "yes" {
				t.Fatalf("got %d %v", resp.Status, h)
			}
			both := resp.Body.(io.ReadWriteCloser)
			for _, said := range []string{"hello", "again", strings.Repeat("x", 100)} {
				if _, err := io.WriteString(both, said); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, len(said))
				if _, err := io.ReadFull(both, b); err != nil || string(b) != strings.ToUpper(said) {
					t.Fatalf("got %q %v", b, err)
				}
			}
			if _, ok := w.edge.RoundTrip(t.Context(), get("/")); ok != nil && link.Unprocessed(ok) {
				t.Error("the link takes nothing else meanwhile")
			}
			both.(interface{ CloseWrite() error }).CloseWrite()
			if b, err := io.ReadAll(both); len(b) != 0 || err != nil {
				t.Errorf("after the end: %q %v", b, err)
			}
		})
	}
}

var refusedUpgrades = map[string]http.HandlerFunc{
	"answered otherwise":               func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) },
	"101 and nothing":                  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) },
	"taken and closed":                 func(w http.ResponseWriter, r *http.Request) { c, _, _ := w.(http.Hijacker).Hijack(); c.Close() },
	"taken, and an answer by text":     rawAnswer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"),
	"taken, and no answer":             rawAnswer("ECHO\r\n\r\n"),
	"taken, and an answer without end": rawAnswer("HTTP/1.1 101 Switching\r\nX: " + strings.Repeat("x", link.MaxHead)),
}

func rawAnswer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, text)
		c.Close()
	}
}

func TestAnUpgradeThatComesToNothing(t *testing.T) {
	for name, h := range refusedUpgrades {
		t.Run(name, func(t *testing.T) {
			w := linked(t, h, link.Config{})
			resp, err := w.edge.RoundTrip(t.Context(), upgrade())
			if err == nil {
				b, berr := io.ReadAll(resp.Body)
				resp.Body.Close()
				if name == "answered otherwise" && (resp.Status != 403 || string(b) != "no\n" || berr != nil) ||
					name != "answered otherwise" && berr == nil {
					t.Errorf("got %d %q %v", resp.Status, b, berr)
				}
			}
			settles(t, "requests under way", func() bool { return w.edge.InFlight() == 0 && w.app.InFlight() == 0 })
			if w.edge.Err() != nil {
				t.Errorf("the link ended: %v", w.edge.Err())
			}
		})
	}
}

// settles waits until ok says so.
func settles(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: does not settle", what)
}

func TestAClientThatGoesAway(t *testing.T) {
	told := make(chan error, 1)
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/begun":
			io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
		case "/pours":
			for r.Context().Err() == nil {
				w.Write(make([]byte, 50_000))
			}
		case "/":
			return
		}
		<-r.Context().Done()
		told <- context.Cause(r.Context())
	}), link.Config{})
	ways := map[string]func() error{
		"before the answer": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := w.edge.RoundTrip(ctx, get("/waits"))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			return err
		},
		"during the answer": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := w.edge.RoundTrip(ctx, get("/begun"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			time.AfterFunc(20*time.Millisecond, cancel)
			_, err = io.ReadAll(resp.Body)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			return err
		},
		"by closing the answer": func() error {
			resp, err := w.edge.RoundTrip(t.Context(), get("/pours"))
			if err != nil {
				t.Fatal(err)
			}
			return resp.Body.Close()
		},
		"in its own body": func() error {
			_, err := w.edge.RoundTrip(t.Context(), post("/waits", 100, io.MultiReader(strings.NewReader("x"), broken{})))
			if !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
			return err
		},
	}
	for name, goAway := range ways {
		t.Run(name, func(t *testing.T) {
			if err := goAway(); link.Unprocessed(err) {
				t.Error("it counts as not processed")
			}
			select {
			case err := <-told:
				if err == nil {
					t.Error("the handler's context has no cause")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the handler was not told")
			}
			if resp, _ := w.ask(t, get("/")); resp.Status != 200 || w.edge.Err() != nil { // a client is not the link
				t.Errorf("the link suffered: %v", w.edge.Err())
			}
		})
	}
}

var errBroken = errors.New("the client's connection broke")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestABodyThatIsNotWhatItSaid(t *testing.T) {
	seen := make(chan error, 1)
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		seen <- err
	}), link.Config{})
	for name, r := range map[string]*link.Request{
		"too short": post("/", 1000, strings.NewReader("short")),
		"too long":  post("/", 3, struct{ io.Reader }{strings.NewReader("long")}),
	} {
		_, err := w.edge.RoundTrip(t.Context(), r)
		if got := <-seen; err == nil || got == nil {
			t.Errorf("%s: the edge sees %v, the handler %v", name, err, got)
		}
	}
}

func TestAnAnswerBeyondItsLength(t *testing.T) {
	seen := make(chan error, 1)
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
		_, err := io.WriteString(w, "!")
		seen <- err
	}), link.Config{})
	if _, got := w.ask(t, get("/")); got != "hello" {
		t.Errorf("got %q", got)
	}
	if err := <-seen; !errors.Is(err, http.ErrContentLength) {
		t.Errorf("the handler sees %v", err)
	}
}

// An early answer ends the upload, whatever its size, and leaves the link as it was.
func TestAnAnswerBeforeTheBody(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusRequestEntityTooLarge) }), link.Config{})
	for range 20 {
		resp, got := w.ask(t, post("/", -1, zeros{}))
		if resp.Status != 413 || got != "no\n" {
			t.Fatalf("got %d %q", resp.Status, got)
		}
	}
	settles(t, "requests under way", func() bool { return w.edge.InFlight() == 0 && w.app.InFlight() == 0 })
}

func TestAnExpectationIsAnsweredByReading(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/reads":
			io.Copy(io.Discard, r.Body)
		case "/too-late": // the attack on itself: 100 after the answer would end the link
			w.(http.Flusher).Flush()
			if _, err := r.Body.Read(make([]byte, 1)); err == nil {
				panic("a body came that was not asked for")
			}
		}
	}), link.Config{})
	for path, want := range map[string]bool{"/reads": true, "/refuses": false, "/too-late": false} {
		r := post(path, 5, nil)
		body := &watched{Reader: strings.NewReader("hello")}
		r.Body, r.Header = body, http.Header{"Expect": {"100-continue"}}
		if w.ask(t, r); w.edge.Err() != nil {
			t.Fatalf("%s: the link ended: %v", path, w.edge.Err())
		}
		if body.read != want {
			t.Errorf("%s: the body was read: %t", path, body.read)
		}
	}
}

type watched struct {
	io.Reader
	read bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read = true
	return w.Reader.Read(p)
}

// A handler that says more than a link carries loses what it said too much, and not everybody's link.
func TestMoreInformationalAnswersThanThereAre(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>; rel=preload")
		for range 3 * link.MaxInforms {
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Set("Link", strings.Repeat("x", link.MaxInform))
		w.WriteHeader(http.StatusEarlyHints)
	}), link.Config{})
	told := 0
	r := get("/")
	r.Informed = func(int, http.Header) { told++ }
	if resp, _ := w.ask(t, r); resp.Status != 200 || told != link.MaxInforms || w.edge.Err() != nil {
		t.Errorf("got %d after %d, %v", resp.Status, told, w.edge.Err())
	}
}

// The attack: a handler keeps its ResponseWriter and writes when another request has its memory.
func TestALateWriteGoesNowhere(t *testing.T) {
	kept := make(chan http.ResponseWriter, 1)
	body := make(chan io.Reader, 1)
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keeps" {
			io.WriteString(w, "mine")
			kept <- w
			body <- r.Body
			return
		}
		old := <-kept
		io.WriteString(w, "yo")
		n, err := io.WriteString(old, "somebody else's secret")
		if n != 0 || err == nil || http.NewResponseController(old).Flush() == nil {
			panic("the late write was taken")
		}
		old.WriteHeader(500)
		if _, _, err := http.NewResponseController(old).Hijack(); err == nil {
			panic("it was taken over")
		}
		if n, err := (<-body).Read(make([]byte, 10)); n != 0 || err == nil {
			panic("the late read was served")
		}
		io.WriteString(w, "urs")
	}), link.Config{})
	for range 100 {
		if _, got := w.ask(t, post("/keeps", -1, strings.NewReader("x"))); got != "mine" {
			t.Fatalf("got %q", got)
		}
		if _, got := w.ask(t, get("/")); got != "yours" {
			t.Fatalf("got %q", got)
		}
	}
}

// The attack: a foreign application dies in the middle of its answer. What it said so far must not look whole.
func TestATruncatedAnswerOfAProxyIsNotWhole(t *testing.T) {
	dying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 100_000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer dying.Close()
	u, err := url.Parse(dying.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := linked(t, &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }}, link.Config{})
	resp, err := w.edge.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes look like all", n)
	}
}

// SYSTEM P2: an event is with the edge at once, flushed or not.
func TestEventsAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			<-next
		}
	}), link.Config{})
	resp, err := w.edge.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 5 {
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("got %q %v", line, err)
		}
		lines.ReadString('\n')
		next <- struct{}{}
	}
}

func TestAPanicIsWrittenDownWithoutTheRequest(t *testing.T) { // SYSTEM U5
	var log lockedBuffer
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/bug":
			_ = []int{}[len(r.URL.Path)]
		}
		panic("secret: " + r.URL.RawQuery)
	}), link.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for target, want := range map[string]string{"/abort?hunter2": "", "/bug?hunter2": "index out of range", "/?hunter2": "a value of type string"} {
		log.Reset()
		if _, err := w.edge.RoundTrip(t.Context(), get(target)); err == nil || link.Unprocessed(err) {
			t.Errorf("%s: got %v", target, err)
		}
		got := log.String()
		if strings.Contains(got, "hunter2") || !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: the log says %q", target, got)
		}
	}
}

// A test's FailNow, or a library, may end the goroutine of a handler. It is an answer that failed, and the place is free again.
func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exit" {
			runtime.Goexit()
		}
	}), link.Config{MaxStreams: 2})
	for range 5 {
		if _, err := w.edge.RoundTrip(t.Context(), get("/exit")); err == nil || link.Unprocessed(err) {
			t.Errorf("got %v", err)
		}
		settles(t, "the place", func() bool { return w.app.InFlight() == 0 })
	}
	settles(t, "a place", func() bool {
		resp, err := w.edge.RoundTrip(t.Context(), get("/"))
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestATakenConnectionIsAConnection(t *testing.T) {
	said := make(chan string, 1)
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(101)
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() {
			panic("reading has no deadline")
		}
		c.SetDeadline(time.Now().Add(10 * time.Millisecond))
		for err = nil; err == nil; {
			_, err = c.Write(make([]byte, 50_000))
		}
		_, _, again := w.(http.Hijacker).Hijack()
		_, write := io.WriteString(w, "x")
		said <- fmt.Sprint(c.RemoteAddr(), c.LocalAddr() != nil, errors.As(err, &late), again, write)
	}), link.Config{})
	resp, err := w.edge.RoundTrip(t.Context(), upgrade())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, want := <-said, fmt.Sprint("192.0.2.7:0 true true ", http.ErrHijacked, http.ErrHijacked); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
