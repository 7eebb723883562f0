package link_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// The attack: clients ask for large things and take them slowly, so that the edge fills with what waits for them. SYSTEM T6
func TestSlowReadersHoldUpNobody(t *testing.T) {
	budget := link.NewBudget(16 << 20)
	w := linked(t, http.HandlerFunc(answering2), link.Config{Budget: budget})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var slow []*link.Response
	for range 40 {
		resp, err := w.edge.RoundTrip(t.Context(), get("/endless"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.CopyN(io.Discard, resp.Body, 1<<20) // fast at first: the windows grow
		slow = append(slow, resp)
	}
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if _, got := w.ask(t, get("/")); got != "ok" {
			t.Fatalf("got %q", got)
		}
		took = append(took, time.Since(began))
	}
	if n, err := io.Copy(io.Discard, mustAsk(t, w, get("/large")).Body); n != 8<<20 || err != nil {
		t.Errorf("a fast reader got %d %v", n, err)
	}
	if used := budget.Used(); used > 16<<20 || used < 0 {
		t.Errorf("%d bytes are granted", used)
	}
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20+40*(link.InitialWindow+32<<10)+8<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	slices.Sort(took)
	t.Logf("granted %d KB, heap +%d MB, small requests p50 %v p99 %v", budget.Used()>>10, (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20, took[100], took[198])
	for _, resp := range slow {
		resp.Body.Close()
	}
	settles(t, "the budget", func() bool { return budget.Used() == 0 })
}

func answering2(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/endless":
		for r.Context().Err() == nil {
			w.Write(make([]byte, 64<<10))
		}
	case "/large":
		w.Write(make([]byte, 8<<20))
	default:
		io.WriteString(w, "ok")
	}
}

func mustAsk(t *testing.T, w *world, r *link.Request) *link.Response {
	t.Helper()
	resp, err := w.edge.RoundTrip(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAWindowGrowsWhileItIsWaitedFor(t *testing.T) {
	budget := link.NewBudget(link.DefaultBudget)
	w := linked(t, http.HandlerFunc(answering2), link.Config{Budget: budget})
	resp := mustAsk(t, w, get("/endless"))
	io.CopyN(io.Discard, resp.Body, 200<<20)
	if budget.Used() == 0 || budget.Used() > link.MaxWindow {
		t.Errorf("%d bytes are granted", budget.Used())
	}
	resp.Body.Close()
	settles(t, "the budget", func() bool { return budget.Used() == 0 })
}

// With nothing left to grant everything still flows, at the smallest window.
func TestWithoutABudgetEverythingFlows(t *testing.T) {
	budget := link.NewBudget(0)
	w := linked(t, http.HandlerFunc(answering2), link.Config{Budget: budget})
	if _, got := w.ask(t, get("/large")); len(got) != 8<<20 || budget.Used() != 0 {
		t.Errorf("got %d bytes, granted %d", len(got), budget.Used())
	}
}

// SYSTEM T6
func TestALinkTakesSoManyRequestsAtOnce(t *testing.T) {
	w := linked(t, http.HandlerFunc(answering), link.Config{MaxStreams: 3})
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { w.edge.RoundTrip(ctx, get("/waits")) })
	}
	settles(t, "requests under way", func() bool { return w.app.InFlight() == 3 })
	if w.edge.Available() {
		t.Error("a full link says that it is available")
	}
	if _, err := w.edge.RoundTrip(t.Context(), get("/")); !errors.Is(err, link.ErrBusy) || !link.Unprocessed(err) {
		t.Errorf("got %v", err)
	}
	cancel()
	waiting.Wait()
	settles(t, "requests under way", func() bool { return w.edge.Available() })
	settles(t, "a place", func() bool {
		resp, err := w.edge.RoundTrip(t.Context(), get("/"))
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

// The attack: requests are cancelled at once, to have more handlers running than are counted (CVE-2023-44487).
func TestCancelledRequestsCountWhileTheirHandlersRun(t *testing.T) {
	let := make(chan struct{})
	edge, app := tlsPair(t, true)
	w := join(t, edge, app, exported(t, edge), exported(t, app), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-let }),
		link.Config{}, link.Config{MaxStreams: 3})
	refused := 0
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := w.edge.RoundTrip(ctx, get("/")); link.Unprocessed(err) {
			refused++
		}
		cancel()
	}
	if refused != 7 {
		t.Errorf("%d were refused", refused)
	}
	close(let)
}

func TestAPeerThatReadsNothingOfWhatItCauses(t *testing.T) { // SYSTEM T6
	near, far := net.Pipe()
	defer near.Close()
	served := make(chan error, 1)
	go func() {
		served <- link.Serve(t.Context(), far, key, http.HandlerFunc(answering), time.Second, link.Config{MaxStreams: 1, Patience: time.Hour, PingAfter: time.Hour}, nil)
	}()
	go near.Write(append(asked(1, "GET", "/waits", 0, true), repeat(60_000, func(i int) []byte { return question(uint32(i + 2)) })...))
	select {
	case err := <-served:
		if err == nil || !strings.Contains(err.Error(), "does not read") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it writes on")
	}
}

// An authentic head that makes no sense costs its request, not the link of everybody: whoever could make an edge send it could
// otherwise cut all others off.
func TestAnAuthenticHeadThatMakesNoSense(t *testing.T) {
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- link.Serve(t.Context(), far, key, http.HandlerFunc(answering), time.Second, link.Config{}, nil)
	}()
	p := newPeer(t, near)
	go p.listen()
	for i, target := range []string{"", "x", "/a b", "/a\x7f", "http://elsewhere/", "/%zz"} {
		p.send(asked(uint32(i+1), "GET", target, 0, true))
		if f, ok := p.next(link.Reset); !ok || f.stream != uint32(i+1) || f.payload[0] != link.Malformed {
			t.Errorf("%q: got %v", target, f)
		}
	}
	p.send(question(100))
	if f, ok := p.next(link.Data); !ok || string(f.payload) != "ok" {
		t.Errorf("afterwards: %v", f)
	}
	near.Close()
	<-served
}

