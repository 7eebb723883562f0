package egress_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

func TestAPageIsTaken(t *testing.T) {
	w := newWorld(t)
	var version atomic.Value
	w.secure("a.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		version.Store(r.Proto)
		html("hello")(rw, r)
	})
	w.site("old.example", "2a00:1450::9", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "https://a.example/there#part", http.StatusMovedPermanently)
	})
	answer, err := w.client(egress.Config{}).Get(t.Context(), "http://old.example/x", page)
	if err != nil {
		t.Fatal(err)
	}
	want := egress.Answer{URL: "https://a.example/there", Host: "a.example", Type: "text/html", Charset: "utf-8", Body: []byte("hello")}
	if !reflect.DeepEqual(*answer, want) || version.Load() != "HTTP/2.0" {
		t.Errorf("got %+v by %v", answer, version.Load())
	}
}

func TestNothingIsTakenAlong(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	heads := make(chan http.Header, 8)
	w.site("a.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		heads <- r.Header
		if r.URL.Path == "/" {
			http.SetCookie(rw, &http.Cookie{Name: "told", Value: "apart"})
			rw.Header().Set("Alt-Svc", `h3=":443"`)
			http.Redirect(rw, r, "/again?token=7", http.StatusFound)
			return
		}
		html("")(rw, r)
	})
	t.Setenv("HTTP_PROXY", "http://"+w.secret)
	t.Setenv("http_proxy", "http://"+w.secret)
	environment := httpproxy.FromEnvironment().ProxyFunc()
	plain := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) { return environment(r.URL) }}
	defer plain.CloseIdleConnections()
	if got := ask(&http.Client{Transport: plain}, "http://a.example/"); got != secret {
		t.Fatalf("a client with the environment's proxy does not go there, so the test proves nothing: %s", got)
	}
	w.reached.Store(0)
	if _, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Accept": {"text/html"}, "Accept-Encoding": {"identity"}, "Connection": {"close"}, "User-Agent": {"Redoubt/1"}}
	for i := range 2 {
		if got := <-heads; !reflect.DeepEqual(got, want) {
			t.Errorf("request %d has %v", i, got)
		}
	}
	if w.reached.Load() != 0 {
		t.Error("the environment's proxy was asked")
	}
}

func TestRedirectsEnd(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	w.site("a.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		left := 0
		fmt.Sscanf(r.URL.Path, "/%d", &left)
		if left == 0 {
			html("there")(rw, r)
			return
		}
		rw.Header().Set("Location", fmt.Sprintf("/%d", left-1))
		rw.WriteHeader([]int{301, 302, 303, 307, 308}[left%5])
	})
	w.site("b.example", "93.184.216.35", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			rw.WriteHeader(302)
		case "/two":
			rw.Header()["Location"] = []string{"http://a.example/0", "http://b.example/0"}
			rw.WriteHeader(302)
		case "/choices":
			rw.Header().Set("Location", "http://a.example/0")
			rw.WriteHeader(300)
		case "/refresh":
			rw.Header().Set("Refresh", "0; url=http://a.example/0")
			html("")(rw, r)
		}
	})
	w.secure("s.example", "93.184.216.36", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://a.example/0", http.StatusFound)
	})
	for url, want := range map[string]egress.Fault{
		"http://a.example/0": "", "http://a.example/3": "", "http://a.example/4": egress.Redirected, "http://a.example/999999": egress.Redirected,
		"http://b.example/none": egress.Redirected, "http://b.example/two": egress.Redirected, "http://b.example/choices": egress.Unwanted,
		"https://s.example/": egress.Redirected,
	} {
		asked.Store(0)
		_, err := w.client(egress.Config{}).Get(t.Context(), url, page)
		if got := fault(t, err); got != want || asked.Load() > egress.MaxRedirects+1 {
			t.Errorf("%s: got %q after %d requests, want %q", url, got, asked.Load(), want)
		}
	}
	asked.Store(0)
	answer, err := w.client(egress.Config{}).Get(t.Context(), "http://b.example/refresh", page)
	if err != nil || answer.URL != "http://b.example/refresh" || asked.Load() != 0 {
		t.Errorf("a Refresh was followed: %v, %v", answer, err)
	}
}

