package origin_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// FuzzHead holds what is written against net/http: it is refused, or it is one request, which says what was asked and who asks.
func FuzzHead(f *testing.F) {
	f.Add("GET", "/a?b", "app.test", "X-A", "b")
	f.Add("POST", "*", "app.test:443", "X_Forwarded_For", "6.6.6.6")
	f.Add("GET", "/ HTTP/1.1\r\n\r\n", "a\r\nb", "Content-Length", "5")
	f.Add("GET", "/", "a", "Connection", "x-forwarded-for, X-Request-Id")
	f.Add("GET", "/", "a", "transfer-encoding", "chunked")
	f.Add("GET", "/", "a", "Redoubt-Assertion", "a.b.c")
	o := newOrigin(f, "http://127.0.0.1:1")
	f.Fuzz(func(t *testing.T, method, target, host, name, value string) {
		asked := &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{name: {value}}}
		head, err := o.Head(asked, visitor)
		if err != nil {
			return
		}
		r := bufio.NewReader(bytes.NewReader(head))
		got, err := http.ReadRequest(r)
		if err != nil {
			if strings.HasPrefix(target, "/") && strings.Contains(target, "%") || target == "*" || host != "app.test" {
				return // net/http is stricter about escapes, and about hosts
			}
			t.Fatalf("it cannot be read: %v\n%q", err, head)
		}
		if r.Buffered() > 0 || got.ContentLength > 0 || got.TransferEncoding != nil || got.Method != method || got.RequestURI != target || got.Host != host {
			t.Fatalf("it is read as something else: %+v\n%q", got, head)
		}
		for name, want := range map[string]string{"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.test", "X-Request-Id": "request-1"} {
			if values := got.Header[name]; len(values) != 1 || values[0] != want {
				t.Fatalf("%s is %q\n%q", name, values, head)
			}
		}
		for name := range got.Header {
			dashed := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
			if name != "X-Forwarded-For" && dashed == "x-forwarded-for" || dashed == "forwarded" || dashed == "x-real-ip" {
				t.Fatalf("%s passed\n%q", name, head)
			}
		}
	})
}

// FuzzAnswer: whatever an application says, what is passed on is one answer that can be read in one way, or ours.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 404 \r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "\x00",
		"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 1\r\nConnection: X-B\r\nX-B: c\r\n\r\nz",
	} {
		f.Add(s)
	}
	short := func(c *origin.Config) { c.Response, c.Idle = 200*time.Millisecond, 200*time.Millisecond }
	var say string
	o := newOrigin(f, rude(f, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, say)
	}), short)
	f.Fuzz(func(t *testing.T, s string) {
		say = s
		w := httptest.NewRecorder()
		defer func() {
			if why := recover(); why != nil && why != http.ErrAbortHandler {
				panic(why)
			}
		}()
		o.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code == http.StatusSwitchingProtocols {
			t.Errorf("%q changed the protocol", s)
		}
		for name, values := range w.Header() {
			if name == "Connection" || name == "Upgrade" || name == "Transfer-Encoding" || strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("%q passes %s: %q", s, name, values)
			}
		}
	})
}
