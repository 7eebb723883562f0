package origin_test

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
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// SYSTEM P6 T6: what cannot be read in one way is not passed on, and says nothing about what is behind.
func TestBadAnswersAreRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":                      "",
		"half a status line":           "HTTP/1.1 20",
		"another protocol":             "SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/2":                       "\x00\x00\x12\x04\x00\x00\x00\x00\x00",
		"two lengths":                  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"a negative length":            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"an encoding that is unknown":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"a space before the colon":     "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
		"a line that continues":        "HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 0\r\n\r\n",
		"a head without end":           "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", origin.MaxHead) + "\r\n\r\n",
		"lines without end":            "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", origin.MaxHead/8) + "\r\n",
		"interim answers without end":  strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", origin.MaxInformed+1) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a line that is none":          "HTTP/1.1 200 OK\r\nSet-Cookie secret-value\r\n\r\n",
		"a first line that is none":    "secret-value\r\n\r\n",
		"a status that is none":        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
		"a version that is none":       "HTTP/0.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a protocol that none asked":   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"a protocol that none asked 2": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
	} {
		var log bytes.Buffer
		s := before(t, rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, answer)
		}), func(c *origin.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		got, body := ask(t, s, "GET", "/secret-path", nil)
		if strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "request-1") {
			t.Errorf("%s: the log says %q", name, log.String())
		}
		if got.StatusCode != 502 || got.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, `"refused_by":"perimeter"`) {
			t.Errorf("%s: got %d %q", name, got.StatusCode, body)
		}
		if strings.Contains(body, "127.0.0.1") || strings.Contains(body, "secret-path") {
			t.Errorf("%s: the answer says too much: %q", name, body)
		}
	}
}

// An answer that breaks off never passes for a whole one.
func TestAnAnswerThatBreaksOffIsSeenToBe(t *testing.T) {
	for name, answer := range map[string]string{
		"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"a bad chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
	} {
		s := before(t, rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, answer)
		}))
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		got, err := client.Get(s.URL)
		if err == nil {
			_, err = io.ReadAll(got.Body)
			got.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: it passed for whole", name)
		}
	}
}

// SYSTEM P6: what would be read as two requests by the application is not sent, whoever let it through.
func TestRequestsThatSplitAreRefused(t *testing.T) {
	var asked atomic.Int32
	app := rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		asked.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	good := func() *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "app.test"
		return r
	}
	for name, spoil := range map[string]func(r *http.Request){
		"a line break in the target": func(r *http.Request) { r.RequestURI = "/ HTTP/1.1\r\nX: y\r\n\r\nGET /" },
		"a space in the target":      func(r *http.Request) { r.RequestURI = "/a b" },
		"an absolute target":         func(r *http.Request) { r.RequestURI = "http://evil.test/" },
		"no target":                  func(r *http.Request) { r.RequestURI = "" },
		"a line break in the method": func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" },
		"CONNECT":                    func(r *http.Request) { r.Method = "CONNECT" },
		"a line break in the host":   func(r *http.Request) { r.Host = "a\r\nX: y" },
		"no host":                    func(r *http.Request) { r.Host = "" },
		"a line break in a value":    func(r *http.Request) { r.Header["X-A"] = []string{"a\r\nTransfer-Encoding: chunked"} },
		"a bare line feed":           func(r *http.Request) { r.Header["X-A"] = []string{"a\nX: y"} },
		"a NUL":                      func(r *http.Request) { r.Header["X-A"] = []string{"a\x00"} },
		"a line break in a name":     func(r *http.Request) { r.Header["X-A: b\r\nX"] = []string{"y"} },
		"a space in a name":          func(r *http.Request) { r.Header["Content-Length "] = []string{"5"} },
		"no name":                    func(r *http.Request) { r.Header[""] = []string{"5"} },
	} {
		o, r, w := newOrigin(t, app), good(), httptest.NewRecorder()
		spoil(r)
		o.ServeHTTP(w, r)
		if w.Code != 400 || asked.Load() != 0 {
			t.Errorf("%s: got %d, and the application was asked %d times", name, w.Code, asked.Swap(0))
		}
	}
	w := httptest.NewRecorder()
	if newOrigin(t, app).ServeHTTP(w, good()); w.Code != 200 || asked.Load() != 1 {
		t.Errorf("a good request: got %d", w.Code)
	}
}