func TestOnlyWhatIsWantedIsTaken(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	w.site("a.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		head := rw.Header()
		head["Content-Type"] = []string{"text/html"}
		switch r.URL.Path {
		case "/image":
			head["Content-Type"] = []string{"image/png"}
		case "/none":
			head["Content-Type"] = nil
		case "/two":
			head["Content-Type"] = []string{"text/html", "image/png"}
		case "/broken":
			head["Content-Type"] = []string{"text/html; charset="}
		case "/upper":
			head["Content-Type"] = []string{"Text/HTML; charset=\"ISO-8859-1\""}
		case "/bomb":
			head["Content-Encoding"] = []string{"gzip"}
			z := gzip.NewWriter(rw)
			io.CopyN(z, zeros{}, 4<<20)
			z.Close()
			return
		case "/twice":
			head["Content-Encoding"] = []string{"identity", "gzip"}
		case "/identity":
			head["Content-Encoding"] = []string{"identity"}
		case "/404":
			rw.WriteHeader(404)
		case "/206":
			rw.WriteHeader(206)
		case "/204":
			rw.WriteHeader(204)
			return
		case "/long":
			head["Content-Length"] = []string{"100001"}
			io.CopyN(rw, zeros{}, 100001)
			return
		case "/endless":
			io.Copy(rw, zeros{})
			return
		case "/announced":
			head["Content-Length"] = []string{"100001"}
			rw.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		case "/exact":
			io.CopyN(rw, zeros{}, page.Bytes)
			return
		case "/oneMore":
			io.CopyN(rw, zeros{}, page.Bytes+1)
			return
		}
		io.WriteString(rw, "x")
	})
	if got := ask(w.plain(), "http://a.example/bomb"); len(got) < 4<<20 {
		t.Fatalf("the bomb does not go off in a plain client: %d bytes", len(got))
	}
	c := w.client(egress.Config{})
	for path, want := range map[string]egress.Fault{
		"/": "", "/upper": "", "/identity": "", "/exact": "",
		"/image": egress.Unwanted, "/none": egress.Unwanted, "/two": egress.Unwanted, "/broken": egress.Unwanted, "/bomb": egress.Unwanted,
		"/twice": egress.Unwanted, "/404": egress.Unwanted, "/206": egress.Unwanted, "/204": egress.Unwanted,
		"/long": egress.TooLarge, "/announced": egress.TooLarge, "/endless": egress.TooLarge, "/oneMore": egress.TooLarge,
	} {
		answer, err := c.Get(t.Context(), "http://a.example"+path, page)
		if got := fault(t, err); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if path == "/upper" && (answer.Type != "text/html" || answer.Charset != "iso-8859-1") {
			t.Errorf("got %+v", answer)
		}
	}
	cut := page
	cut.Cut = true
	for _, path := range []string{"/long", "/endless", "/oneMore", "/exact"} {
		if answer, err := c.Get(t.Context(), "http://a.example"+path, cut); err != nil || int64(len(answer.Body)) != cut.Bytes {
			t.Errorf("%s, cut: %v", path, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestAnswersThatAreNoHTTP are spoken by hand. None may take long, though the limits in time are far away.
func TestAnswersThatAreNoHTTP(t *testing.T) { // SYSTEM T6
	for name, speak := range map[string]func(net.Conn){
		"nothing, and the end":     func(net.Conn) {},
		"a banner of another kind": func(c net.Conn) { io.WriteString(c, "-ERR wrong number of arguments\r\n") },
		"a header without end":     func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); io.Copy(c, zeros{}) },
		"header lines without end": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			forever(c, "X: y\r\n")
		},
		"a header one line too long": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\nX: "+strings.Repeat("y", egress.MaxHeader)+"\r\n\r\n")
		},
		"early hints without end": func(c net.Conn) { forever(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n") },
		"a switch of protocols": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		},
		"two lengths":                 func(c net.Conn) { io.WriteString(c, okay+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab") },
		"a body shorter than it said": func(c net.Conn) { io.WriteString(c, okay+"Content-Length: 9\r\n\r\nab") },
		"chunks that are none":        func(c net.Conn) { io.WriteString(c, okay+"Transfer-Encoding: chunked\r\n\r\nzz\r\n") },
		"chunks coded twice":          func(c net.Conn) { io.WriteString(c, okay+"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") },
		"empty extensions without end": func(c net.Conn) {
			io.WriteString(c, okay+"Transfer-Encoding: chunked\r\n\r\n")
			forever(c, "1;"+strings.Repeat("x", 1000)+"\r\na\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wire("a.example", "93.184.216.34", 80, func(c net.Conn) {
				io.ReadAtLeast(c, make([]byte, 4096), 1)
				speak(c)
			})
			start := time.Now()
			_, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page)
			if got := fault(t, err); got != egress.Unreachable && got != egress.Unwanted && got != egress.TooLarge || time.Since(start) > 20*time.Second {
				t.Errorf("got %q after %v", got, time.Since(start))
			}
		})
	}
}

