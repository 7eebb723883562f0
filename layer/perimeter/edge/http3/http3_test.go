package http3_test

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
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
)

// SYSTEM P2: a request arrives as it was sent, and as the edge knows it from HTTP/2.
func TestRequestArrivesAsSent(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s|%s %d %t|%d %v|%t", r.Method, r.Proto, r.Host, r.RequestURI, r.Header.Get("Cookie"), r.ContentLength, r.Body == http.NoBody,
			len(body), err, r.TLS != nil && r.TLS.HandshakeComplete)
	}, http3.Times{})
	c := w.client()
	for _, q := range []struct{ method, target, body, want string }{
		{"GET", "/a/b?x=%2f;y", "", "GET HTTP/3.0 app.example /a/b?x=%2f;y|a=b 0 true|0 <nil>|true"},
		{"HEAD", "/", "", ""},
		{"DELETE", "/x", "", "DELETE HTTP/3.0 app.example /x|a=b 0 true|0 <nil>|true"},
		{"POST", "/", "hello", "POST HTTP/3.0 app.example /|a=b 5 false|5 <nil>|true"},
		{"PUT", "/", strings.Repeat("x", 100_000), "PUT HTTP/3.0 app.example /|a=b 100000 false|100000 <nil>|true"},
		{"GET", "/", "with a body", "GET HTTP/3.0 app.example /|a=b 11 false|11 <nil>|true"},
	} {
		var body io.Reader
		if q.body != "" {
			body = strings.NewReader(q.body)
		}
		r, err := http.NewRequest(q.method, origin+q.target, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "a=b")
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != q.want || resp.Proto != "HTTP/3.0" {
			t.Errorf("%s %s: got %q by %s, want %q", q.method, q.target, got, resp.Proto, q.want)
		}
	}
}

// A GET that does not say how long its body is has it all the same, and whole.
func TestABodyOfUnknownLengthArrivesWhole(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %q %v", r.ContentLength, body, err)
	}, http3.Times{})
	for _, method := range []string{"GET", "POST"} {
		r, err := http.NewRequest(method, origin+"/", io.MultiReader(strings.NewReader("a"), strings.NewReader("bc")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := `-1 "abc" <nil>`; string(got) != want {
			t.Errorf("%s: got %s, want %s", method, got, want)
		}
	}
}

// SYSTEM P2: large streams pass, both ways.
func TestTenMegabytesBothWays(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			w.Write(make([]byte, 10<<20))
			return
		}
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, hash.Sum(nil), err)
	}, http3.Times{})
	c := w.client()
	body := make([]byte, 10<<20)
	rand.Read(body)
	hash := sha256.Sum256(body)
	want := fmt.Sprintf("%d %s <nil>", len(body), hex.EncodeToString(hash[:]))
	for name, reader := range map[string]io.Reader{"known length": bytes.NewReader(body), "unknown length": io.MultiReader(bytes.NewReader(body))} {
		resp, err := c.Post(origin+"/up", "application/octet-stream", reader)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if _, got := get(t, c, "/down"); len(got) != 10<<20 {
		t.Errorf("downloaded %d bytes", len(got))
	}
	if got := w.server.Windows(); got < 0 || got > http3.WindowBudget {
		t.Errorf("the windows' budget is %d", got)
	}
}

// SYSTEM P2: an event is there when it is sent, and a trailer and early hints arrive too.
func TestServerSentEventsAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Sum")
		for range next {
			fmt.Fprint(w, "data: x\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
		w.Header().Set("X-Sum", "7")
	}, http3.Times{})
	go func() { next <- struct{}{} }()
	resp, err := w.client().Get(origin + "/events")
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
	for lines.Scan() {
	}
	if got := resp.Trailer.Get("X-Sum"); got != "7" {
		t.Errorf("got trailer %q", got)
	}
}

