package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
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

// The real ones are what the edge asks for.
var (
	_ edge.Authority = (*enrol.Authority)(nil)
)

// SYSTEM P3: a connector that is shut out loses its links at once, and nobody else does.
func TestRevocation(t *testing.T) {
	w := newWorld(t, edge.Times{})
	name := func(id string) func(*connector) { return func(c *connector) { c.peer.ID = id } }
	began, cancelled := make(chan struct{}), make(chan struct{})
	w.connect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(cancelled)
	}), name("bad"), func(c *connector) { c.certificate = certificate("bad") })
	answer := make(chan int, 1)
	go func() { status, _ := w.get(w.client(true), "/"); answer <- status }()
	<-began
	w.connect(hello, name("good"))
	w.authority.mu.Lock()
	clear(w.authority.peers)
	w.authority.mu.Unlock()
	w.authority.revoked <- "bad"
	w.eventually("one link is left", func() bool { return w.edge.Links("test") == 1 })
	select {
	case <-cancelled:
	case <-time.After(5 * time.Second):
		t.Error("its handler was not told within 5 s")
	}
	if status := <-answer; status != 200 { // a GET goes down the other link
		t.Errorf("the request that was under way got %d", status)
	}
	if status, _ := w.get(w.client(true), "/"); status != 200 {
		t.Errorf("got %d", status)
	}
	time.Sleep(100 * time.Millisecond)
	if got := w.edge.Links("test"); got != 1 {
		t.Errorf("%d links: it came back", got)
	}
}

