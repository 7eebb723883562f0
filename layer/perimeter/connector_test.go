package perimeter_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })

// prompt is two seconds, and one more for a busy machine.
const prompt = 3 * time.Second

// SYSTEM P1 P6: a connector dials two links to each edge, and serves what comes down.
func TestAConnectorServesOverSeveralLinksToSeveralEdges(t *testing.T) {
	t.Parallel()
	first := newFarEnd(t)
	second := farEndAt(t, first.folder, "127.0.0.1:0")
	r := connect(t, first.provision(second.addr), hello)
	for _, e := range []*farEnd{first, second} {
		within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
		if got, err := e.get(t.Context(), "/"); err != nil || got != "hello" {
			t.Errorf("got %q and %v", got, err)
		}
	}
	<-r.Ready()
	within(t, 5*time.Second, "the status says so", func() bool {
		s := r.Status()
		return len(s) == 2 && s[0] == perimeter.EdgeStatus{Edge: first.addr, Links: 2} && s[1] == perimeter.EdgeStatus{Edge: second.addr, Links: 2}
	})
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	within(t, 5*time.Second, "the edges have no link", func() bool { return len(first.live())+len(second.live()) == 0 })
}

func TestAConnectorsConfigurationIsChecked(t *testing.T) {
	_, err := perimeter.NewConnector(perimeter.ConnectorConfig{Links: 17, Edges: []string{"nowhere"}})
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four problems", err)
	}
}

// SYSTEM P6: whatever ends an edge, the connector is back within two seconds of its return.
func TestAConnectorIsBackWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	r := connect(t, e.provision(), hello)
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	for _, away := range []time.Duration{0, 3 * time.Second} {
		e.stop()
		within(t, 5*time.Second, "the connector has noticed", func() bool { return r.first().Links == 0 })
		time.Sleep(away)
		e = farEndAt(t, e.folder, e.addr)
		took := within(t, 5*time.Second, "a link is up", func() bool { return e.available() > 0 })
		if took > prompt {
			t.Errorf("after %v away, it took %v", away, took)
		}
		t.Logf("it took %v", took)
		within(t, 5*time.Second, "both are", func() bool { return e.available() == 2 })
	}
}

// SYSTEM P6: a network that swallows everything is noticed, and so is its return.
func TestASilentNetworkIsNoticedByTheConnector(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	relay := newRelay(t, e.addr)
	r := connect(t, e.provision(), hello, func(c *perimeter.ConnectorConfig) { c.Edges = []string{relay.addr()} })
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	relay.silent.Store(true)
	within(t, 20*time.Second, "the connector has given them up", func() bool { return r.first().Links == 0 })
	time.Sleep(2500 * time.Millisecond) // by now attempts hang
	relay.silent.Store(false)
	took := within(t, 10*time.Second, "a link is up", func() bool { return r.first().Links > 0 })
	if took > prompt {
		t.Errorf("it took %v", took)
	}
	t.Logf("it took %v", took)
}

// The first failure is a failure like any other: the connector waits for its edge.
func TestAConnectorWaitsForAnEdgeThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	c := e.provision()
	e.stop()
	r := connect(t, c, hello)
	select {
	case <-r.Ready():
		t.Fatal("it is ready without an edge")
	case <-time.After(1200 * time.Millisecond):
	}
	if s := r.Status(); len(s) != 1 || s[0].Links != 0 || s[0].Error == "" {
		t.Errorf("got %v", s)
	}
	if got := strings.Count(r.log.String(), "link down"); got != 1 {
		t.Errorf("it complained %d times of the same, want once", got)
	}
	farEndAt(t, e.folder, e.addr)
	select {
	case <-r.Ready():
	case <-time.After(prompt):
		t.Errorf("it is not ready %v after its edge", prompt)
	}
}

// An edge that is there is asked often at first and then seldom if it refuses; one that is not there, every second.
func TestHowLongAConnectorWaits(t *testing.T) {
	for _, c := range []struct {
		name          string
		refused       bool
		second, later time.Duration
	}{
		{"an edge that cannot be reached", false, 200 * time.Millisecond, time.Second},
		{"an edge that refuses", true, 200 * time.Millisecond, 20 * time.Second},
	} {
		waits := perimeter.Waits(c.refused, time.Minute, 20)
		if waits[0] != 100*time.Millisecond || waits[1] != c.second || waits[8] != time.Second || waits[19] != c.later {
			t.Errorf("%s: got %v", c.name, waits)
		}
	}
}