// A stream of events in which nothing happens for long stays open, and so does an upload that pauses.
func TestAQuietStreamStaysOpen(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(1500 * time.Millisecond):
			fmt.Fprint(w, "late")
		case <-r.Context().Done():
		}
	}, http3.Times{Idle: 300 * time.Millisecond, Dead: 600 * time.Millisecond, Header: 200 * time.Millisecond})
	if _, got := get(t, w.client(), "/"); got != "late" {
		t.Errorf("got %q", got)
	}
}

// How long a body may take is the handler's to say: the time for heads is over with the head.
func TestABodyMayTakeLongerThanAHead(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", body, err)
	}, http3.Times{Header: 100 * time.Millisecond})
	for _, method := range []string{"POST", "GET"} {
		body, feed := io.Pipe()
		go func() {
			for _, part := range []string{"a", "b", "c"} {
				io.WriteString(feed, part)
				time.Sleep(150 * time.Millisecond)
			}
			feed.Close()
		}()
		r, err := http.NewRequest(method, origin+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != "abc <nil>" {
			t.Errorf("%s: got %q", method, got)
		}
	}
}

// SYSTEM P6: the means by which a handler bounds slow clients work as they do with HTTP/2: a deadline in the past ends what waits.
func TestDeadlinesEndWhatWaits(t *testing.T) {
	ended := make(chan error, 1)
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		time.AfterFunc(100*time.Millisecond, func() {
			control.SetReadDeadline(time.Unix(1, 0))
			control.SetWriteDeadline(time.Unix(1, 0))
		})
		var err error
		switch r.URL.Path {
		case "/reading":
			_, err = io.ReadAll(r.Body)
		case "/writing":
			for block := make([]byte, 64<<10); err == nil; {
				_, err = w.Write(block)
			}
		}
		ended <- err
	}, http3.Times{})
	for path, part := range map[string][]byte{"/reading": []byte("a"), "/writing": nil} {
		str, err := w.dial().OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		str.Write(append(head(request("POST", path)...), frame(dataFrame, part)...)) // and then neither writes nor reads
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: got %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits for ever", path)
		}
	}
}

// An answer that its handler gives up is not taken for a complete one.
func TestAnAbortedAnswerIsNoAnswer(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		if r.URL.Path == "/whole" {
			fmt.Fprint(w, "whole")
			return
		}
		w.Write([]byte("half"))
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, http3.Times{})
	c := w.client()
	var hints atomic.Int64
	for path, whole := range map[string]bool{"/whole": true, "/half": false} {
		trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints.Add(1); return nil }})
		r, err := http.NewRequestWithContext(trace, "GET", origin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if (err == nil) != whole {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if hints.Load() == 0 {
		t.Error("no early hints arrived")
	}
}

// SYSTEM P6: a client that goes away ends its request.
func TestClientGoingAwayCancels(t *testing.T) {
	began, cancelled := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		close(began)
		<-r.Context().Done()
		close(cancelled)
	}, http3.Times{})
	c := w.client()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-began; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", origin+"/wait", nil)
	if _, err := c.Do(r); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	select {
	case <-cancelled:
	case <-time.After(5 * time.Second):
		t.Fatal("the handler was not told within 5 s")
	}
	if status, _ := get(t, c, "/"); status != 200 {
		t.Errorf("the next request got %d", status)
	}
}

// SYSTEM P6: who stops finishes what was asked, and takes what is still asked on the way.
func TestStoppingFinishesWhatWasAsked(t *testing.T) {
	var asked atomic.Int64
	release := make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-release
		w.Write(bytes.Repeat([]byte("x"), 1<<20))
	}, http3.Times{Linger: 200 * time.Millisecond})
	idle, busy := w.dial(), w.client()
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			if status, body := get(t, busy, "/"); status != 200 || len(body) != 1<<20 {
				t.Errorf("got %d and %d bytes", status, len(body))
			}
		})
	}
	w.eventually("three have asked", func() bool { return asked.Load() == 3 })
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	select {
	case <-idle.Context().Done(): // at once: nobody asks anything there. The packet that says so may be lost; then it idles out
	case <-time.After(90 * time.Second):
		t.Error("an idle connection was not closed")
	}
	clients.Go(func() {
		if status, _ := get(t, busy, "/late"); status != 200 {
			t.Errorf("a request while it stopped: got %d", status)
		}
	})
	w.eventually("a fourth has asked", func() bool { return asked.Load() == 4 })
	close(release)
	clients.Wait()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := w.tryDial(func(c *quic.Config) { c.HandshakeIdleTimeout = 200 * time.Millisecond }); err == nil {
		t.Error("it still takes connections")
	}
}

