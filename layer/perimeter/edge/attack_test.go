package edge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// SYSTEM P6: what two readers could understand differently reaches neither. HOST stands for the canonical host.
func TestSmugglingIsRefused(t *testing.T) {
	var reached atomic.Int64
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.Copy(io.Discard, r.Body)
	}))
	const end = "Connection: close\r\n\r\n"
	attacks := []struct {
		name, request string
		want          string // the status
	}{
		{"two Hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n" + end, "400"},
		{"no Host", "GET / HTTP/1.1\r\n" + end, "400"},
		{"two different Content-Lengths", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + end + "ab", "400"},
		{"two equal Content-Lengths", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 1\r\n" + end + "a", "400"},
		{"a list of Content-Lengths", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1, 1\r\n" + end + "a", "400"},
		{"a signed Content-Length", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: +1\r\n" + end + "a", "400"},
		{"Content-Length and chunked", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\n", "400"},
		{"chunked and Content-Length", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n" + end + "0\r\n\r\n", "400"},
		{"two Transfer-Encodings", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\n", "400"},
		{"Transfer-Encoding identity", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\n" + end, "400"},
		{"Transfer-Encoding gzip, chunked", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n" + end + "0\r\n\r\n", "400"},
		{"Transfer-Encoding with a control character", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \x0bchunked\r\n" + end + "0\r\n\r\n", "400"},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\n", "400"},
		{"a space before a colon", "GET / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n" + end, "400"},
		{"a folded line", "GET / HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n" + end, "400"},
		{"a bare line feed in the head", "GET / HTTP/1.1\r\nHost: HOST\nX: a\r\n" + end, "400"},
		{"a bare carriage return in a value", "GET / HTTP/1.1\r\nHost: HOST\r\nX: a\rY: b\r\n" + end, "400"},
		{"a NUL in a value", "GET / HTTP/1.1\r\nHost: HOST\r\nX: a\x00b\r\n" + end, "400"},
		{"a header without a name", "GET / HTTP/1.1\r\nHost: HOST\r\n: b\r\n" + end, "400"},
		{"an underscore in a name", "GET / HTTP/1.1\r\nHost: HOST\r\nX_Forwarded_For: 6.6.6.6\r\n" + end, "400"},
		{"an empty line first", "\r\nGET / HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"two spaces in the request line", "GET  / HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a tab in the request line", "GET\t/ HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"HTTP/0.9", "GET /\r\n", "400"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: HOST\r\n" + end, "400"},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		{"CONNECT", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an absolute target with another host", "GET https://evil.example/ HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"another Host than the absolute target's", "GET https://HOST/ HTTP/1.1\r\nHost: evil.example\r\n" + end, "400"},
		{"an absolute target without TLS", "GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an absolute target with user information", "GET https://x@HOST/ HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"another host", "GET / HTTP/1.1\r\nHost: evil.example\r\n" + end, "421"},
		{"another host with the edge's port", "GET / HTTP/1.1\r\nHost: localhost.evil.example:443\r\n" + end, "421"},
		{"a host with a trailing dot", "GET / HTTP/1.1\r\nHost: localhost.:1\r\n" + end, "421"},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n" + end, "421"},
		{"an escaped slash", "GET /a%2fb HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"two slashes", "GET //evil.example/ HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"two slashes inside", "GET /a//b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an overlong slash", "GET /a%c0%afb HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"overlong dots", "GET /a/%c0%ae%C0%AE/b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"half a character", "GET /caf%c3 HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a slash that is escaped twice", "GET /a%252fb HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"dots that are escaped twice", "GET /a/%252e%252E/b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an escaped backslash", "GET /a%5Cb HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an escaped NUL", "GET /a%00b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an escaped line feed", "GET /a%0ab HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"dots that lead up", "GET /a/../b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"escaped dots that lead up", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"half escaped dots", "GET /a/.%2e HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"dots with parameters", "GET /a/..;x=1/b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a single dot", "GET /./a HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a raw backslash", "GET /a\\b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a fragment", "GET /a#b HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a fragment in the query", "GET /a?b#c HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"a broken escape", "GET /a%zz HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"bytes above ASCII", "GET /\xff HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
		{"an upgrade to HTTP/2 without TLS", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n", "501"},
		{"an upgrade to several protocols", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade\r\n\r\n", "501"},
		{"an upgrade that Connection does not name", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", "400"},
		{"an upgrade without a key", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n", "400"},
		{"an upgrade with a key that is too short", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n\r\n", "400"},
		{"an upgrade of an older version", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n", "426"},
		{"an upgrade by POST", "POST / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", "400"},
		{"an upgrade with a body", "GET / HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na", "400"},
		{"a method that is too long", strings.Repeat("A", 33) + " / HTTP/1.1\r\nHost: HOST\r\n" + end, "400"},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			before := reached.Load()
			conn := w.raw(a.request)
			if got, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(conn, "HTTP/1.1 "), "HTTP/1.0 "), " "); got != a.want {
				t.Errorf("got %.80q, want %s", conn, a.want)
			}
			if got := reached.Load() - before; got != 0 {
				t.Errorf("%d requests reached the application", got)
			}
		})
	}
	for name, body := range map[string]string{
		"a bare line feed after a chunk size":  "1\na\r\n0\r\n\r\n",
		"a chunk extension":                    "1;x=y\r\na\r\n0\r\n\r\n",
		"a chunk longer than its size":         "1\r\nab\r\n0\r\n\r\n",
		"a chunk size with a sign":             "-1\r\na\r\n0\r\n\r\n",
		"a chunk size with a prefix":           "0x1\r\na\r\n0\r\n\r\n",
		"a chunk size that overflows":          "fffffffffffffffff\r\na\r\n0\r\n\r\n",
		"a request hidden in a trailer's fold": "0\r\n GET / HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := w.raw("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "GET /second HTTP/1.1\r\nHost: HOST\r\n" + end)
			if strings.Contains(got, "HTTP/1.1 200") {
				t.Errorf("got %.200q, want no success", got)
			}
		})
	}
	if w.edge.Links("test") != 1 {
		t.Error("an attack cost the link")
	}
	if !strings.Contains(w.access.String(), `"refused":"Content-Length beside Transfer-Encoding"`) {
		t.Error("the log does not say what was refused")
	}
}

// SYSTEM P6: no request that is hidden behind another's end, by one reading of it, is ever answered or reaches the application.
func TestHiddenRequestsAreNotServed(t *testing.T) {
	var hidden atomic.Int64
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hidden" {
			hidden.Add(1)
		}
		io.Copy(io.Discard, r.Body)
	}))
	const inner = "GET /hidden HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
	if got := w.raw("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n" + inner); strings.Count(got, "HTTP/1.1 200") != 2 || hidden.Load() != 1 {
		t.Fatalf("an honest second request: got %.100q", got)
	}
	hidden.Store(0)
	const post = "POST / HTTP/1.1\r\nHost: HOST\r\n"
	for name, request := range map[string]string{
		"CL.TE":                           post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE.CL":                           post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n",
		"TE.TE with a second coding":      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
		"TE.TE with a quoted coding":      post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"TE.TE with a tab":                post + "Transfer-Encoding:\tchunked, chunked\r\n\r\n0\r\n\r\n",
		"TE with an underscore":           post + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"TE with a space before it":       post + " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE folded":                       post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"TE behind a bare line feed":      post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE behind a bare return":         post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CL behind a NUL":                 post + "X: y\x00Content-Length: 5\r\n\r\n",
		"two lengths":                     post + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
		"a length with an underscore":     post + "Content_Length: 5\r\n\r\n",
		"a chunk extension":               post + "Transfer-Encoding: chunked\r\n\r\n0;\nx\r\n\r\n",
		"a chunk's end without a return":  post + "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
		"a last chunk of several zeros;x": post + "Transfer-Encoding: chunked\r\n\r\n000;x\r\n\r\n",
		"after a refused host":            "GET / HTTP/1.1\r\nHost: HOST\r\nHost: x\r\n\r\n",
		"after an underscore":             "POST / HTTP/1.1\r\nHost: HOST\r\nX_Y: z\r\nContent-Length: 1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := w.raw(request + inner)
			if hidden.Load() != 0 || strings.Count(got, "HTTP/1.1 ") > 1 || strings.Contains(got, "HTTP/1.1 2") {
				t.Errorf("got %.300q, and %d hidden requests reached the application", got, hidden.Load())
			}
			hidden.Store(0)
		})
	}
}

// Nothing honest is refused by the same code: pipelining, chunks with trailers, an absolute target, any body between requests.
func TestHonestHTTP1Passes(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "[%s %s %d %v %d]", r.Method, r.URL.Path, len(body), err, len(r.Trailer))
	}))
	got := w.raw("POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nGET" +
		"POST /b HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\na\r\nbc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n" +
		"GET https://HOST/c HTTP/1.1\r\nHost: HOST\r\n\r\n" +
		"GET /d HTTP/1.0\r\nHost: HOST\r\n\r\n")
	for _, want := range []string{"[POST /a 3 <nil> 0]", "[POST /b 15 <nil> 1]", "[GET /c 0 <nil> 0]", "[GET /d 0 <nil> 0]"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want it to hold %q", got, want)
		}
	}
}