// SYSTEM P3 P6: certificates are renewed while requests run, and none fails; nor when the authority is replaced.
func TestRenewalAndRotationFailNothing(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t, func(c *enrol.Config) { c.Life = 10 * time.Second })
	credential, err := enrol.Join(t.Context(), invite(t, e), filepath.Join(t.TempDir(), "credential.json"))
	if err != nil {
		t.Fatal(err)
	}
	began, release := make(chan struct{}, 1), make(chan struct{})
	r := connect(t, credential, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			began <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "hello")
	}))
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	long := make(chan error, 1)
	go func() {
		_, err := e.get(context.Background(), "/long")
		long <- err
	}()
	<-began

	var served, failed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if got, err := e.get(context.Background(), "/"); err != nil || got != "hello" {
					failed.Add(1)
					t.Logf("failed: %q and %v", got, err)
				}
				served.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	first := credential.Pin()
	within(t, 20*time.Second, "the certificate was renewed", func() bool { return credential.Pin() != first })
	within(t, 5*time.Second, "the links were opened anew", func() bool { return e.accepted() >= 4 && e.available() == 2 })
	close(release)
	if err := <-long; err != nil {
		t.Errorf("a request that began before: %v", err)
	}
	key := e.Signer().ID
	if err := e.Rotate(); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the rotation can be finished", func() bool { return e.FinishRotation() == nil })
	within(t, 20*time.Second, "the connector knows the new key alone", func() bool {
		return e.Signer().ID != key && credential.Keys()[0].ID == e.Signer().ID
	})
	time.Sleep(500 * time.Millisecond)
	cancel()
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed, want 0", failed.Load(), served.Load())
	}
	t.Logf("%d requests, %d links", served.Load(), e.accepted())
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func invite(t *testing.T, e *farEnd) string {
	t.Helper()
	token, err := e.Invite("app", []string{e.addr})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// SYSTEM P3 P6: a WebSocket, which no retry could repair, outlasts the renewal of the certificate that its link was opened with.
func TestAnUpgradedStreamOutlastsARenewal(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t, func(c *enrol.Config) { c.Life = 20 * time.Second })
	credential := e.provision()
	connect(t, credential, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(conn, buffered)
	}), func(c *perimeter.ConnectorConfig) { c.Links = 1 })
	within(t, 5*time.Second, "a link is up", func() bool { return e.available() == 1 })
	resp, err := e.live()[0].RoundTrip(t.Context(), &link.Request{
		Method: "GET", Scheme: "https", Host: "app.example", Target: "/", Header: http.Header{}, Upgrade: "echo", Client: netip.MustParseAddr("192.0.2.1"), ID: "1",
	})
	if err != nil || resp.Status != http.StatusSwitchingProtocols {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	echo := func() {
		t.Helper()
		got := make([]byte, 5)
		if _, err := resp.Body.(io.ReadWriter).Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "hello" {
			t.Fatalf("got %q and %v", got, err)
		}
	}
	echo()
	if err := e.Rotate(); err != nil { // the connector renews at once
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the link was opened anew", func() bool { return e.accepted() == 2 && e.available() == 1 })
	time.Sleep(500 * time.Millisecond)
	echo()
	resp.Body.Close()
	within(t, 5*time.Second, "the old link ends with it", func() bool { return len(e.live()) == 1 })
}

// SYSTEM P3 P6: a certificate that ended while the edge was away is renewed when it is back.
func TestACertificateThatEndedMeanwhileIsRenewed(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t, func(c *enrol.Config) { c.Life = 3 * time.Second })
	credential := e.provision()
	connect(t, credential, hello)
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	e.stop()
	within(t, 10*time.Second, "the certificate has ended", func() bool { return time.Now().After(credential.Expires().Add(time.Second)) })
	e = farEndAt(t, e.folder, e.addr, func(c *enrol.Config) { c.Life = time.Minute })
	took := within(t, 10*time.Second, "two links are up", func() bool { return e.available() == 2 })
	if took > prompt {
		t.Errorf("it took %v", took)
	}
	t.Logf("it took %v", took)
}