// What people put into queries is not logged, at any level; that a handler panicked is.
func TestTheLogHoldsNoTargets(t *testing.T) {
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("on purpose")
		}
	}, http3.Times{})
	get(t, w.client(), "/sign-in?token=s3cret")
	w.client().Get(origin + "/panic?token=s3cret")
	w.eventually("the panic is told", func() bool { return strings.Contains(w.log.String(), "panic serving") })
	if strings.Contains(w.log.String(), "s3cret") {
		t.Errorf("the log holds a query: %s", w.log.String())
	}
}

func TestStoppingHasAnEnd(t *testing.T) {
	began := make(chan struct{})
	w := newWorld(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}, http3.Times{Drain: 300 * time.Millisecond, Linger: 50 * time.Millisecond})
	go w.client().Get(origin + "/")
	<-began
	begun := time.Now()
	if err := w.stop(); err != nil || time.Since(begun) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

// Issue 6: kill -9 of the edge. With a secret that lasts, clients notice as soon as the next process is there.
func TestClientsOfAKilledServerComeBackAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		secrets [2]string // of the one that was killed, and of its successor
		soon    bool
	}{
		"the same secret":  {[2]string{"a", "a"}, true},
		"another":          {[2]string{"a", "b"}, false}, // which shows that it is the secret that does it
		"none, by default": {[2]string{"", ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hello := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }
			server := func(secret string) *world {
				return newWorld(t, hello, http3.Times{}, func(c *http3.Config) { c.Secret = bytes.Repeat([]byte(secret), 32) })
			}
			first := server(c.secrets[0])
			relay := newRelay(t, first.addr)
			client := (&world{t: t, addr: relay.addr()}).client()
			if _, got := get(t, client, "/"); got != "hello" {
				t.Fatalf("got %q", got)
			}
			// As if it had been killed: nobody is told. The relay leads to its successor from now on.
			relay.lead(server(c.secrets[1]).addr)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			for ctx.Err() == nil {
				r, _ := http.NewRequestWithContext(ctx, "GET", origin+"/", nil)
				if resp, err := client.Do(r); err == nil {
					resp.Body.Close()
					break
				}
			}
			if soon := ctx.Err() == nil; soon != c.soon {
				t.Errorf("back within 2 s: %t, want %t", soon, c.soon)
			}
		})
	}
}

func TestTheConfigurationIsChecked(t *testing.T) {
	_, err := http3.New(http3.Config{Secret: []byte("short"), MaxConns: -1})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"handler", "certificate", "32 bytes", "negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell of the %s", err, want)
		}
	}
	s, err := http3.New(http3.Config{Handler: http.NotFoundHandler(), GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, want := range []bool{true, false} {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(ctx, socket); (err == nil) != want {
			t.Errorf("serving for the %d. time: %v", i+1, err)
		}
	}
	if got, want := http3.AltSvc(8443), `h3=":8443"; ma=86400`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestALostSocketIsTold(t *testing.T) {
	s, err := http3.New(http3.Config{Handler: http.NotFoundHandler(), GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &identity, nil }})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), socket) }()
	time.Sleep(50 * time.Millisecond)
	socket.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended without an error")
		}
	case <-time.After(5 * time.Second):
		t.Error("it did not notice")
	}
}