func TestWhatTheEdgeDoesNotSend(t *testing.T) {
	w := linked(t, http.HandlerFunc(answering), link.Config{})
	for name, spoil := range map[string]func(r *link.Request){
		"no method":               func(r *link.Request) { r.Method = "" },
		"a method of two words":   func(r *link.Request) { r.Method = "GET /" },
		"another scheme":          func(r *link.Request) { r.Scheme = "file" },
		"no host":                 func(r *link.Request) { r.Host = "" },
		"a host with a path":      func(r *link.Request) { r.Host = "a/b" },
		"a host of two lines":     func(r *link.Request) { r.Host = "a\r\nX: y" },
		"a relative target":       func(r *link.Request) { r.Target = "a" },
		"a target of two lines":   func(r *link.Request) { r.Target = "/ HTTP/1.1\r\nX: y" },
		"a name that is too long": func(r *link.Request) { r.ID = strings.Repeat("x", link.MaxID+1) },
		"a token too long":        func(r *link.Request) { r.Token = strings.Repeat("x", link.MaxToken+1) },
		"a head too large": func(r *link.Request) {
			r.Header = http.Header{"X": {strings.Repeat("x", 60_000), strings.Repeat("y", 60_000)}}
		},
		"a line too long":        func(r *link.Request) { r.Header = http.Header{"X": {strings.Repeat("x", 70_000)}} },
		"too many lines":         func(r *link.Request) { r.Header = http.Header{"X": make([]string, link.MaxLines+1)} },
		"an upgrade with a body": func(r *link.Request) { r.Upgrade, r.Body, r.ContentLength = "x", zeros{}, 5 },
		"a length below nothing": func(r *link.Request) { r.Body, r.ContentLength = zeros{}, -2 },
	} {
		r := get("/")
		spoil(r)
		if resp, err := w.edge.RoundTrip(t.Context(), r); err == nil {
			t.Errorf("%s was sent, and answered %d", name, resp.Status)
		}
	}
	r := get("/")
	r.Header = http.Header{"X": make([]string, link.MaxLines), "Connection": {"x"}}
	r.ID, r.Token = strings.Repeat("x", link.MaxID), strings.Repeat("x", link.MaxToken)
	if resp, _ := w.ask(t, r); resp.Status != 200 || w.edge.Err() != nil {
		t.Errorf("at the limits: %d %v", resp.Status, w.edge.Err())
	}
}

func TestAnAnswerWithAHeadBeyondTheLimits(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.RawQuery)
		w.Header()["X"] = slices.Repeat([]string{strings.Repeat("x", 1000)}, n)
		w.Header()["Y"] = make([]string, 100)
	}), link.Config{})
	for n, want := range map[int]bool{1: true, 90: true, 120: false, 600: false} {
		resp, err := w.edge.RoundTrip(t.Context(), get("/?"+strconv.Itoa(n)))
		if (err == nil) != want {
			t.Errorf("%d kilobytes: %v", n, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	if w.edge.Err() != nil {
		t.Errorf("the link ended: %v", w.edge.Err())
	}
}

// The application gets the same string for the same token, more tokens than a link remembers notwithstanding.
func TestTokens(t *testing.T) { // SYSTEM P5
	var mu sync.Mutex
	texts := map[string]int{}
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := link.From(r.Context())
		mu.Lock()
		defer mu.Unlock()
		texts[a.Token]++
		io.WriteString(w, a.Token)
	}), link.Config{})
	for _, size := range []int{10, link.MaxToken} {
		n := min(link.MaxTokens, link.MaxTokenBytes/size) + 10
		for i := range n + 10 {
			r := get("/")
			r.Token = strings.Repeat(strconv.Itoa(i%n)+" ", size)[:size]
			if _, got := w.ask(t, r); got != r.Token {
				t.Fatalf("token %d arrived as %q", i, got[:10])
			}
		}
	}
	if _, got := w.ask(t, get("/")); got != "" {
		t.Errorf("nobody arrived as %q", got)
	}
}