// SYSTEM P3: a revoked connector's links end, and it does not come back.
func TestARevokedConnectorDoesNotComeBack(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	credential := e.provision()
	r := connect(t, credential, hello)
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	if err := e.Revoke(credential.ID()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "they have ended", func() bool { return len(e.live()) == 0 })
	before := e.accepted()
	time.Sleep(2 * time.Second)
	if got := e.accepted(); got != before || len(e.live()) > 0 {
		t.Errorf("%d links were accepted afterwards", got-before)
	}
	if s := r.first(); s.Links != 0 || s.Error == "" {
		t.Errorf("got %v", s)
	}
}

// SYSTEM P3: a connector takes no edge of another deployment for its own.
func TestAConnectorLinksToItsOwnDeployment(t *testing.T) {
	t.Parallel()
	e, other := newFarEnd(t), newFarEnd(t)
	r := connect(t, e.provision(), hello, func(c *perimeter.ConnectorConfig) { c.Edges = []string{other.addr} })
	time.Sleep(time.Second)
	if other.accepted() != 0 || !strings.Contains(r.first().Error, "not an edge of this deployment") {
		t.Errorf("%d links; got %v", other.accepted(), r.Status())
	}
}

// Edges that are announced are dialled, and those that are not any more are left, after what is under way there.
func TestAConnectorFollowsItsEdges(t *testing.T) {
	t.Parallel()
	first := newFarEnd(t, func(c *enrol.Config) { c.Life = 20 * time.Second }) // it asks for news every 417 ms
	second := farEndAt(t, first.folder, "127.0.0.1:0")
	connect(t, first.provision(), hello)
	within(t, 5*time.Second, "two links are up", func() bool { return first.available() == 2 })
	if err := first.Announce([]string{second.addr}); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it has moved", func() bool { return second.available() == 2 && len(first.live()) == 0 })
	if err := second.Announce(nil); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it is back", func() bool { return first.available() == 2 && len(second.live()) == 0 })
	if err := second.Announce([]string{"nowhere"}); err == nil {
		t.Error("an address that is none is announced")
	}
}

// SYSTEM P6: a connector that stops finishes what it has begun.
func TestAConnectorFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	began, release := make(chan struct{}), make(chan struct{})
	r := connect(t, e.provision(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		fmt.Fprint(w, "finished")
	}))
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	answer := make(chan string, 1)
	go func() {
		got, err := e.get(context.Background(), "/")
		answer <- fmt.Sprint(got, err)
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	within(t, 5*time.Second, "the edge sends nothing more", func() bool { return e.available() == 0 })
	close(release)
	if got := <-answer; got != "finished<nil>" {
		t.Errorf("got %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// SYSTEM T6: a request that does not end does not keep a connector from stopping, which says so.
func TestAConnectorThatStopsCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	began := make(chan struct{})
	var config perimeter.ConnectorConfig
	config.Credential = e.provision()
	config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	c, err := perimeter.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDrain(300 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	within(t, 5*time.Second, "two links are up", func() bool { return e.available() == 2 })
	go e.get(context.Background(), "/")
	<-began
	cancel()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "1 requests were cut") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it has not stopped after 10 s")
	}
	if perimeter.DrainTimeout != 30*time.Second {
		t.Errorf("it waits for %v", perimeter.DrainTimeout)
	}
}

// An edge that takes the connection and never answers is given up.
func TestAnEdgeThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	e := newFarEnd(t)
	credential := e.provision()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var attempts atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			attempts.Add(1)
			defer conn.Close() // accepts, and says nothing
		}
	}()
	r := connect(t, credential, hello, func(c *perimeter.ConnectorConfig) { c.Edges = []string{l.Addr().String()} })
	within(t, 15*time.Second, "the first attempts were given up", func() bool { return r.first().Error != "" })
	if got := attempts.Load(); got < 5 || got > 12 {
		t.Errorf("%d attempts, want about one each second", got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
