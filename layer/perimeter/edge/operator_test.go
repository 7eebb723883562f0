package edge_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

func (w *world) operator(path string) (int, string) {
	r := httptest.NewRecorder()
	w.edge.Operator().ServeHTTP(r, httptest.NewRequest("GET", path, nil))
	return r.Code, r.Body.String()
}

func (w *world) metrics() string {
	_, body := w.operator("/metrics")
	return body
}

// SYSTEM P6: an edge is ready while each of its applications can be reached, and says which cannot.
func TestReadiness(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		c.Applications = append(c.Applications, edge.Application{Name: "other", Origin: "https://other.localhost"})
	})
	expect := func(want int, body string) {
		t.Helper()
		if status, got := w.operator("/readyz"); status != want || strings.TrimSpace(got) != body {
			t.Errorf("got %d %s, want %d %s", status, got, want, body)
		}
	}
	expect(503, `{"ready":false,"applications":{"other":0,"test":0}}`)
	w.connect(hello)
	expect(503, `{"ready":false,"applications":{"other":0,"test":1}}`)
	w.connect(hello, func(c *connector) { c.peer.Application = "other"; c.links = 2 })
	expect(200, `{"ready":true,"applications":{"other":2,"test":1}}`)
	if status, _ := w.operator("/livez"); status != 200 {
		t.Errorf("livez: got %d", status)
	}
	w.stop()
	<-w.served
	w.served <- nil
	w.eventually("the links are gone", func() bool { return w.edge.Links("test")+w.edge.Links("other") == 0 })
	expect(503, `{"ready":false,"stopping":true,"applications":{"other":0,"test":0}}`)
}

// The metrics say what happened; no label holds what a client chose.
func TestMetrics(t *testing.T) { // SYSTEM P6
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Expires = func() time.Time { return time.Unix(1_800_000_000, 0) } })
	w.connect(hello)
	c := w.client(true)
	w.get(c, "/hunter2")
	w.get(c, "/a%2fhunter2")
	w.raw("GET / HTTP/1.1\r\nHost: HOST\r\nHost: hunter2\r\n\r\n")
	w.eventually("they are counted", func() bool { return strings.Contains(w.metrics(), `redoubt_edge_refused_total{kind="head"} 1`) })
	got := w.metrics()
	for _, want := range []string{
		`redoubt_edge_requests_total{application="test",code="200"} 1`, `redoubt_edge_requests_total{application="",code="400"} 1`,
		`redoubt_edge_refused_total{kind="target"} 1`, `redoubt_edge_links{application="test",state="available"} 1`,
		`redoubt_edge_request_seconds_count{application="test"} 1`, `redoubt_edge_window_budget_bytes `, `redoubt_edge_connections{state="idle"} `,
		`redoubt_edge_retries_total 0`, `redoubt_edge_waiting_requests{application="test"} 0`, `redoubt_edge_access_lines_dropped_total 0`,
		`redoubt_edge_certificate_expires_seconds 1.8e+09`, `redoubt_edge_body_bytes_total{application="test",direction="out"} `, `redoubt_edge_link_rtt_seconds{application="test"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Error("a label holds what a client chose")
	}
}
