package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serving(t *testing.T, h http.HandlerFunc) crowd {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	crowd, err := gather(t.Context(), target{address: server.Listener.Addr().String()}, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(crowd.close)
	return crowd
}

func requests(targets ...string) (all []request) {
	for _, to := range targets {
		all = append(all, request{bytes: get("localhost", to, "Cookie", "a=b")})
	}
	return all
}

func TestEveryAnswerIsKeptAndCounted(t *testing.T) {
	crowd := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" || r.Header.Get("Cookie") != "a=b" || r.Header.Get("Accept") != "application/json" {
			http.Error(w, "not the request that was meant", http.StatusTeapot)
			return
		}
		io.WriteString(w, strings.Repeat(r.URL.Path, 1000)) // in chunks
	})
	all := requests("/a", "/bb", "/ccc", "/dddd")
	answers, err := crowd.verify(t.Context(), all, asItIs)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{"/a", "/bb", "/ccc", "/dddd"} {
		if body := strings.Repeat(path, 1000); all[i].length != len(body) || answers[i] != "200 "+body {
			t.Errorf("the answer to %s was kept as %d bytes, want %d", path, all[i].length, len(body))
		}
	}
	h, took, err := crowd.load(t.Context(), all, 50*time.Millisecond)
	if err != nil || h.n < 3 || h.quantile(0.5) <= 0 || took < 50*time.Millisecond {
		t.Errorf("loading: %d requests, median %v, in %v, error %v", h.n, h.quantile(0.5), took, err)
	}
}

func TestAMeasurementOfWrongAnswersFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error is no answer":            {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, "status 500"},
		"a shorter answer is another":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") }, "1 bytes, want 200 and 9"},
		"another status is another":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); io.WriteString(w, "ninebytes") }, "status 201 and 9 bytes, want 200"},
		"a connection that is closed ends": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "reading an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			all := requests("/")
			all[0].status, all[0].length = 200, 9
			_, _, err := serving(t, c.answer).load(t.Context(), all, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestAChangesAnswerMayDifferByTheTimeAlone(t *testing.T) {
	r := request{status: 201, length: 100, slack: timeSlack}
	for _, c := range []struct {
		status, length int
		want           bool
	}{{201, 100, true}, {201, 93, true}, {201, 107, true}, {201, 92, false}, {201, 108, false}, {200, 100, false}} {
		if got := r.takes(c.status, c.length); got != c.want {
			t.Errorf("status %d with %d bytes: got %t, want %t", c.status, c.length, got, c.want)
		}
	}
	a := `{"id":"5f0c5bba-3c66-4d2b-9c0e-000000000000","product_id":"5f0c5bba-3c66-4d2b-9c0e-000000000001","created_at":"2026-11-22T10:00:00.123Z","notes":"a"}`
	b := `{"id":"00000000-3c66-4d2b-9c0e-000000000000","product_id":"5f0c5bba-3c66-4d2b-9c0e-000000000001","created_at":"2027-01-01T00:00:00Z","notes":"a"}`
	if x, y := timeless([]byte(a)), timeless([]byte(b)); string(x) != string(y) {
		t.Errorf("got %s and %s", x, y)
	}
	for _, part := range []string{`0001"`, `"a"`} { // the product, the notes
		if x, y := timeless([]byte(a)), timeless([]byte(strings.Replace(b, part, `2"`, 1))); string(x) == string(y) {
			t.Errorf("another %s was not noticed", part)
		}
	}
}

func TestVerifyingTellsWhatWasAnswered(t *testing.T) {
	crowd := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "we are closed", http.StatusServiceUnavailable)
	})
	if _, err := crowd.verify(t.Context(), requests("/"), asItIs); err == nil || !strings.Contains(err.Error(), "status 503") || !strings.Contains(err.Error(), "we are closed") {
		t.Errorf("got error %v, want one with the status and the body", err)
	}
}

// silent accepts connections and says nothing.
func silent(t *testing.T) crowd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	crowd, err := gather(t.Context(), target{address: l.Addr().String()}, 2)
	if err != nil {
		t.Fatal(err)
	}
	return crowd
}

func TestAServerThatDoesNotAnswerIsLeft(t *testing.T) {
	crowd, all := silent(t), requests("/")
	err := crowd.each(t.Context(), 20*time.Millisecond, func(_ int, c *client) error {
		_, _, err := c.do(all[0].bytes, io.Discard)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got error %v, want one about time", err)
	}
}

func TestAMeasurementEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := silent(t).load(ctx, requests("/"), time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
}