// SYSTEM P5: no header in which a client claims who or where it is reaches the application.
func TestClaimsAreDropped(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var names []string
			for name := range r.Header {
				names = append(names, name)
			}
			sort.Strings(names)
			fmt.Fprint(w, names)
		}))
		r, _ := http.NewRequest("GET", w.url("/"), nil)
		r.Header.Set("User-Agent", "test")
		r.Header.Set("Cookie", "a=b")
		r.Header.Set("Authorization", "Bearer x")
		for _, name := range []string{
			"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "x-FORWARDED-email", "X-Real-Ip",
			"True-Client-Ip", "Cf-Connecting-Ip", "Cf-Access-Jwt-Assertion", "Remote-User", "Remote-Email", "Tailscale-User-Login",
			"X-Auth-Request-Email", "X-Pomerium-Jwt-Assertion", "Teleport-Jwt-Assertion", "Redoubt-Assertion", "Redoubt-Principal",
			"X-Original-Url", "Te", "Proxy-Authorization",
		} {
			r.Header.Set(name, "forged")
		}
		if !http2 {
			r.Header.Set("Connection", "Redoubt-Assertion, X-Secret") // asks the edge to drop its own word
			r.Header.Set("X-Secret", "forged")
			r.Header.Set("Keep-Alive", "forged")
		} else {
			r.Header.Del("Te") // HTTP/2 knows one value only, and the client refuses others
		}
		resp, err := w.client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		if want := "[Authorization Cookie User-Agent]"; string(got) != want {
			t.Errorf("the application saw %s, want %s", got, want)
		}
	})
}

