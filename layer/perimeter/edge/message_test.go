package edge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// SYSTEM P2: trailers pass both ways, save for those that nobody looks for at the end of a message.
func TestTrailersPass(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, r.Trailer.Get("X-Sum"), len(r.Trailer))
			w.Header().Set("X-Announced", "a")
			w.Header().Set(http.TrailerPrefix+"X-Sudden", "s")
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", "late=1")
		}))
		r, _ := http.NewRequest("POST", w.url("/"), io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Sum": {"4"}, "X-Forwarded-For": {"6.6.6.6"}}
		resp, err := w.client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "41" {
			t.Errorf("the application saw %q, %v; want one trailer", body, err)
		}
		if resp.Trailer.Get("X-Announced") != "a" || resp.Trailer.Get("X-Sudden") != "s" || resp.Trailer.Get("Set-Cookie") != "" {
			t.Errorf("got the trailers %v", resp.Trailer)
		}
	})
}

func TestTrailersThatMayNotComeLast(t *testing.T) {
	got := edge.Trailers(http.Header{"X-Sum": {"1"}, "Content-Length": {"1"}, "Transfer-Encoding": {"chunked"}, "Host": {"x"}, "X-Forwarded-For": {"x"},
		"Redoubt-Assertion": {"x"}, "Cookie": {"x"}, "Connection": {"x"}, "X_y": {"x"}, "Grpc-Status": {"0"}})
	if len(got) != 2 || got.Get("X-Sum") != "1" || got.Get("Grpc-Status") != "0" {
		t.Errorf("got %v", got)
	}
}

// SYSTEM P2: interim answers pass, a few of them, and nothing of the final answer's is in them.
func TestEarlyHints(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range edge.MaxInformed + 2 {
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.Header().Set("Redoubt-Own", "x")
				w.WriteHeader(http.StatusEarlyHints)
			}
			w.Header().Del("Link")
			w.Header().Set("X-Final", "yes")
			fmt.Fprint(w, "done")
		}))
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if hints++; code != 103 || h.Get("Link") == "" || h.Get("X-Final") != "" {
				t.Errorf("got %d with %v", code, h)
			}
			return nil
		}})
		r, _ := http.NewRequestWithContext(ctx, "GET", w.url("/"), nil)
		resp, err := w.client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if hints != edge.MaxInformed || string(body) != "done" || resp.Header.Get("Link") != "" || resp.Header.Get("X-Final") != "yes" {
			t.Errorf("got %d hints, then %q with %v", hints, body, resp.Header)
		}
	})
}

// SYSTEM P4 P6: an answer's headers pass, save for those of the link, those that are the edge's to say, and the edge's own cookie.
func TestAnswersHeaders(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.AltSvc = `h3=":443"; ma=60` })
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			for name, value := range map[string]string{
				"Server": "leaky/1.0", "Alt-Svc": `h3="evil.example:443"`, "Keep-Alive": "timeout=1", "Proxy-Authenticate": "Basic", "Connection": "close",
				"X-End": "b", "Content-Type": "text/plain", "Upgrade": "h2c",
			} {
				h.Set(name, value)
			}
			h["Set-Cookie"] = []string{"__Host-redoubt-edge=forged; Secure; Path=/", " __Host-redoubt-edge-x=1", "own=1"}
			fmt.Fprint(w, "x")
		}))
		resp, err := w.client(http2).Get(w.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := resp.Header
		h.Del("Date")
		if h.Get("Alt-Svc") != `h3=":443"; ma=60` || h.Get("X-End") != "b" || h.Get("Content-Length") != "1" || !slices.Equal(h["Set-Cookie"], []string{"own=1"}) || len(h) != 5 {
			t.Errorf("got %v", h)
		}
	})
}

// SYSTEM P2: a body of any size passes where an application asks for it, with nothing of it kept.
func TestBodiesWithoutLimit(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Applications[0].MaxBody = -1 })
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}))
		const size = edge.DefaultMaxBody + 1<<20
		resp, err := w.client(http2).Post(w.url("/"), "text/plain", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); string(got) != fmt.Sprint(int64(size), nil) {
			t.Errorf("got %q", got)
		}
	})
}

// SYSTEM P6: an answer that breaks off is not taken for the whole, and nobody asks again once its head is out.
func TestAnswersThatBreakOff(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		asked := make(chan struct{}, 10)
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), func(c *connector) { c.links = 2 })
		resp, err := w.client(http2).Get(w.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "half" {
			t.Errorf("got %q, %v", got, err)
		}
		w.eventually("it is in the log", func() bool { return strings.Contains(w.access.String(), `"broken":"link failed"`) })
		if len(asked) != 1 {
			t.Errorf("asked %d times", len(asked))
		}
	})
}

// SYSTEM P2: both directions of one request may flow at once.
func TestStreamsInBothDirectionsAtOnce(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			c.EnableFullDuplex()
			b := make([]byte, 1)
			for {
				if _, err := io.ReadFull(r.Body, b); err != nil {
					return
				}
				w.Write(b)
				c.Flush()
			}
		}))
		in, out := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "POST", w.url("/"), in)
		go out.Write([]byte("0"))
		resp, err := w.client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for _, want := range "0123456789" {
			if want > '0' {
				out.Write([]byte(string(want)))
			}
			b := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, b); err != nil || rune(b[0]) != want {
				t.Fatalf("got %q, %v", b, err)
			}
		}
		out.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
			t.Errorf("got %q, %v", rest, err)
		}
	})
}
