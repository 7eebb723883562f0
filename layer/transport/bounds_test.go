package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

const bearer = "Authorization: Bearer key"

// TestHeads holds each limit on a request's head at its last good value and at its first bad one (SYSTEM T6).
func TestHeads(t *testing.T) {
	address := func(n int) *http.Request {
		return httptest.NewRequest("GET", "/"+strings.Repeat("a", n-1), nil)
	}
	parameters := func(n int) *http.Request {
		return httptest.NewRequest("GET", "/?"+strings.TrimSuffix(strings.Repeat("a=b&", n), "&"), nil)
	}
	fields := func(n, bytes int) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		for range n {
			r.Header.Add("K", strings.Repeat("v", bytes-1))
		}
		return r
	}
	body := func(method, text string) *http.Request {
		r := httptest.NewRequest(method, "/", strings.NewReader(text))
		r.Header.Set("Authorization", "Bearer key")
		return r
	}
	chunked := func(method string) *http.Request {
		r := httptest.NewRequest(method, "/", struct{ io.Reader }{strings.NewReader("x")})
		r.Header.Set("Authorization", "Bearer key")
		return r
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"an address of 8191 bytes", address(8191), 200},
		{"an address of 8193 bytes", address(8193), 400},
		{"100 parameters", parameters(100), 200},
		{"101 parameters", parameters(101), 400},
		{"100 header fields", fields(100, 2), 200},
		{"101 header fields", fields(101, 2), 400},
		{"64 KiB of header fields", fields(64, 1024), 200},
		{"65 KiB of header fields", fields(65, 1024), 400},
		{"GET with a body", body("GET", "x"), 400},
		{"HEAD with a body", body("HEAD", "x"), 400},
		{"OPTIONS with a body", body("OPTIONS", "x"), 400},
		{"DELETE with a body", body("DELETE", "x"), 400},
		{"GET with a body of unknown length", chunked("GET"), 400},
		{"DELETE without a body", body("DELETE", ""), 200},
		{"POST of 1 MiB", body("POST", strings.Repeat("x", 1<<20)), 200},
		{"POST of 1 MiB and a byte", body("POST", strings.Repeat("x", 1<<20+1)), 413},
		{"TRACE", body("TRACE", ""), 415},
		{"CONNECT", body("CONNECT", ""), 415},
		{"an invented method", body("STEAL", ""), 415},
		{"no method at all", body("get", ""), 415},
	} {
		w := httptest.NewRecorder()
		must(t, config()).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Errorf("%s: reading: %v", c.name, err)
			}
		})).ServeHTTP(w, c.r)
		if w.Code != c.status || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: got %d, want %d and all headers", c.name, w.Code, c.status)
		}
	}
}

// TestAnUnannouncedBodyEnds reads bodies whose length nobody announced, up to the limit and beyond.
func TestAnUnannouncedBodyEnds(t *testing.T) {
	cfg := config()
	cfg.Bounds.MaxBody = 1 << 10
	cfg.Wider = func(r *http.Request) transport.Bounds {
		if r.URL.Path == "/uploads" {
			return transport.Bounds{MaxBody: 2 << 10}
		}
		return transport.Bounds{MaxBody: -1} // not a limit: the usual one stays
	}
	var err error
	srv := httptest.NewServer(must(t, cfg).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err = io.Copy(io.Discard, r.Body)
	})))
	defer srv.Close()
	for _, c := range []struct {
		path string
		size int
		fits bool
	}{{"/", 1 << 10, true}, {"/", 1<<10 + 1, false}, {"/uploads", 2 << 10, true}, {"/uploads", 2<<10 + 1, false}} {
		req, _ := http.NewRequest("POST", srv.URL+c.path, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", c.size))})
		req.Header.Set("Authorization", "Bearer key")
		resp, e := http.DefaultClient.Do(req)
		if e != nil {
			t.Fatal(e)
		}
		resp.Body.Close()
		var refused *layer.Refusal
		var large *http.MaxBytesError
		if c.fits != (err == nil) {
			t.Errorf("%d bytes to %s: %v, want fits = %v", c.size, c.path, err, c.fits)
		}
		if !c.fits && (!errors.As(err, &refused) || refused.Reason != layer.TooLarge || !errors.As(err, &large)) {
			t.Errorf("%d bytes to %s: got %v, want a too-large refusal", c.size, c.path, err)
		}
	}
}