// SYSTEM P3: a link does not outlive the certificate that opened it.
func TestLinkEndsWithItsCertificate(t *testing.T) {
	w := newWorld(t, edge.Times{})
	w.connect(hello, func(c *connector) {
		c.peer.Expires = time.Now().Add(300 * time.Millisecond)
		c.addr = newRelay(t, w.addr).addr()
	})
	began := time.Now()
	w.eventually("the link ends", func() bool { return strings.Contains(w.log.String(), `"link down"`) })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// SYSTEM P3: a connector's messages are answered, in order; one that the authority refuses, or a flood of them, ends the link.
func TestControlMessages(t *testing.T) {
	w := newWorld(t, edge.Times{})
	answers := make(chan string, 10)
	var conn atomic.Pointer[link.Conn]
	block := make(chan struct{})
	w.authority.control = func(p enrol.Peer, message []byte) ([]byte, error) {
		switch string(message) {
		case "wrong":
			return nil, errors.New("no")
		case "slow":
			<-block
		}
		return append([]byte(p.ID+" "), message...), nil
	}
	defer close(block)
	established := make(chan *link.Conn, 10)
	c := &connector{addr: w.addr, certificate: certificate("talker")}
	w.authority.admit(c.certificate, enrol.Peer{ID: "talker", Application: "test"})
	dial := func() *link.Conn {
		tcp, key, err := c.dial()
		if err != nil {
			t.Fatal(err)
		}
		go link.Serve(t.Context(), tcp, key, hello, 0, link.Config{
			Control: func(_ *link.Conn, m []byte) { answers <- string(m) },
		}, func(l *link.Conn) { established <- l })
		l := <-established
		conn.Store(l)
		return l
	}
	l := dial()
	for _, m := range []string{"one", "two"} {
		if err := l.Control([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"talker one", "talker two"} {
		select {
		case got := <-answers:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no answer within 5 s")
		}
	}
	l.Control([]byte("wrong"))
	w.eventually("the link is ended", func() bool { return l.Err() != nil })
	l = dial()
	for range 2 + edge.MaxControls + link.MaxMessages {
		l.Control([]byte("slow"))
	}
	w.eventually("the link is ended", func() bool { return l.Err() != nil })
}

// SYSTEM P3: a connection that asks to be enrolled goes to the authority, however many public connections there are.
func TestEnrolmentIsHandedOver(t *testing.T) {
	w := newWorld(t, edge.Times{})
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	select {
	case <-w.authority.enrolled:
	case <-time.After(5 * time.Second):
		t.Error("the authority was not asked within 5 s")
	}
}

// SYSTEM P6: while the only connector is replaced, requests wait for a moment: none fails, whatever its method.
func TestRestartOfTheOnlyConnectorFailsNothing(t *testing.T) {
	w := newWorld(t, edge.Times{Patience: 5 * time.Second})
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	stop := w.connect(app)
	var failed, served atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		c := w.client(i%2 == 0)
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				resp, err := c.Post(w.url("/"), "text/plain", strings.NewReader("done"))
				if err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(body) != "done" {
					t.Log(resp.StatusCode, string(body), err)
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
		stop = w.connect(app)
	}
	close(done)
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed, want 0", failed.Load(), served.Load())
	}
}

// SYSTEM P6: waiting for a link is bounded in time and number, and not done where nothing is on its way.
func TestWaitingForALink(t *testing.T) {
	w := newWorld(t, edge.Times{Patience: 300 * time.Millisecond, Recent: 600 * time.Millisecond})
	took := func() time.Duration {
		began := time.Now()
		if status, _ := w.get(w.client(true), "/"); status != 503 {
			t.Errorf("got %d", status)
		}
		return time.Since(began)
	}
	if d := took(); d < 300*time.Millisecond {
		t.Errorf("when the edge has just begun: answered after %v", d)
	}
	time.Sleep(400 * time.Millisecond)
	if d := took(); d > 250*time.Millisecond {
		t.Errorf("long after: answered after %v", d)
	}
	stop := w.connect(hello)
	stop()
	if d := took(); d < 300*time.Millisecond {
		t.Errorf("after a link has gone: answered after %v", d)
	}
}

// SYSTEM P6: one of two edges is replaced under load, and its clients, who go to the other, lose nothing.
func TestRestartOfOneOfTwoEdges(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		fmt.Fprint(w, "done")
	})
	first, second := newWorld(t, edge.Times{}), newWorld(t, edge.Times{})
	first.connect(app)
	second.connect(app)
	var failed, served atomic.Int64
	done, gone := make(chan struct{}), make(chan struct{})
	var clients sync.WaitGroup
	for i := range 6 {
		here, there := first.client(i%2 == 0), second.client(i%2 == 0)
		clients.Go(func() {
			for {
				w, c := first, here
				select {
				case <-done:
					return
				case <-gone: // what tells clients of edges has noticed
					w, c = second, there
				default:
				}
				resp, err := c.Get(w.url("/"))
				if err != nil {
					select {
					case <-gone: // asked between the notice and the look at it: the connection was refused, nothing was lost
						continue
					default:
					}
					t.Log(err)
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
	first.eventually("50 requests are served", func() bool { return served.Load() >= 50 })
	close(gone)
	first.stop()
	if err := <-first.served; err != nil {
		t.Error(err)
	}
	first.served <- nil
	before := served.Load()
	first.eventually("50 more are served", func() bool { return served.Load() >= before+50 })
	close(done)
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed, want 0", failed.Load(), served.Load())
	}
}

// SYSTEM P6: an edge that stops ends event streams in order, so that browsers come back at another one, and waits for the rest.
func TestStoppingEndsEventStreams(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		resp, err := w.client(http2).Get(w.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, len("data: x\n\n"))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.stop()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := <-w.served; err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("stopped after %v with %v", time.Since(began), err)
		}
		w.served <- nil
	})
}

// SYSTEM P6: what would never end is cut when the time for draining is over, and nobody takes it for the whole.
func TestDrainIsBounded(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		w := newWorld(t, edge.Times{Drain: 300 * time.Millisecond})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		resp, err := w.client(http2).Get(w.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		w.stop()
		if got, err := io.ReadAll(resp.Body); err == nil || !bytes.Equal(got, []byte("half")) {
			t.Errorf("got %q, %v; want half of it and an error", got, err)
		}
		if err := <-w.served; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped with %v", err)
		}
		w.served <- nil
	})
}

// An access log on a disk that has filled up, or that hangs, holds up nobody.
type hanging struct{ release chan struct{} }

func (h hanging) Write(p []byte) (int, error) { <-h.release; return 0, os.ErrClosed }

func TestAccessLogHoldsUpNobody(t *testing.T) { // SYSTEM P6
	h := hanging{make(chan struct{})}
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Access = h })
	defer close(h.release)
	w.connect(hello)
	c := w.client(true)
	var requests sync.WaitGroup
	for range 16 {
		requests.Go(func() {
			for range (edge.MaxLines + 400) / 16 {
				if status, _ := w.get(c, "/"); status != 200 {
					t.Errorf("got %d", status)
					return
				}
			}
		})
	}
	requests.Wait()
	if strings.Contains(w.metrics(), "redoubt_edge_access_lines_dropped_total 0\n") {
		t.Error("no line was dropped")
	}
}
