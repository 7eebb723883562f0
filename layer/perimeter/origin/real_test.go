package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// free is a port of this machine that nothing used a moment ago.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// listening waits until something answers there.
func listening(t testing.TB, network, address string) {
	t.Helper()
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nothing listens at %s", address)
}

const nginxConf = `
daemon off; master_process off; worker_processes 1; pid DIR/pid; error_log stderr warn;
events { worker_connections 512; }
http {
	access_log off; default_type text/plain; keepalive_timeout 75s; keepalive_requests 50;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	server {
		listen 127.0.0.1:PORT; listen unix:DIR/socket; server_name _;
		client_max_body_size 1m; root DIR/files;
		location = /seen { return 200 "$request_method $request_uri $http_host $http_x_forwarded_for $http_x_forwarded_proto $http_x_forwarded_host $http_x_request_id [$http_x_real_ip$http_forwarded]"; }
		location = /assertion { return 200 "$http_redoubt_assertion"; }
		location /packed/ { alias DIR/files/; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; }
		location /upload { proxy_pass http://127.0.0.1:PORT/taken; }
		location = /taken { return 201 "taken"; }
	}
}
`

// startNginx runs Debian's nginx over a folder with one file.
func startNginx(t testing.TB) (url, unix string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	file = bytes.Repeat([]byte("a line of a file\n"), 1<<20)
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	port := free(t)
	write(t, dir, map[string][]byte{
		"nginx.conf": []byte(strings.NewReplacer("DIR", dir, "PORT", port).Replace(nginxConf)), "files/file": file, "files/small": []byte("small\n"),
	})
	start(t, dir, nil, false, program(t, "nginx", "nginx-light"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	listening(t, "tcp", "127.0.0.1:"+port)
	return "http://127.0.0.1:" + port, "unix://" + filepath.Join(dir, "socket"), file
}

// SYSTEM P7: nginx, over a link, by TCP and by a Unix socket.
func TestNginxBehindALink(t *testing.T) {
	url, unix, file := startNginx(t)
	for name, target := range map[string]string{"tcp": url, "unix": unix} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t, newOffice(t, signing, 0), target)
			_, got := ask(t, c.Server, "GET", "/seen?a=%2f&b", nil, "X-Forwarded-For", "6.6.6.6", "X-Real-Ip", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Request-Id", "forged")
			if want := "GET /seen?a=%2f&b app.test 192.0.2.1 https app.test request-1 []"; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if _, got := ask(t, c.Server, "GET", "/assertion", nil, "Redoubt-Assertion", "forged"); strings.Count(got, ".") != 2 || strings.Contains(got, "forged") {
				t.Errorf("the assertion arrives as %q", got)
			}
			if _, got := ask(t, c.Server, "GET", "/file", nil); sha256.Sum256([]byte(got)) != sha256.Sum256(file) {
				t.Errorf("16 MiB arrive as %d bytes", len(got))
			}
			answer, part := ask(t, c.Server, "GET", "/file", nil, "Range", "bytes=2-5")
			if answer.StatusCode != 206 || part != "line" || !strings.HasPrefix(answer.Header.Get("Content-Range"), "bytes 2-5/") {
				t.Errorf("a range: %d %q", answer.StatusCode, part)
			}
			if head, body := ask(t, c.Server, "HEAD", "/file", nil); head.ContentLength != int64(len(file)) || body != "" {
				t.Errorf("HEAD: %d", head.ContentLength)
			}
			if again, _ := ask(t, c.Server, "GET", "/file", nil, "If-None-Match", answer.Header.Get("Etag")); again.StatusCode != 304 {
				t.Errorf("unchanged: %d", again.StatusCode)
			}
			if packed, body := ask(t, c.Server, "GET", "/packed/small", nil, "Accept-Encoding", "gzip"); packed.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(body, "\x1f\x8b") {
				t.Errorf("packed: %v %q", packed.Header, body)
			}
			if answer, _ := ask(t, c.Server, "GET", "/none", nil); answer.StatusCode != 404 {
				t.Errorf("none: %d", answer.StatusCode)
			}
			for size, want := range map[int]int{1000: 201, 1 << 20: 201, 1<<20 + 1: 413} {
				for kind, body := range map[string]io.Reader{"with a length": bytes.NewReader(make([]byte, size)), "in chunks": io.MultiReader(bytes.NewReader(make([]byte, size)))} {
					if answer, body := ask(t, c.Server, "POST", "/upload", body); answer.StatusCode != want {
						t.Errorf("%d bytes %s: %d %q", size, kind, answer.StatusCode, body)
					}
				}
			}
			var group sync.WaitGroup
			for i := range 10 {
				group.Go(func() {
					for j := range 60 { // nginx closes each connection after fifty
						if answer, _ := ask(t, c.Server, []string{"GET", "HEAD"}[(i+j)%2], "/small", nil); answer.StatusCode != 200 {
							t.Errorf("request %d: %d", j, answer.StatusCode)
						}
					}
				})
			}
			group.Wait()
			if n := c.refused.Load(); n != 0 {
				t.Errorf("%d requests were refused", n)
			}
		})
	}
}