// wire serves h on a connection in memory, so that synctest's clock drives the deadlines, and returns the client's end.
func wire(t *testing.T, h http.Handler) net.Conn {
	client, server := net.Pipe()
	srv := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- server
	go srv.Serve(l)
	t.Cleanup(func() { client.Close(); srv.Close() })
	return client
}

type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

const slowHead = "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key\r\nContent-Length: 1000\r\n\r\n"

// TestSlowBodies drips bodies, and holds when the handler is released (SYSTEM T6).
func TestSlowBodies(t *testing.T) {
	for name, c := range map[string]struct {
		pause    time.Duration // before each byte
		released time.Duration // when the handler's read returns
	}{
		"sends nothing at all":     {time.Hour, 30 * time.Second},
		"stalls for 31 seconds":    {31 * time.Second, 30 * time.Second},
		"drips a byte in 29 s":     {29 * time.Second, 60 * time.Second}, // progress, but not for longer than the whole
		"drips a byte each second": {time.Second, 60 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			type outcome struct {
				after time.Duration
				err   error
			}
			done := make(chan outcome, 1)
			start := time.Now()
			conn := wire(t, must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				done <- outcome{time.Since(start), err}
				var refused *layer.Refusal
				if errors.As(err, &refused) {
					refuse(w, r, refused)
				}
			})))
			dripped := make(chan struct{})
			go func() {
				defer close(dripped)
				io.WriteString(conn, slowHead)
				for {
					time.Sleep(c.pause)
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
				}
			}()
			got := <-done
			var refused *layer.Refusal
			if got.after != c.released || !errors.As(got.err, &refused) || !errors.Is(got.err, os.ErrDeadlineExceeded) {
				t.Errorf("a client that %s: released after %v by %v, want %v by a refusal", name, got.after, got.err, c.released)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != 400 || !resp.Close {
				t.Errorf("a client that %s: answer %v, %v; want 400 and the end of the connection", name, resp, err)
			}
			conn.Close()
			<-dripped
		})
	}
}

// TestASlowBodyThatNobodyReads: net/http wants what is left of a body before it sends the answer and takes the next request.
func TestASlowBodyThatNobodyReads(t *testing.T) {
	for name, c := range map[string]struct {
		head   string
		answer string
		after  time.Duration // when the answer comes
	}{
		"refused": {strings.Replace(slowHead, "Authorization", "X-Authorization", 1), "HTTP/1.1 403", 0},
		"ignored": {slowHead, "HTTP/1.1 200", 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			conn := wire(t, must(t, config()).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			go io.WriteString(conn, c.head)
			answers := bufio.NewReader(conn)
			first, _ := answers.ReadString('\n')
			if took := time.Since(start); took != c.after || !strings.HasPrefix(first, c.answer) {
				t.Errorf("%s: got %q after %v, want %s after %v", name, first, took, c.answer, c.after)
			}
			io.Copy(io.Discard, answers)
			if took := time.Since(start); took > 31*time.Second {
				t.Errorf("%s: the connection lasted %v", name, took)
			}
		})
	}
}

// TestAHandlerMayThinkLongerThanItsClientMayStall: no deadline of the body outlives it.
func TestAHandlerMayThinkLongerThanItsClientMayStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := wire(t, must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			time.Sleep(50 * time.Second)
			fmt.Fprint(w, r.Context().Err())
		})))
		go io.WriteString(conn, strings.Replace(slowHead, "1000", "1", 1)+"x")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "<nil>" {
			t.Errorf("after 50 s of thought the request's context says %s", body)
		}
		conn.Close()
	})
}

func TestAClientThatDoesNotReadIsCut(t *testing.T) { // SYSTEM T6
	synctest.Test(t, func(t *testing.T) {
		done := make(chan error, 1)
		start := time.Now()
		conn := wire(t, must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					done <- err
					return
				}
			}
		})))
		go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("writing to nobody ended after %v with %v, want 30s and a deadline", time.Since(start), err)
		}
		conn.Close()
	})
}

