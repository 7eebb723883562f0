package origin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

var visitor = origin.Visitor{Client: netip.MustParseAddr("192.0.2.1"), Scheme: "https", Host: "app.test", ID: "request-1"}

func known(context.Context) (origin.Visitor, bool) { return visitor, true }

// newOrigin forwards to target.
func newOrigin(t testing.TB, target string, changes ...func(*origin.Config)) *origin.Origin {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	c := origin.Config{Target: u, Visitor: known}
	for _, change := range changes {
		change(&c)
	}
	o, err := origin.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// front is what stands before an application: its address, and a client that asks it.
func front(t testing.TB, app http.Handler, changes ...func(*origin.Config)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(app)
	t.Cleanup(s.Close)
	return before(t, s.URL, changes...)
}

func before(t testing.TB, target string, changes ...func(*origin.Config)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(newOrigin(t, target, changes...))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// A rude application is a listener that says what a test wants, whatever it is asked. say gets each connection's number and its reader.
func rude(t testing.TB, say func(n int, c net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	group.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			group.Go(func() {
				defer c.Close()
				say(n, c, bufio.NewReader(c))
			})
		}
	})
	return "http://" + l.Addr().String()
}

// readHead takes a request's head off a connection, and returns its lines.
func readHead(r *bufio.Reader) (lines []string, err error) {
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return lines, err
		}
		if l = strings.TrimRight(l, "\r\n"); l == "" {
			return lines, nil
		}
		lines = append(lines, l)
	}
}

func ask(t testing.TB, s *httptest.Server, method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "app.test"
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		text = append(text, "\ncut short: "+err.Error()...)
	}
	return answer, string(text)
}