func TestClaimsInEverySpelling(t *testing.T) {
	for name, want := range map[string]bool{
		"X_Forwarded_For": true, "x-forwarded_FOR": true, "REMOTE_USER": true, "Redoubt_Assertion": true, "a-jwt_assertion": true,
		"CF_Ray": true, "X-Auth": false, "Accept": false, "X-Request-Id": false, "Origin": false, "Cookie": false, "Cfx": false,
	} {
		if got := edge.IsClaim(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// SYSTEM P2: one canonical origin; whoever comes by another name of this machine is sent there, if he only reads.
func TestCanonicalOrigin(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello)
	_, port, _ := strings.Cut(w.host, ":")
	for _, c := range []struct {
		name, method, host string
		want               int
	}{
		{"the canonical host", "GET", w.host, 200},
		{"the canonical host in capitals", "GET", strings.ToUpper(w.host), 200},
		{"another name of the loopback", "GET", "127.0.0.1:" + port, 308},
		{"its IPv6 address", "HEAD", "[::1]:" + port, 308},
		{"its IPv6 address without a port", "GET", "[::1]", 308},
		{"another port", "GET", "localhost:1", 308},
		{"another name, with a form", "POST", "127.0.0.1:" + port, 421},
		{"a foreign host", "GET", "evil.example", 421},
		{"a name that begins like an address", "GET", "127.0.0.1.evil.example", 421},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := http.NewRequest(c.method, w.url("/p?q=1"), nil)
			r.Host = c.host
			resp, err := w.client(true).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("got %d, want %d", resp.StatusCode, c.want)
			}
			if got, want := resp.Header.Get("Location"), w.url("/p?q=1"); c.want == 308 && got != want {
				t.Errorf("sent to %s, want %s", got, want)
			}
		})
	}
}

