package perimeter_test

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
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	visit, ok := perimeter.From(r.Context())
	fmt.Fprintf(w, "%s %s %s %v %s %s", r.Method, r.Host, r.RequestURI, ok, visit.ClientIP, visit.Scheme)
})

// SYSTEM P1 P3 P5: a request goes through edge, link and verifier, and arrives as it was sent.
func TestRequestArrivesAsSent(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, perimeter.Times{})
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
		w := newWorld(t, perimeter.Times{})
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
		w := newWorld(t, perimeter.Times{})
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
		w := newWorld(t, perimeter.Times{})
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
		if got := w.edge.Links(); got != 1 {
			t.Errorf("%d links after a cancelled request, want 1", got)
		}
		if status, _ := w.get(c, "/"); status != 200 {
			t.Errorf("the next request got %d", status)
		}
	})
}

// SYSTEM P6: without a link the answer is 503, and everything works again when one is there.
func TestLinkLossAndRecovery(t *testing.T) {
	w := newWorld(t, perimeter.Times{})
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
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.eventually("no link is left", func() bool { return w.edge.Links() == 0 })
	expect(503)
	w.connect(hello, func(c *perimeter.ConnectorConfig) { c.Links = 3 })
	expect(200)
}

// SYSTEM P6: a connector outlives its edge and comes back by itself.
func TestConnectorReturnsToRestartedEdge(t *testing.T) {
	first := newWorld(t, perimeter.Times{})
	relay := newRelay(t, first.addr)
	stop := first.connect(hello, func(c *perimeter.ConnectorConfig) { c.Edge = relay.addr(); c.Links = 2 })
	first.stop()
	second := newWorld(t, perimeter.Times{})
	relay.to.Store(second.addr)
	second.eventually("both links are back", func() bool { return second.edge.Links() == 2 })
	if status, _ := second.get(second.client(true), "/"); status != 200 {
		t.Errorf("got %d", status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// SYSTEM P6: both sides notice by themselves that the network between them is gone, and link again when it is back.
func TestSilentNetworkIsNoticed(t *testing.T) {
	times := perimeter.Times{Ping: 200 * time.Millisecond, Handshake: 500 * time.Millisecond}
	w := newWorld(t, times)
	relay := newRelay(t, w.addr)
	var log logbook
	c, err := perimeter.NewConnectorIn(perimeter.ConnectorConfig{
		Edge: relay.addr(), EdgeKeys: keys.Application.Edge, Certificate: keys.Application.Link, Handler: newVerifier(t).Handler(hello),
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}, times)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.eventually("two links are up", func() bool { return w.edge.Links() == 2 })
	relay.silent.Store(true)
	w.eventually("the edge has given the links up", func() bool { return w.edge.Links() == 0 })
	w.eventually("the connector has, too", func() bool { return strings.Count(log.String(), `"link down"`) >= 2 })
	relay.silent.Store(false)
	w.eventually("two links are up again", func() bool { return w.edge.Links() == 2 })
	if status, _ := w.get(w.client(true), "/"); status != 200 {
		t.Errorf("got %d", status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// SYSTEM P6: replacing one of two connectors under load fails no request.
func TestRollingRestartFailsNothing(t *testing.T) {
	w := newWorld(t, perimeter.Times{})
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
		if err := stop(); err != nil {
			t.Error(err)
		}
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
			w := newWorld(t, perimeter.Times{})
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
				stopped <- stop()
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

// SYSTEM P3: neither side takes a key that it does not know, nor an older TLS.
func TestLinkRefusesStrangers(t *testing.T) {
	w := newWorld(t, perimeter.Times{})
	stranger := keys.Edge.Link // a certificate of the right kind, but not the connector's
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
	}{
		{"a client without a certificate", func(c *tls.Config) { c.Certificates = nil }},
		{"a client with an unknown key", func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} }},
		{"a client with TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{perimeter.LinkProtocol, "h2"}, Certificates: []tls.Certificate{keys.Application.Link}}
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
			if got := w.edge.Links(); got != 0 {
				t.Errorf("%d links", got)
			}
		})
	}
	t.Run("an edge with an unknown key", func(t *testing.T) {
		other := newWorld(t, perimeter.Times{}, func(c *perimeter.EdgeConfig) { c.Link = keys.Application.Link })
		connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{
			Edge: other.addr, EdgeKeys: keys.Application.Edge, Certificate: keys.Application.Link, Handler: hello,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		if err := connector.Run(ctx); err != nil {
			t.Error(err)
		}
		select {
		case <-connector.Ready():
			t.Error("the connector took the edge for its own")
		default:
		}
		if got := other.edge.Links(); got != 0 {
			t.Errorf("%d links", got)
		}
	})
	t.Run("a next key is taken beside the current one", func(t *testing.T) {
		both := append([]perimeter.Pin{perimeter.PinOf(stranger.Leaf)}, keys.Edge.Connectors...)
		other := newWorld(t, perimeter.Times{}, func(c *perimeter.EdgeConfig) { c.Connectors = both })
		other.connect(hello)
		other.connect(hello, func(c *perimeter.ConnectorConfig) { c.Certificate = stranger })
	})
}

// SYSTEM P2: TLS 1.2 is refused to the public unless it is chosen.
func TestPublicTLSVersions(t *testing.T) {
	strict := newWorld(t, perimeter.Times{})
	lenient := newWorld(t, perimeter.Times{}, func(c *perimeter.EdgeConfig) { c.MinVersion = tls.VersionTLS12 })
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

// applicationProcess is the test binary started again as an application: it connects, and then lists its own sockets.
func applicationProcess(edge string) {
	certificate, err := tls.LoadX509KeyPair(os.Getenv("PERIMETER_TEST_LINK"), os.Getenv("PERIMETER_TEST_LINK"))
	if err != nil {
		panic(err)
	}
	var pin perimeter.Pin
	if _, err := hex.Decode(pin[:], []byte(os.Getenv("PERIMETER_TEST_PIN"))); err != nil {
		panic(err)
	}
	c, err := perimeter.NewConnector(perimeter.ConnectorConfig{
		Edge: edge, EdgeKeys: []perimeter.Pin{pin}, Certificate: certificate,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, sockets()) }),
	})
	if err != nil {
		panic(err)
	}
	c.Run(context.Background())
}

// sockets describes this process's Internet sockets by the kernel's own list: how many it holds, and how many of them listen.
func sockets() string {
	own := map[string]bool{}
	files, _ := filepath.Glob("/proc/self/fd/*")
	for _, f := range files {
		if target, err := os.Readlink(f); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target, "socket:[]")] = true
		}
	}
	found, listening := 0, 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(content)) {
			f := strings.Fields(line)
			if len(f) < 10 || !own[f[9]] {
				continue
			}
			found++
			if f[3] == "0A" || f[3] == "07" { // LISTEN, and UDP that is bound but not connected
				listening++
			}
		}
	}
	return fmt.Sprintf("found %v listening %d", found > 0, listening)
}

// SYSTEM P1: the kernel knows no listening socket of a process that serves an application.
func TestApplicationHoldsNoListeningSocket(t *testing.T) {
	w := newWorld(t, perimeter.Times{})
	pin := keys.Application.Edge[0]
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PERIMETER_TEST_APPLICATION="+w.addr, "PERIMETER_TEST_PIN="+hex.EncodeToString(pin[:]),
		"PERIMETER_TEST_LINK="+filepath.Join(filepath.Dir(keys.CAFile), "link-application.pem"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	w.eventually("the application process is linked twice", func() bool { return w.edge.Links() == 2 })
	if _, got := w.get(w.client(true), "/"); got != "found true listening 0" {
		t.Errorf("the application process reports %q", got)
	}
}
