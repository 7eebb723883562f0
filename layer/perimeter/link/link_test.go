package link_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

func TestARequestIsServed(t *testing.T) { // SYSTEM P1
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := link.From(r.Context())
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %t %+v %d %v", r.Method, r.RequestURI, r.Host, r.RemoteAddr, ok, a.Token, len(body), err)
	}), link.Config{})
	r := post("/a%2fb?x=1", -1, strings.NewReader(strings.Repeat("x", 1<<20)))
	r.Token = "who"
	for range 3 {
		r.Body = strings.NewReader(strings.Repeat("x", 1<<20))
		resp, got := w.ask(t, r)
		if want := "POST /a%2fb?x=1 app.example 192.0.2.7:0 true who 1048576 <nil>"; got != want || resp.Status != 200 || resp.ContentLength != int64(len(want)) {
			t.Errorf("got %d %q", resp.Status, got)
		}
	}
	if got := w.edge.InFlight(); got != 0 {
		t.Errorf("%d requests are still under way", got)
	}
}

func TestALargeAnswerArrives(t *testing.T) {
	const size = 100 << 20
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.LimitReader(zeros{}, size))
	}), link.Config{})
	resp, err := w.edge.RoundTrip(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("got %d %v", n, err)
	}
	resp.Body.Close()
}

// A link does without what makes it fast.
func TestALinkThatIsNotCorked(t *testing.T) {
	edge, app := tlsPair(t, false)
	w := join(t, edge, app, exported(t, edge), exported(t, app), http.HandlerFunc(answering2), link.Config{}, link.Config{})
	if _, got := w.ask(t, get("/large")); len(got) != 8<<20 {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestOnlyTLS13HasAKey(t *testing.T) { // SYSTEM P3
	for _, s := range []tls.ConnectionState{{}, {Version: tls.VersionTLS13}, {Version: tls.VersionTLS12, HandshakeComplete: true}} {
		if _, err := link.ExportKey(s); err == nil {
			t.Errorf("version %x, finished %t: there is a key", s.Version, s.HandshakeComplete)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
