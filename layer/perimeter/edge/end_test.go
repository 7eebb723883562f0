package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// SYSTEM P1 P3 P5: a request goes through edge, link and verifier, and arrives as it was sent.
func TestRequestArrivesAsSent(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(hello)
		c := w.client(http2)
		for _, target := range []string{"/", "/a/b?x=1&y=%2f;z", "/a%20b/c;p=1/", "/?", "/a%40b/100%25/", "/%e2%82%ac?q=a\"b", "/long?" + strings.Repeat("a", 9000)} {
			got := func() string { _, body := w.get(c, target); return body }()
			want := fmt.Sprintf("GET %s %s true 127.0.0.1 https", w.host, strings.ReplaceAll(target, `"`, "%22"))
			if alt := fmt.Sprintf("GET %s %s true 127.0.0.1 https", w.host, target); got != want && got != alt {
				t.Errorf("GET %.40s: got %.200q, want %.200q", target, got, want)
			}
		}
	})
}

// SYSTEM P2: large streams pass in both directions at once, without being held back.
func TestTenMegabytesBothWays(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/down" {
				w.Write(make([]byte, 10<<20))
				return
			}
			hash := sha256.New()
			n, err := io.Copy(hash, r.Body)
			fmt.Fprintf(w, "%d %x %v", n, hash.Sum(nil), err)
		}))
		c := w.client(http2)
		body := make([]byte, 10<<20)
		rand.Read(body)
		hash := sha256.Sum256(body)
		want := fmt.Sprintf("%d %s <nil>", len(body), hex.EncodeToString(hash[:]))
		for name, reader := range map[string]io.Reader{"known length": bytes.NewReader(body), "chunked": io.MultiReader(bytes.NewReader(body))} {
			resp, err := c.Post(w.url("/up"), "application/octet-stream", reader)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if _, got := w.get(c, "/down"); len(got) != 10<<20 {
			t.Errorf("downloaded %d bytes, want %d", len(got), 10<<20)
		}
	})
}

// SYSTEM P2: an event is there when it is sent.
func TestServerSentEventsAreNotHeldBack(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		next := make(chan struct{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range next {
				fmt.Fprint(w, "data: x\n")
				w.(http.Flusher).Flush()
			}
		}))
		go func() { next <- struct{}{} }()
		resp, err := w.client(http2).Get(w.url("/events"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Scan()
		for range 5 {
			sent := time.Now()
			next <- struct{}{}
			if !lines.Scan() {
				t.Fatal(lines.Err())
			}
			if delay := time.Since(sent); delay > 500*time.Millisecond {
				t.Errorf("an event took %v", delay)
			}
		}
		close(next)
	})
}

// SYSTEM P6: a client that goes away cancels its request in the application, and the link lives on.
func TestClientGoingAwayCancels(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		cancelled, began := make(chan struct{}), make(chan struct{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			close(began)
			<-r.Context().Done()
			close(cancelled)
		}))
		c := w.client(http2)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-began; cancel() }()
		r, _ := http.NewRequestWithContext(ctx, "GET", w.url("/wait"), nil)
		if _, err := c.Do(r); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want %v", err, context.Canceled)
		}
		select {
		case <-cancelled:
		case <-time.After(5 * time.Second):
			t.Fatal("the application was not told within 5 s")
		}
		if got := w.edge.Links("test"); got != 1 {
			t.Errorf("%d links after a cancelled request, want 1", got)
		}
		if status, _ := w.get(c, "/"); status != 200 {
			t.Errorf("the next request got %d", status)
		}
	})
}

// SYSTEM P6: without a link the answer is 503, and everything works again when one is there.
func TestLinkLossAndRecovery(t *testing.T) {
	w := newWorld(t, edge.Times{})
	c := w.client(true)
	expect := func(want int) {
		t.Helper()
		resp, err := c.Get(w.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || (want == 503) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("got %d, Retry-After %q; want %d", resp.StatusCode, resp.Header.Get("Retry-After"), want)
		}
	}
	expect(503)
	stop := w.connect(hello)
	expect(200)
	stop()
	w.eventually("no link is left", func() bool { return w.edge.Links("test") == 0 })
	expect(503)
	w.connect(hello, func(c *connector) { c.links = 3 })
	expect(200)
}