func TestControlMessages(t *testing.T) {
	got := make(chan string, 10)
	config := link.Config{Control: func(c *link.Conn, m []byte) {
		got <- string(m)
		if string(m) == "ask" {
			c.Control([]byte("answer"))
		}
	}}
	w := linked(t, http.HandlerFunc(answering), config)
	big := strings.Repeat("x", link.MaxControl)
	for _, m := range []string{"", "ask", big} {
		if err := w.app.Control([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	seen := []string{<-got, <-got, <-got, <-got}
	slices.Sort(seen)
	if want := []string{"", "answer", "ask", big}; !slices.Equal(seen, want) {
		t.Errorf("got %.20q", seen)
	}
	if err := w.app.Control([]byte(big + "x")); err == nil {
		t.Error("a message beyond the limit was sent")
	}
}

func TestControlMessagesThatNobodyKeepsUpWith(t *testing.T) { // SYSTEM T6
	let := make(chan struct{})
	w := linked(t, http.HandlerFunc(answering), link.Config{Control: func(*link.Conn, []byte) { <-let }})
	defer close(let)
	for range 3 * link.MaxMessages {
		w.app.Control([]byte("x"))
	}
	settles(t, "the link's end", func() bool { return w.edge.Err() != nil })
	if err := w.edge.Err(); err == nil || !strings.Contains(err.Error(), "control messages at once") {
		t.Errorf("got %v", err)
	}
}

func TestWhatNeverLeftIsUnprocessed(t *testing.T) {
	near, far := net.Pipe()
	edge := link.Accept(far, key, link.Config{})
	sent, queued := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := edge.RoundTrip(t.Context(), get("/"))
		sent <- err
	}()
	settles(t, "the first request", func() bool { return edge.InFlight() == 1 })
	io.ReadFull(near, make([]byte, link.HeaderSize+8+1)) // a ping; then the writer is in the middle of the first
	go func() {
		_, err := edge.RoundTrip(t.Context(), get("/"))
		queued <- err
	}()
	settles(t, "the second request", func() bool { return edge.InFlight() == 2 })
	near.Close()
	if err := <-sent; err == nil || link.Unprocessed(err) {
		t.Errorf("what was given to the connection: %v", err)
	}
	if err := <-queued; !link.Unprocessed(err) {
		t.Errorf("what was not: %v", err)
	}
	if _, err := edge.RoundTrip(t.Context(), get("/")); !link.Unprocessed(err) {
		t.Errorf("what came later: %v", err)
	}
}

func TestTheLastStreamOfALink(t *testing.T) {
	w := linked(t, http.HandlerFunc(answering), link.Config{})
	w.edge.Skip(link.MaxStream - 2)
	for range 2 {
		if _, got := w.ask(t, get("/")); got != "ok" {
			t.Errorf("got %q", got)
		}
	}
	if _, err := w.edge.RoundTrip(t.Context(), get("/")); !link.Unprocessed(err) || w.edge.Available() {
		t.Errorf("got %v", err)
	}
	settles(t, "the link's end", func() bool { return w.edge.Err() != nil && w.app.Err() != nil })
}

// Two ends whose TLS sessions are not the same one have different keys: whoever stands in between, holding certificates that both
// accept, still cannot carry a head across. SYSTEM P3
func TestSomebodyInBetween(t *testing.T) {
	edge, relayToEdge := tlsPair(t, true)
	relayToApp, app := tlsPair(t, true)
	go io.Copy(relayToEdge, relayToApp)
	go io.Copy(relayToApp, relayToEdge)
	if exported(t, edge) == exported(t, app) || exported(t, edge) != exported(t, relayToEdge) {
		t.Fatal("keys are not of their session")
	}
	served := make(chan error, 1)
	go func() {
		served <- link.Serve(t.Context(), app, exported(t, app), http.HandlerFunc(answering), time.Second, link.Config{}, nil)
	}()
	c := link.Accept(edge, exported(t, edge), link.Config{})
	defer c.Close()
	if _, err := c.RoundTrip(t.Context(), get("/")); err == nil {
		t.Error("a request was carried across")
	}
	if err := <-served; err == nil || !strings.Contains(err.Error(), "not authentic") {
		t.Errorf("got %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	w := linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		b, _ := io.ReadAll(r.Body)
		w.Write(bytes.Repeat(b, n))
	}), link.Config{Budget: link.NewBudget(1 << 20)})
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for j := range 10 {
				body := strings.Repeat(strconv.Itoa(i), 1+i*j*7)
				_, got := w.ask(t, post("/?n="+strconv.Itoa(1+j), -1, strings.NewReader(body)))
				if got != strings.Repeat(body, 1+j) {
					t.Errorf("%d %d: got %d bytes", i, j, len(got))
				}
			}
		})
	}
	all.Wait()
}