// A Content-Length or Transfer-Encoding that a header claims is not what the body is framed by.
func TestFramingIsOurOwn(t *testing.T) {
	got := make(chan string, 1)
	app := rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
		lines, _ := readHead(r)
		body := make([]byte, 3)
		io.ReadFull(r, body)
		got <- strings.Join(lines, "\n") + "\n\n" + string(body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	r := httptest.NewRequest("POST", "/", strings.NewReader("abc"))
	r.Header["Content-Length"], r.Header["Transfer-Encoding"] = []string{"0"}, []string{"chunked"}
	newOrigin(t, app).ServeHTTP(httptest.NewRecorder(), r)
	if text := <-got; strings.Count(text, "Content-Length: ") != 1 || !strings.Contains(text, "Content-Length: 3\n") || strings.Contains(text, "Transfer-Encoding") || !strings.HasSuffix(text, "abc") {
		t.Errorf("got %q", text)
	}
}

// SYSTEM P6: an application that keeps a connection without reading the body would take the body for the next visitor's request.
func TestABodyThatIsNotReadIsNobodysRequest(t *testing.T) {
	app := rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for { // reads heads alone, as some do for methods whose body they have no use for
			lines, err := readHead(r)
			if err != nil {
				return
			}
			if len(lines) == 0 {
				continue
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(lines[0]), lines[0])
		}
	})
	o := newOrigin(t, app)
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n"
	for name, body := range map[string]io.Reader{"with a length": strings.NewReader(smuggled), "in chunks": io.MultiReader(strings.NewReader(smuggled))} {
		o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/attack", body))
		for range 3 {
			w := httptest.NewRecorder()
			o.ServeHTTP(w, httptest.NewRequest("GET", "/victim", nil))
			if got := w.Body.String(); got != "GET /victim HTTP/1.1" {
				t.Fatalf("%s: the next visitor got the answer to %q", name, got)
			}
		}
	}
}

// What an application says unasked, or too much, is nobody's answer.
func TestWhatIsLeftOverIsNobodysAnswer(t *testing.T) {
	const good, evil = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, answers := range map[string][]string{"at once": {good + evil}, "a little later": {good, evil}} {
		s := before(t, rude(t, func(n int, c net.Conn, r *bufio.Reader) {
			for {
				if _, err := readHead(r); err != nil {
					return
				}
				for i, answer := range answers {
					time.Sleep(time.Duration(i) * 20 * time.Millisecond)
					io.WriteString(c, answer)
				}
			}
		}))
		for range 5 {
			if _, got := ask(t, s, "GET", "/", nil); got != "ok" {
				t.Errorf("%s: got %q", name, got)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// A body that breaks off never passes for a whole one.
func TestABodyThatBreaksOffIsSeenToBe(t *testing.T) {
	saw := make(chan error, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		saw <- err
	}))
	defer app.Close()
	for name, length := range map[string]int64{"with a length": 100, "in chunks": -1} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("abc"), broken{})), length
		w := httptest.NewRecorder()
		newOrigin(t, app.URL).ServeHTTP(w, r)
		if err := <-saw; err == nil || w.Code != 400 {
			t.Errorf("%s: the application saw %v, the client %d", name, err, w.Code)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestWithoutAVisitorNothingIsForwarded(t *testing.T) {
	for name, who := range map[string]func(context.Context) (origin.Visitor, bool){
		"nobody verified": func(context.Context) (origin.Visitor, bool) { return visitor, false },
		"no address":      func(context.Context) (origin.Visitor, bool) { return origin.Visitor{Host: "h", ID: "i"}, true },
	} {
		s := front(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error(name + ": it was forwarded") }), func(c *origin.Config) { c.Visitor = who })
		if answer, _ := ask(t, s, "GET", "/", nil); answer.StatusCode != 401 {
			t.Errorf("%s: got %d", name, answer.StatusCode)
		}
	}
}

// SYSTEM P7: it is no way into the network.
func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"http://127.0.0.1:3000":    "",
		"http://localhost:3000/":   "",
		"http://[::1]:3000":        "",
		"http://127.9.9.9":         "",
		"unix:///run/app.sock":     "",
		"http://10.0.0.1:80":       "not on this machine",
		"http://169.254.169.254":   "not on this machine",
		"http://[::ffff:10.0.0.1]": "not on this machine",
		"http://0.0.0.0:3000":      "not on this machine",
		"http://example.com":       "not on this machine",
		"http://localhost.evil":    "not on this machine",
		"https://127.0.0.1":        "neither",
		"http://127.0.0.1/path":    "has a path",
		"http://a:b@127.0.0.1":     "more than an address",
		"http://127.0.0.1/?x":      "more than an address",
		"http://":                  "no host",
		"unix://relative":          "form unix:///path",
		"":                         "neither",
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		_, err = origin.New(origin.Config{Target: u, Visitor: known})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
	u, _ := url.Parse("http://10.0.0.1:80")
	if _, err := origin.New(origin.Config{Target: u, Visitor: known, InsecureRemote: true}); err != nil {
		t.Errorf("permitted: %v", err)
	}
	_, err := origin.New(origin.Config{MaxConns: -1, Host: "a b"})
	for _, want := range []string{"target is missing", "knows the visitor", "host to send", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// What a name means is judged when it is dialled, too.
func TestTheDialledAddressIsJudged(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "10.0.0.1:80": false, "169.254.169.254:80": false, "[::ffff:10.0.0.1]:80": false, "junk": false} {
		if err := origin.Loopback("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if ip := netip.MustParseAddr("::ffff:127.0.0.1"); ip.IsLoopback() != (origin.Loopback("tcp", "[::ffff:127.0.0.1]:80", nil) == nil) {
		t.Error("a mapped address is judged differently")
	}
}