func TestAHandlerMayBeStricterButNotMorePatient(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{5 * time.Second: 5 * time.Second, time.Hour: 30 * time.Second, 0: 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			done := make(chan time.Duration, 2)
			at := time.Time{}
			if asked > 0 {
				at = time.Now().Add(asked)
			}
			conn := wire(t, must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				start := time.Now()
				http.NewResponseController(w).SetReadDeadline(at)
				io.ReadAll(r.Body)
				done <- time.Since(start)
				http.NewResponseController(w).SetWriteDeadline(at.Add(want))
				start = time.Now()
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						done <- time.Since(start)
						return
					}
				}
			})))
			go io.WriteString(conn, slowHead)
			if got := <-done; got != want {
				t.Errorf("a read deadline of %v lasted %v, want %v", asked, got, want)
			}
			if got := <-done; got > 30*time.Second {
				t.Errorf("a write deadline lasted %v", got)
			}
			conn.Close()
		})
	}
}

// TestWithoutDeadlines: a connection of another kind may know none; a stalled client still does not hold the handler.
func TestWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled, owner := io.Pipe()
		r := httptest.NewRequest("POST", "/", stalled)
		r.Header.Set("Authorization", "Bearer key")
		go io.WriteString(owner, "begun")
		start := time.Now()
		var got []byte
		var err, again error
		must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, err = io.ReadAll(r.Body)
			_, again = r.Body.Read(make([]byte, 1))
			r.Body.Close()
			if http.NewResponseController(w).SetReadDeadline(time.Now()) != nil {
				t.Error("a finished body takes no deadline")
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		owner.Close() // as the connection's owner does when the handler returns
		if string(got) != "begun" || !errors.Is(err, os.ErrDeadlineExceeded) || again != err || time.Since(start) != 30*time.Second {
			t.Errorf("got %q, %v, then %v, after %v; want the beginning, and a deadline after 30s", got, err, again, time.Since(start))
		}
	})
}

func TestAHandlerThatTakesTooLongIsRefused(t *testing.T) { // SYSTEM T6
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		start := time.Now()
		must(t, config()).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })).
			ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 503 || time.Since(start) != 60*time.Second {
			t.Errorf("got %d after %v, want 503 after 60s", w.Code, time.Since(start))
		}
	})
}

func TestABrokenBodyIsARefusal(t *testing.T) {
	var err error
	srv := httptest.NewServer(must(t, config()).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err = io.ReadAll(r.Body)
	})))
	conn, dialErr := net.Dial("tcp", srv.Listener.Addr().String())
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+bearer+"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	io.ReadAll(conn)
	conn.Close()
	srv.Close()
	var refused *layer.Refusal
	if !errors.As(err, &refused) || refused.Reason != layer.Malformed {
		t.Errorf("a chunk of length zz: got %v, want a malformed refusal", err)
	}
}

func TestUploadedTemporaryFilesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var form strings.Builder
	m := multipart.NewWriter(&form)
	part, _ := m.CreateFormFile("f", "name")
	part.Write(make([]byte, 1000))
	m.Close()
	r := httptest.NewRequest("POST", "/", strings.NewReader(form.String()))
	r.Header.Set("Authorization", "Bearer key")
	r.Header.Set("Content-Type", m.FormDataContentType())
	during := 0
	must(t, config()).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		files, _ := os.ReadDir(os.TempDir())
		during = len(files)
	})).ServeHTTP(httptest.NewRecorder(), r)
	if after, _ := os.ReadDir(os.TempDir()); during == 0 || len(after) != 0 {
		t.Errorf("%d temporary files during the request, %d after it; want some, then none", during, len(after))
	}
}

func TestFullDuplexWorks(t *testing.T) {
	var err error
	srv := httptest.NewServer(must(t, config()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err = http.NewResponseController(w).EnableFullDuplex()
	})))
	defer srv.Close()
	req, _ := http.NewRequestWithContext(context.Background(), "GET", srv.URL, nil)
	if resp, e := http.DefaultClient.Do(req); e != nil || resp.Body.Close() != nil || err != nil {
		t.Errorf("EnableFullDuplex: %v, %v", e, err)
	}
}