// SYSTEM P6: the edge notices by itself that the network to a connector is gone, and takes it again when it is back.
func TestSilentNetworkIsNoticed(t *testing.T) {
	w := newWorld(t, edge.Times{Ping: 200 * time.Millisecond, Handshake: 500 * time.Millisecond})
	r := newRelay(t, w.addr)
	w.connect(hello, func(c *connector) {
		c.addr, c.links = r.addr(), 2
		c.config = link.Config{PingAfter: 200 * time.Millisecond, PingTimeout: 200 * time.Millisecond}
	})
	r.silent.Store(true)
	w.eventually("the edge has given the links up", func() bool { return w.edge.Links("test") == 0 })
	r.silent.Store(false)
	w.eventually("two links are up again", func() bool { return w.edge.Links("test") == 2 })
	if status, _ := w.get(w.client(true), "/"); status != 200 {
		t.Errorf("got %d", status)
	}
}

// SYSTEM P6: replacing one of two connectors under load fails no request.
func TestRollingRestartFailsNothing(t *testing.T) {
	w := newWorld(t, edge.Times{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * time.Millisecond)
		fmt.Fprint(w, "done")
	})
	stop := w.connect(slow)
	w.connect(slow)
	var failed, served atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 6 {
		c := w.client(i%2 == 0)
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				resp, err := c.Get(w.url("/"))
				if err != nil {
					failed.Add(1)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(body) != "done" {
					failed.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for range 3 {
		before := served.Load()
		w.eventually("50 more requests are served", func() bool { return served.Load() >= before+50 })
		stop()
		stop = w.connect(slow)
	}
	close(done)
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed, want 0", failed.Load(), served.Load())
	}
}

// SYSTEM P6: a request in flight is finished when its connector or the edge stops.
func TestDrainFinishesRequestsInFlight(t *testing.T) {
	for _, who := range []string{"connector", "edge"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, edge.Times{})
			began, release := make(chan struct{}), make(chan struct{})
			stop := w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(began)
				<-release
				fmt.Fprint(w, "finished")
			}))
			answer := make(chan string, 1)
			c := w.client(true)
			go func() { _, body := w.get(c, "/"); answer <- body }()
			<-began
			stopped := make(chan error, 1)
			go func() {
				if who == "edge" {
					w.stop()
					err := <-w.served
					w.served <- nil
					stopped <- err
					return
				}
				stop()
				stopped <- nil
			}()
			time.Sleep(50 * time.Millisecond)
			close(release)
			if got := <-answer; got != "finished" {
				t.Errorf("got %q", got)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// SYSTEM P3: the edge takes no link from who is not enrolled, nor by an older TLS.
func TestLinkRefusesStrangers(t *testing.T) {
	w := newWorld(t, edge.Times{})
	own, stranger, misplaced := certificate("own"), certificate("stranger"), certificate("misplaced")
	w.authority.admit(own, enrol.Peer{ID: "own", Application: "test"})
	w.authority.admit(misplaced, enrol.Peer{ID: "misplaced", Application: "another"})
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
	}{
		{"a client without a certificate", func(c *tls.Config) { c.Certificates = nil }},
		{"a client with an unknown key", func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} }},
		{"a client with TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		{"a connector of an application that is not served here", func(c *tls.Config) { c.Certificates = []tls.Certificate{misplaced} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{link.Protocol, "h2"}, Certificates: []tls.Certificate{own}}
			c.change(config)
			conn, err := tls.Dial("tcp", w.addr, config)
			if err == nil {
				conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the refusal comes after the client's handshake
				conn.Close()
			}
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a refusal", err)
			}
			if got := w.edge.Links("test"); got != 0 {
				t.Errorf("%d links", got)
			}
		})
	}
	w.connect(hello, func(c *connector) { c.certificate = own })
}

// SYSTEM P2: TLS 1.2 is refused to the public unless it is chosen.
func TestPublicTLSVersions(t *testing.T) {
	strict := newWorld(t, edge.Times{})
	lenient := newWorld(t, edge.Times{}, func(c *edge.Config) { c.MinVersion = tls.VersionTLS12 })
	for w, want := range map[*world]bool{strict: false, lenient: true} {
		config := w.tls("h2")
		config.MaxVersion = tls.VersionTLS12
		conn, err := tls.Dial("tcp", w.addr, config)
		if (err == nil) != want {
			t.Errorf("TLS 1.2: got %v, want it taken: %v", err, want)
		}
		if err == nil {
			conn.Close()
		}
	}
}