const okay = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

func forever(c net.Conn, text string) {
	text = strings.Repeat(text, 1+4096/len(text))
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func TestAHeaderThatFits(t *testing.T) { // the positive control of the bound
	w := newWorld(t)
	w.wire("a.example", "93.184.216.34", 80, func(c net.Conn) {
		io.ReadAtLeast(c, make([]byte, 4096), 1)
		io.WriteString(c, okay+"X: "+strings.Repeat("y", egress.MaxHeader-1024)+"\r\nContent-Length: 2\r\n\r\nok")
	})
	if answer, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page); err != nil || string(answer.Body) != "ok" {
		t.Errorf("got %v, %v", answer, err)
	}
	w.secure("b.example", "93.184.216.35", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X", strings.Repeat("y", 2*egress.MaxHeader)) // HTTP/2 counts fields otherwise, and allows a little more
		html("")(rw, r)
	})
	if _, err := w.client(egress.Config{}).Get(t.Context(), "https://b.example/", page); fault(t, err) != egress.Unreachable {
		t.Errorf("the same by HTTP/2, too long: %v", err)
	}
}

// TestEveryWaitEnds holds each step up for ever.
func TestEveryWaitEnds(t *testing.T) { // SYSTEM T6
	hang := func(c net.Conn) { io.Copy(io.Discard, c) }
	drip := func(c net.Conn) {
		io.ReadAtLeast(c, make([]byte, 4096), 1)
		io.WriteString(c, okay+"Content-Length: 1000\r\n\r\n")
		for {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for name, c := range map[string]struct {
		url         string
		total, each time.Duration
		setUp       func(w *world, c *egress.Client)
	}{
		"the name server": {"http://a.example/", time.Minute, 100 * time.Millisecond, func(w *world, _ *egress.Client) { w.names.says("a.example", "silence") }},
		"the connection": {"http://a.example/", time.Minute, 100 * time.Millisecond, func(w *world, c *egress.Client) {
			w.names.says("a.example", "93.184.216.34", "93.184.216.35", "93.184.216.36", "93.184.216.37")
			tries := 0
			c.Connect(func(ctx context.Context, _ *net.Dialer, _ netip.AddrPort) (net.Conn, error) {
				if tries++; tries > egress.MaxTries {
					w.t.Errorf("try %d", tries)
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})
		}},
		"the handshake":        {"https://a.example/", time.Minute, 100 * time.Millisecond, func(w *world, _ *egress.Client) { w.wire("a.example", "93.184.216.34", 443, hang) }},
		"the answer's head":    {"http://a.example/", time.Minute, 100 * time.Millisecond, func(w *world, _ *egress.Client) { w.wire("a.example", "93.184.216.34", 80, hang) }},
		"the answer's body":    {"http://a.example/", 300 * time.Millisecond, 10 * time.Second, func(w *world, _ *egress.Client) { w.wire("a.example", "93.184.216.34", 80, drip) }},
		"everything, in total": {"https://a.example/", 300 * time.Millisecond, 10 * time.Second, func(w *world, _ *egress.Client) { w.wire("a.example", "93.184.216.34", 443, hang) }},
		"the head by HTTP/2": {"https://a.example/", time.Minute, 200 * time.Millisecond, func(w *world, _ *egress.Client) {
			w.secure("a.example", "93.184.216.34", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			client := w.client(egress.Config{})
			client.Hurry(c.total, c.each)
			c.setUp(w, client)
			start := time.Now()
			_, err := client.Get(t.Context(), c.url, page)
			if got := fault(t, err); got != egress.TooSlow || time.Since(start) > 8*time.Second {
				t.Errorf("got %q after %v", got, time.Since(start))
			}
		})
	}
}

func TestTheTotalIsTheOperators(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	w.wire("a.example", "93.184.216.34", 80, func(c net.Conn) { io.Copy(io.Discard, c) })
	start := time.Now()
	_, err := w.client(egress.Config{Total: 100 * time.Millisecond}).Get(t.Context(), "http://a.example/", page)
	if took := time.Since(start); fault(t, err) != egress.TooSlow || took > 4*time.Second { // FirstByteTimeout is 5
		t.Errorf("got %v after %v", err, took)
	}
}

func TestWhoeverAskedMayGo(t *testing.T) {
	w := newWorld(t)
	w.wire("a.example", "93.184.216.34", 80, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := w.client(egress.Config{}).Get(ctx, "http://a.example/", page); fault(t, err) != egress.TooSlow {
		t.Errorf("got %v", err)
	}
}

func TestNamesWithoutAnAnswer(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	var many []string
	for i := range egress.MaxAddresses + 1 {
		many = append(many, fmt.Sprintf("93.184.216.%d", i+1))
	}
	w.names.says("many.example", many...)
	w.names.says("most.example", many[:egress.MaxAddresses]...)
	w.names.says("empty.example")
	w.names.says("truncated.example", "truncated")
	w.names.says("closed.example", "93.184.216.99")
	for host, want := range map[string]egress.Fault{
		"unknown.example": egress.Unresolved, "many.example": egress.Unresolved, "empty.example": egress.Unresolved,
		"truncated.example": egress.Unresolved, "closed.example": egress.Unreachable, "most.example": egress.Unreachable,
	} {
		if _, err := w.client(egress.Config{}).Get(t.Context(), "http://"+host+"/", page); fault(t, err) != want {
			t.Errorf("%s: got %v, want %q", host, err, want)
		}
	}
}

func TestASecondAddressIsTried(t *testing.T) {
	w := newWorld(t)
	w.site("a.example", "93.184.216.34", html("up"))
	w.names.says("a.example", "93.184.216.33", "93.184.216.34", "93.184.216.35")
	if answer, err := w.client(egress.Config{}).Get(t.Context(), "http://a.example/", page); err != nil || string(answer.Body) != "up" {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestSitesAreWhoTheySay(t *testing.T) {
	w := newWorld(t)
	w.secure("a.example", "93.184.216.34", html(""), "other.example")
	w.wire("old.example", "93.184.216.35", 443, func(c net.Conn) {
		key, leaf := certificate(t, "old.example", w.key, w.ca)
		if s := tls.Server(c, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}); s.Handshake() == nil {
			io.ReadAtLeast(s, make([]byte, 4096), 1)
			io.WriteString(s, okay+"Content-Length: 2\r\n\r\nok")
		}
	})
	lax := w.plain()
	lax.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS10
	if got := ask(lax, "https://old.example/"); got != "ok" {
		t.Fatalf("the old site does not answer anybody, so the test proves nothing: %s", got)
	}
	w.secure("good.example", "93.184.216.36", html(""))
	for url, want := range map[string]egress.Fault{"https://a.example/": egress.Unreachable, "https://old.example/": egress.Unreachable, "https://good.example/": ""} {
		if _, err := w.client(egress.Config{}).Get(t.Context(), url, page); fault(t, err) != want {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	stranger, err := egress.New(egress.Config{Resolver: w.names.resolver()})
	if err != nil {
		t.Fatal(err)
	}
	stranger.Reroute(w.route)
	if _, err := stranger.Get(t.Context(), "https://good.example/", page); fault(t, err) != egress.Unreachable {
		t.Errorf("an authority that is not trusted: %v", err)
	}
}

func TestPlacesAreFew(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	begun, release := make(chan string, 8), make(chan bool)
	slow := func(rw http.ResponseWriter, r *http.Request) {
		begun <- r.Host
		<-release
		html("")(rw, r)
	}
	w.site("a.example", "93.184.216.34", slow)
	w.site("b.example", "93.184.216.35", slow)
	w.site("c.example", "93.184.216.36", html(""))
	w.site("d.example", "93.184.216.37", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://A.example/", http.StatusFound)
	})
	c := w.client(egress.Config{AtOnce: 3, PerHost: 1})
	get := func(url string) egress.Fault {
		_, err := c.Get(t.Context(), url, page)
		return fault(t, err)
	}
	done := make(chan egress.Fault, 2)
	go func() { done <- get("http://a.example/") }()
	<-begun
	if got := get("http://A.example/other"); got != egress.Busy {
		t.Errorf("a second one for the same host: %q", got)
	}
	if got := get("http://d.example/"); got != egress.Busy {
		t.Errorf("a redirect to the same host: %q", got)
	}
	if got := get("http://c.example/"); got != "" {
		t.Errorf("another host: %q", got)
	}
	if _, err := c.Send(t.Context(), "http://a.example/", nil, nil); fault(t, err) != egress.Busy {
		t.Errorf("sending to the same host: %v", err)
	}
	go func() { done <- get("http://b.example/") }()
	<-begun
	third := make(chan egress.Fault)
	w.site("e.example", "93.184.216.38", slow)
	go func() { third <- get("http://e.example/") }()
	<-begun
	if got := get("http://c.example/"); got != egress.Busy {
		t.Errorf("one too many in all: %q", got)
	}
	if _, err := c.Send(t.Context(), "http://c.example/", nil, nil); fault(t, err) != egress.Busy {
		t.Errorf("sending one too many in all: %v", err)
	}
	close(release)
	if a, b, e := <-done, <-done, <-third; a != "" || b != "" || e != "" {
		t.Errorf("those that were first: %q, %q, %q", a, b, e)
	}
	if got := get("http://c.example/"); got != "" || c.Hosts() != 0 {
		t.Errorf("afterwards: %q, %d places held", got, c.Hosts())
	}
}

// TestConnectionsAreNotKept: every request has one of its own, closed behind it, however much of the answer was read.
func TestConnectionsAreNotKept(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	var opened, open atomic.Int32
	watch := func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			opened.Add(1)
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	w.watch = watch
	answer := func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			rw.Header().Set("Content-Type", "text/html")
			io.Copy(rw, zeros{})
		case "/404":
			http.NotFound(rw, r)
		default:
			html("ok")(rw, r)
		}
	}
	w.site("a.example", "93.184.216.34", answer)
	w.secure("b.example", "93.184.216.35", answer)
	c := w.client(egress.Config{})
	before, asked := runtime.NumGoroutine(), int32(0)
	for range 5 {
		for _, host := range []string{"http://a.example", "https://b.example"} {
			for _, path := range []string{"/", "/endless", "/404"} {
				_, err := c.Get(t.Context(), host+path, page)
				if got := fault(t, err); !slices.Contains([]egress.Fault{"", egress.TooLarge, egress.Unwanted}, got) {
					t.Errorf("%s%s: %q", host, path, got)
				}
				asked++
			}
			if _, err := c.Send(t.Context(), host+"/", nil, []byte("x")); err != nil {
				t.Error(err)
			}
			asked++
		}
	}
	for range 100 {
		if open.Load() == 0 && runtime.NumGoroutine() <= before+4 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if opened.Load() != asked || open.Load() != 0 || runtime.NumGoroutine() > before+4 {
		t.Errorf("%d requests: %d connections, %d still open, goroutines from %d to %d", asked, opened.Load(), open.Load(), before, runtime.NumGoroutine())
	}
}