// SYSTEM P7: python3 -m http.server, which speaks HTTP/1.0.
func TestPythonsFileServerBehindALink(t *testing.T) {
	dir := t.TempDir()
	file := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	write(t, dir, map[string][]byte{"a file": file})
	port := free(t)
	start(t, dir, nil, false, program(t, "python3", "python3"), "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", dir)
	listening(t, "tcp", "127.0.0.1:"+port)
	c := newChain(t, newOffice(t, signing, 0), "http://127.0.0.1:"+port)
	if answer, got := ask(t, c.Server, "GET", "/", nil); answer.StatusCode != 200 || !strings.Contains(got, `href="a%20file"`) {
		t.Errorf("the list: %d %q", answer.StatusCode, got)
	}
	if _, got := ask(t, c.Server, "GET", "/a%20file", nil); got != string(file) {
		t.Errorf("the file arrives as %d bytes", len(got))
	}
	if answer, body := ask(t, c.Server, "HEAD", "/a%20file", nil); answer.ContentLength != int64(len(file)) || body != "" {
		t.Errorf("HEAD: %d", answer.ContentLength)
	}
	for method, want := range map[string]int{"POST": 501, "PUT": 501, "DELETE": 501} {
		if answer, _ := ask(t, c.Server, method, "/", strings.NewReader("body")); answer.StatusCode != want {
			t.Errorf("%s: %d", method, answer.StatusCode)
		}
	}
	if answer, _ := ask(t, c.Server, "GET", "/../../etc/passwd", nil); answer.StatusCode != 404 {
		t.Errorf("outside: %d", answer.StatusCode)
	}
	if answer, _ := ask(t, c.Server, "GET", "/a%20file", nil, "If-Modified-Since", time.Now().UTC().Add(time.Hour).Format(http.TimeFormat)); answer.StatusCode != 304 {
		t.Errorf("unchanged: %d", answer.StatusCode)
	}
}

