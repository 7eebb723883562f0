package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// SYSTEM P6: a peer whose connection is open and that says nothing is dead.
func TestAPeerThatSaysNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go io.Copy(io.Discard, near)
		ended := make(chan error, 1)
		began := time.Now()
		edge := link.Accept(far, key, link.Config{Closed: func(_ *link.Conn, why error) { ended <- why }})
		_, err := edge.RoundTrip(t.Context(), get("/"))
		if err == nil || link.Unprocessed(err) || edge.Err() == nil || edge.Available() {
			t.Errorf("got %v, the link %v", err, edge.Err())
		}
		if took := time.Since(began); took < link.DefaultPingTimeout || took > link.DefaultPingTimeout+link.DefaultPingAfter {
			t.Errorf("it took %v", took)
		}
		if why := <-ended; why == nil {
			t.Error("no reason was told")
		}
	})
}

// The other way about: as long as both ends answer, an idle link lives.
func TestAnIdleLinkLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, http.HandlerFunc(answering), link.Config{}, link.Config{})
		time.Sleep(24 * time.Hour)
		if _, got := w.ask(t, get("/")); got != "ok" || w.edge.Err() != nil || w.app.Err() != nil {
			t.Errorf("got %q, %v", got, w.edge.Err())
		}
		if w.edge.ID() != w.app.ID() || len(w.edge.ID()) != 16 {
			t.Errorf("the link is called %q and %q", w.edge.ID(), w.app.ID())
		}
	})
}

func TestAnApplicationThatDoesNotBeginToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan error, 1)
		w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-r.Context().Done()
				gone <- r.Context().Err()
			}
		}), link.Config{Response: 3 * time.Second}, link.Config{})
		began := time.Now()
		_, err := w.edge.RoundTrip(t.Context(), get("/slow"))
		if !errors.Is(err, link.ErrTimeout) || link.Unprocessed(err) || time.Since(began) != 3*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := <-gone; err == nil {
			t.Error("the handler was not told")
		}
		if resp, _ := w.ask(t, get("/")); resp.Status != 200 {
			t.Error("the link did not survive")
		}
	})
}

// A slowReader gives a byte a second: a client on a bad line.
type slowReader struct{ left int }

func (r *slowReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	r.left--
	p[0] = 'x'
	return 1, nil
}

func TestASlowClientIsNotASlowApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			io.WriteString(w, strings.Repeat("x", int(n)))
		}), link.Config{Response: 3 * time.Second}, link.Config{})
		if _, got := w.ask(t, post("/", -1, &slowReader{20})); len(got) != 20 {
			t.Errorf("got %q", got)
		}
	})
}

func TestAnUploadThatTheApplicationIgnoresTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), link.Config{Response: 3 * time.Second}, link.Config{})
		if _, err := w.edge.RoundTrip(t.Context(), post("/", -1, zeros{})); !errors.Is(err, link.ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

// SYSTEM T6
func TestAPeerThatTakesNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		edge := link.Accept(far, key, link.Config{Patience: 2 * time.Second, PingTimeout: time.Hour})
		began := time.Now()
		_, err := edge.RoundTrip(t.Context(), get("/"))
		if err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestDeadlinesOfAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan error, 2)
		w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			control.SetReadDeadline(time.Now().Add(time.Second))
			began := time.Now()
			_, err := r.Body.Read(make([]byte, 1))
			if time.Since(began) != time.Second {
				t.Errorf("reading took %v", time.Since(began))
			}
			seen <- err
			control.SetReadDeadline(time.Time{})
			if _, err := r.Body.Read(make([]byte, 1)); err != nil {
				t.Errorf("with the deadline lifted: %v", err)
			}
			control.SetWriteDeadline(time.Now().Add(time.Second))
			for err = nil; err == nil; {
				_, err = w.Write(make([]byte, 100_000))
			}
			seen <- err
		}), link.Config{}, link.Config{})
		body, feed := io.Pipe()
		resp, err := make(chan *link.Response, 1), make(chan error, 1)
		go func() {
			r, e := w.edge.RoundTrip(t.Context(), post("/", -1, body))
			resp <- r
			err <- e
		}()
		timeout := <-seen
		feed.Write([]byte("x"))
		if r, e := <-resp, <-err; e != nil {
			t.Fatal(e)
		} else {
			defer r.Body.Close()
		}
		var late interface{ Timeout() bool }
		if !errors.As(timeout, &late) || !late.Timeout() {
			t.Errorf("reading: got %v", timeout)
		}
		if err := <-seen; !errors.As(err, &late) || !late.Timeout() {
			t.Errorf("writing: got %v", err)
		}
		feed.Close()
	})
}

// SYSTEM P6
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-let
				w.Write(make([]byte, 300_000))
			}
		}), link.Config{}, link.Config{})
		type result struct {
			body int
			err  error
		}
		slow := make(chan result)
		go func() {
			resp, err := w.edge.RoundTrip(t.Context(), get("/slow"))
			if err != nil {
				slow <- result{0, err}
				return
			}
			defer resp.Body.Close()
			time.Sleep(100 * time.Millisecond) // meanwhile the application may not close
			b, err := io.ReadAll(resp.Body)
			slow <- result{len(b), err}
		}()
		synctest.Wait()
		w.stop()
		synctest.Wait()
		if w.edge.Available() || w.edge.Err() != nil {
			t.Errorf("draining: available %t, %v", w.edge.Available(), w.edge.Err())
		}
		if _, err := w.edge.RoundTrip(t.Context(), get("/")); !link.Unprocessed(err) {
			t.Errorf("a request to a draining link: %v", err)
		}
		close(let)
		if got := <-slow; got.body != 300_000 || got.err != nil {
			t.Errorf("what was under way: %+v", got)
		}
		if err := <-w.served; err != nil {
			t.Errorf("the application: %v", err)
		}
		w.served <- nil
	})
}

