package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
)

// overHTTP3 puts HTTP/3 before the world's edge, and returns a client that speaks it.
func (w *world) overHTTP3() *http.Client {
	w.Helper()
	s, err := http3.New(http3.Config{Handler: w.edge.Handler(), GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &publicCert, nil }})
	if err != nil {
		w.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, socket) }()
	client := &quichttp3.Transport{
		TLSClientConfig: w.tls("h3"), DisableCompression: true,
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, socket.LocalAddr().String(), t, q)
		},
	}
	w.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	return &http.Client{Transport: client}
}

// SYSTEM P2 P5 P6: what comes by HTTP/3 is checked, stripped and forwarded by the same code.
func TestHTTP3IsServedAlike(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Applications[0].MaxBody = -1 })
	gone := make(chan struct{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			w.Write(make([]byte, 10<<20))
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(gone)
		default:
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%s %s %s %d %d %v %q", r.Method, r.Host, r.RequestURI, r.ContentLength, n, err, r.Header.Get("X-Forwarded-For"))
		}
	}))
	c := w.overHTTP3()
	ask := func(method, path, host, header string, body io.Reader) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, "https://"+w.host+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if header != "" {
			r.Header[header] = []string{"6.6.6.6"}
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}
	for _, a := range []struct {
		name, method, path, host, header string
		body                             io.Reader
		status                           int
		want                             string
	}{
		{"a GET", "GET", "/a?b=c", "", "", nil, 200, "GET " + w.host + " /a?b=c 0 0 <nil> \"\""},
		{"a claim about an address", "GET", "/", "", "X-Forwarded-For", nil, 200, "GET " + w.host + " / 0 0 <nil> \"\""},
		{"a body of known length", "POST", "/", "", "", strings.NewReader("hello"), 200, "POST " + w.host + " / 5 5 <nil> \"\""},
		{"a large body of unknown length", "PUT", "/", "", "", io.MultiReader(bytes.NewReader(make([]byte, 10<<20))), 200, "PUT " + w.host + " / -1 10485760 <nil> \"\""},
		{"another host", "GET", "/", "evil.example", "", nil, 421, "does not serve that host"},
		{"two slashes", "GET", "/a//b", "", "", nil, 400, "empty segment"},
		{"an underscore in a name", "GET", "/", "", "X_Forwarded_For", nil, 400, "underscore"},
		{"TRACE", "TRACE", "/", "", "", nil, 400, "method"},
	} {
		if status, got := ask(a.method, a.path, a.host, a.header, a.body); status != a.status || !strings.Contains(got, a.want) {
			t.Errorf("%s: got %d %s, want %d %s", a.name, status, got, a.status, a.want)
		}
	}
	if status, got := ask("GET", "/down", "", "", nil); status != 200 || len(got) != 10<<20 {
		t.Errorf("got %d and %d bytes", status, len(got))
	}
	resp, err := c.Get("https://" + w.host + "/events")
	if err != nil {
		t.Fatal(err)
	}
	event := make([]byte, 9)
	if _, err := io.ReadFull(resp.Body, event); err != nil || string(event) != "data: 1\n\n" {
		t.Errorf("got %q, %v", event, err)
	}
	resp.Body.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the application was not told that the client has gone")
	}
}