// SYSTEM P2 P5 P7: an application on Express, with WebSockets, events and the assertion verified by it.
func TestExpressBehindALink(t *testing.T) {
	o := newOffice(t, signing, 0)
	url := startExpress(t, o.environment()...)
	c := newChain(t, o, url)

	_, got := ask(t, c.Server, "GET", "/headers?x=%2f", nil, "X-Forwarded-For", "6.6.6.6", "Redoubt-User", "root", "Redoubt-Assertion", "forged")
	var seen struct {
		URL     string
		Headers map[string]string
	}
	if err := json.Unmarshal([]byte(got), &seen); err != nil {
		t.Fatalf("%v: %q", err, got)
	}
	if h := seen.Headers; seen.URL != "/headers?x=%2f" || h["host"] != "app.test" || h["x-forwarded-for"] != "192.0.2.1" || h["x-forwarded-proto"] != "https" ||
		h["x-forwarded-host"] != "app.test" || h["x-request-id"] == "" || h["redoubt-user"] != "" || strings.Count(h["redoubt-assertion"], ".") != 2 {
		t.Errorf("the application saw %+v", seen)
	}
	for _, target := range []string{"/private/a?b=c", "/private/" + strings.Repeat("long/", 200), "/private/%C3%A9?q=%22"} {
		if answer, got := ask(t, c.Server, "POST", target, strings.NewReader("body")); answer.StatusCode != 200 || got != `{"sub":"alice","by":"provider","ip":"192.0.2.1"}` {
			t.Errorf("%.30s: %d %q", target, answer.StatusCode, got)
		}
	}

	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	hash := sha256.Sum256(body)
	for kind, from := range map[string]io.Reader{"with a length": bytes.NewReader(body), "in chunks": io.MultiReader(bytes.NewReader(body))} {
		if _, got := ask(t, c.Server, "POST", "/upload", from); got != fmt.Sprintf(`{"bytes":%d,"sha256":"%s","trailers":{}}`, len(body), hex.EncodeToString(hash[:])) {
			t.Errorf("an upload %s: %q", kind, got)
		}
	}
	expressHints(t, c)
	expressEvents(t, c)
	expressWebSocket(t, c)

	// Node.js closes a kept connection after five seconds: what comes just then, and may not be sent twice, is not lost.
	patient := newChain(t, o, url)
	ask(t, patient.Server, "GET", "/headers", nil)
	time.Sleep(4900 * time.Millisecond)
	for i := range 30 {
		if answer, _ := ask(t, patient.Server, "POST", "/upload", nil); answer.StatusCode != 200 {
			t.Errorf("request %d around the fifth second: %d", i, answer.StatusCode)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func expressHints(t *testing.T, c *chain) {
	t.Helper()
	var hint string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hint = fmt.Sprint(code, " ", h.Get("Link"))
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", c.URL+"/hints", nil)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if hint != "103 </style.css>; rel=preload; as=style" || answer.StatusCode != 200 {
		t.Errorf("got %q, %d", hint, answer.StatusCode)
	}
}

// expressEvents: events arrive within 50 ms at the median, and the application hears when nobody listens any more.
func expressEvents(t *testing.T, c *chain) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", c.URL+"/events", nil)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	lines, quick := bufio.NewScanner(answer.Body), 0
	for i := 0; i < 20 && lines.Scan(); {
		at, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		i++
		sent, _ := strconv.ParseInt(at, 10, 64)
		if time.Since(time.UnixMilli(sent)) < 50*time.Millisecond {
			quick++
		}
	}
	if quick < 10 {
		t.Errorf("%d of 20 events arrived within 50 ms", quick)
	}
	cancel()
	answer.Body.Close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, closed := ask(t, c.Server, "GET", "/closed", nil); closed == "true" {
			return
		}
		if time.Now().After(end) {
			t.Error("the application was not told that nobody listens any more")
			return
		}
	}
}

func expressWebSocket(t *testing.T, c *chain) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, c.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(2 << 20)
	big := strings.Repeat("x", 1<<20)
	for said, want := range map[string]string{"hello": "hello", "who": "alice", big: big} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
			t.Errorf("got %d bytes, %v, want %.10q", len(got), err, want)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
	if _, _, err := websocket.Dial(ctx, before(t, c.office.straight(t)).URL+"/ws", nil); err == nil {
		t.Error("a WebSocket without an assertion was opened")
	}
}

// straight is an Express application that nobody vouches to.
func (o *office) straight(t *testing.T) string { return startExpress(t, o.environment()...) }

// An application that is started again is found again, by the next request.
func TestAnApplicationMayRestart(t *testing.T) {
	port := free(t)
	c := newChain(t, newOffice(t, signing, 0), "http://127.0.0.1:"+port, func(c *origin.Config) { c.Response = time.Second })
	if answer, _ := ask(t, c.Server, "GET", "/", nil); answer.StatusCode != 502 {
		t.Errorf("before it is there: %d", answer.StatusCode)
	}
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })}
		go app.Serve(l)
		for _, method := range []string{"POST", "GET"} {
			if answer, body := ask(t, c.Server, method, "/", nil); answer.StatusCode != 200 || body != "here" {
				t.Errorf("%s: %d %q", method, answer.StatusCode, body)
			}
		}
		app.Close()
	}
}