// A stream that was taken over has no end of its own: an application that stops does not wait for it, one that only takes nothing
// new does.
func TestTakenStreamsInADrain(t *testing.T) { // SYSTEM P6
	for name, leave := range map[string]func(w *world){
		"stopped":                  func(w *world) { w.stop() },
		"going away":               func(w *world) { w.app.GoAway(); w.app.GoAway() },
		"going away, then stopped": func(w *world) { w.app.GoAway(); time.AfterFunc(time.Hour, w.stop) },
		"going away, then cut off": func(w *world) { w.app.GoAway(); time.AfterFunc(time.Hour, func() { w.edge.Close() }) },
		"going away with a request": func(w *world) {
			go w.edge.RoundTrip(context.Background(), get("/waits"))
			synctest.Wait()
			w.app.GoAway()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/waits" {
						time.Sleep(time.Hour)
						return
					}
					w.WriteHeader(101)
					c, _, _ := w.(http.Hijacker).Hijack()
					echoUpper(c)
					c.Close()
				}), link.Config{Response: 24 * time.Hour}, link.Config{})
				resp, err := w.edge.RoundTrip(t.Context(), upgrade())
				if err != nil {
					t.Fatal(err)
				}
				both := resp.Body.(io.ReadWriteCloser)
				leave(w)
				synctest.Wait()
				if _, err := w.edge.RoundTrip(t.Context(), get("/")); !link.Unprocessed(err) {
					t.Errorf("a new request: %v", err)
				}
				time.Sleep(30 * time.Minute)
				io.WriteString(both, "hello")
				b := make([]byte, 5)
				_, err = io.ReadFull(both, b)
				if lives := err == nil && string(b) == "HELLO"; lives != (name != "stopped") {
					t.Errorf("the stream: %q %v", b, err)
				}
				if name == "going away" {
					both.(interface{ CloseWrite() error }).CloseWrite()
					io.Copy(io.Discard, both)
				} else {
					time.Sleep(time.Hour)
				}
				if name == "going away with a request" {
					both.Close()
				}
				resp.Body.Close()
				err = <-w.served
				if cut := err != nil; cut != (name == "going away, then cut off") {
					t.Errorf("Serve returned %v", err)
				}
				w.served <- nil
			})
		})
	}
}

func TestDrainingHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, http.HandlerFunc(answering), link.Config{}, link.Config{})
		failed := make(chan error)
		go func() {
			_, err := w.edge.RoundTrip(t.Context(), get("/waits"))
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		w.stop()
		if err := <-failed; err == nil || link.Unprocessed(err) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := <-w.served; err == nil || !strings.Contains(err.Error(), "1 requests were cut") {
			t.Errorf("got %v", err)
		}
		w.served <- nil
	})
}

// What crowds of clients do that come and go must not end the link, whose application counts resets.
func TestACrowdThatComesOnlyToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, http.HandlerFunc(answering), link.Config{MaxStreams: 1 << 20}, link.Config{MaxStreams: 1 << 20})
		for range link.ResetBurst + link.ResetRate {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := w.edge.RoundTrip(ctx, get("/waits"))
				done <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if err := w.edge.Err(); err != nil {
			t.Errorf("the link ended: %v", err)
		}
		if got := w.edge.InFlight(); got < link.ResetBurst/2 {
			t.Errorf("%d requests wait for their reset", got)
		}
		time.Sleep(10 * time.Second)
		if got := w.edge.InFlight(); got != 0 {
			t.Errorf("%d requests are left", got)
		}
		if _, got := w.ask(t, get("/")); got != "ok" {
			t.Errorf("got %q", got)
		}
	})
}

// SYSTEM P6: where an answer takes 50 ms there and back, what one stream carries is decided by its window alone. Nothing takes any
// time here but the way, so that this is what the windows allow.
func TestAStreamIsFastFarAway(t *testing.T) {
	const size = 200 << 20
	for name, r := range map[string]*link.Request{"down": get("/"), "up": post("/", size, io.LimitReader(zeros{}, size))} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, relayNear := net.Pipe()
				relayFar, far := net.Pipe()
				go delay(relayNear, relayFar, 25*time.Millisecond)
				go delay(relayFar, relayNear, 25*time.Millisecond)
				w := join(t, near, far, key, key, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						io.Copy(io.Discard, r.Body)
						return
					}
					b := make([]byte, 1<<16)
					for range size / len(b) {
						w.Write(b)
					}
				}), link.Config{}, link.Config{})
				began := time.Now()
				resp, err := w.edge.RoundTrip(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Fatal(err)
				}
				rate := float64(size) / 1e6 / time.Since(began).Seconds()
				t.Logf("%.0f MB/s", rate)
				if rate < 150 {
					t.Errorf("got %.0f MB/s, want 150", rate)
				}
			})
		})
	}
}
