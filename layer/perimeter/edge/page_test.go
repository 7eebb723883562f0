package edge_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

func (w *world) ask2(accept, method, path string) (*http.Response, string) {
	w.Helper()
	r, _ := http.NewRequest(method, w.url(path), nil)
	r.Header.Set("Accept", accept)
	resp, err := w.client(true).Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body)
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// SYSTEM P2: while an application is worked on, people get a page and programs a problem, and both are told when to come back; it is
// switched while the edge runs.
func TestStandby(t *testing.T) {
	var notice atomic.Pointer[string]
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		c.Applications[0].Standby = func() (string, bool) {
			if n := notice.Load(); n != nil {
				return *n, true
			}
			return "", false
		}
	})
	w.connect(hello)
	if resp, _ := w.ask2(browser, "GET", "/"); resp.StatusCode != 200 {
		t.Errorf("before: got %d", resp.StatusCode)
	}
	words := "We move house <until> 14:00."
	notice.Store(&words)
	resp, body := w.ask2(browser, "GET", "/")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "We move house &lt;until&gt; 14:00.") {
		t.Errorf("got %d, %v, %s", resp.StatusCode, resp.Header, body)
	}
	resp, body = w.ask2("application/json", "GET", "/")
	var problem struct {
		Status    int
		Detail    string
		RefusedBy string `json:"refused_by"`
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != 503 || problem.Detail != words || problem.RefusedBy != "perimeter" ||
		resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, %s", resp.Header, body)
	}
	if resp, body = w.ask2(browser, "HEAD", "/"); resp.StatusCode != 503 || body != "" {
		t.Errorf("HEAD: got %d, %q", resp.StatusCode, body)
	}
	if resp, _ = w.ask2(browser, "GET", "/.redoubt/keys"); resp.StatusCode != 200 {
		t.Errorf("the edge's own: got %d", resp.StatusCode)
	}
	notice.Store(nil)
	if resp, _ := w.ask2(browser, "GET", "/"); resp.StatusCode != 200 {
		t.Errorf("afterwards: got %d", resp.StatusCode)
	}
}

// A page of the edge's own loads nothing, and its policy allows just the style that it has.
func TestPagesStandAlone(t *testing.T) { // SYSTEM P2
	w := newWorld(t, edge.Times{Patience: time.Millisecond})
	resp, body := w.ask2(browser, "GET", "/")
	_, rest, _ := strings.Cut(body, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	hash := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := resp.Header.Get("Content-Security-Policy"); !found || got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, never := range []string{"http:", "https:", "//", "url(", "<script", "<link", "src=", " style="} {
		if strings.Contains(body, never) {
			t.Errorf("the page holds %s", never)
		}
	}
	if resp.StatusCode != 503 || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
	}
}

// SYSTEM K1 P6: each client address has a rate of its own, and is told about it.
func TestRate(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Rate = edge.Rate{PerSecond: 0.5, Burst: 4} })
	w.connect(hello)
	from := func(ip string) *http.Response {
		d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}, Config: w.tls("h2")}
		c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: d.DialContext, DisableKeepAlives: true}}
		r, _ := http.NewRequest("GET", "https://"+w.addr+"/", nil)
		r.Host = w.host
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	var got []int
	var last *http.Response
	for range 6 {
		last = from("127.0.0.2")
		got = append(got, last.StatusCode)
	}
	if want := "[200 200 200 200 429 429]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if last.Header.Get("RateLimit-Policy") != `"address";q=4;w=8` || last.Header.Get("RateLimit") != `"address";r=0;t=2` || last.Header.Get("Retry-After") != "2" {
		t.Errorf("got %v", last.Header)
	}
	if resp := from("127.0.0.3"); resp.StatusCode != 200 || resp.Header.Get("RateLimit") != "" {
		t.Errorf("another address got %d, %v", resp.StatusCode, resp.Header)
	}
}

// SYSTEM P2: a challenge on the plain port is answered before the redirect, and the ALPN name of another ends with its handshake.
func TestChallengesOfACertificateAuthority(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		c.NextProtos = []string{"acme-tls/1"}
		c.PlainHandler = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
					fmt.Fprint(w, "proof")
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	resp, err := http.Get("http://" + w.plain + "/.well-known/acme-challenge/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "proof" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	conn, err := tls.Dial("tcp", w.addr, w.tls("acme-tls/1"))
	if err != nil || conn.ConnectionState().NegotiatedProtocol != "acme-tls/1" {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