// SYSTEM P2: the plain port only ever names the configured origin.
func TestPlainPortRedirects(t *testing.T) {
	w := newWorld(t, edge.Times{})
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, x := range []struct {
		name, method, path, want string
		status                   int
	}{
		{"a reader", "GET", "/a?b=c", w.url("/a?b=c"), 308},
		{"a reader of the head", "HEAD", "/", w.url("/"), 308},
		{"a path that looks like a host", "GET", "//evil.example/", "", 400},
		{"a path that leads up", "GET", "/a/%2e%2e/", "", 400},
		{"a form", "POST", "/", "", 403},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, _ := http.NewRequest(x.method, "http://"+w.plain+x.path, nil)
			r.Host = "evil.example"
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != x.status || got != x.want {
				t.Errorf("got %d to %q, want %d to %q", resp.StatusCode, got, x.status, x.want)
			}
		})
	}
}

// The access line says what happened, and nothing that is secret.
func TestAccessLine(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello)
	r, _ := http.NewRequest("GET", w.url("/path?token=hunter2"), nil)
	r.Header.Set("Authorization", "Bearer hunter2")
	r.Header.Set("Cookie", "session=hunter2")
	resp, err := w.client(true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.eventually("the line is written", func() bool { return strings.Contains(w.access.String(), `"path"`) })
	log := w.access.String()
	if strings.Contains(log+w.log.String(), "hunter2") {
		t.Errorf("the log holds a credential: %s", log)
	}
	var line struct {
		Time                                        time.Time
		ID, Method, Host, Path, Client, Application string
		Rule, By, Link, Protocol, Refused, Session  string
		Status                                      int
		Out                                         int64
		MS                                          *float64
	}
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatal(err)
	}
	if line.Method != "GET" || line.Host != w.host || line.Path != "/path" || line.Status != 200 || line.Out == 0 || line.MS == nil ||
		len(line.ID) < 20 || line.Client != "127.0.0.1" || line.Application != "test" || line.Rule != "test:1 everybody" || line.By != "nobody" ||
		line.Link == "" || line.Protocol != "HTTP/2.0" || time.Since(line.Time) > time.Minute || line.Refused != "" {
		t.Errorf("got %+v", line)
	}
}

// SYSTEM P6: a client in HTTP/2 may not say twice what HTTP/1 may not.
func TestHTTP2Ambiguities(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello)
	for name, change := range map[string]func(*http.Request){
		"a target with escaped dots": func(r *http.Request) { r.URL.Opaque = "/a/%2e%2e/b" },
		"an underscore in a name":    func(r *http.Request) { r.Header["x_real_ip"] = []string{"6.6.6.6"} },
		"TRACE":                      func(r *http.Request) { r.Method = "TRACE" },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := http.NewRequest("GET", w.url("/"), nil)
			change(r)
			resp, err := w.client(true).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d as %s, want 400 as a problem", resp.StatusCode, resp.Header.Get("Content-Type"))
			}
		})
	}
}
