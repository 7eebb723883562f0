package edge

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Operator answers those who run the edge: /metrics, /livez, and /readyz, which is good only while every application can be reached and
// the edge is not stopping. It is for a listener of its own that the public cannot reach: it asks nobody who they are.
func (e *Edge) Operator() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.counts.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", e.ready)
	return mux
}

func (e *Edge) ready(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Ready        bool           `json:"ready"`
		Stopping     bool           `json:"stopping,omitempty"`
		Applications map[string]int `json:"applications"` // links that take requests
	}{!e.closing.Load(), e.closing.Load(), map[string]int{}}
	for name, p := range e.pools {
		n := 0
		for _, m := range p.all() {
			if m.conn.Available() {
				n++
			}
		}
		answer.Applications[name] = n
		answer.Ready = answer.Ready && n > 0
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(answer)
}
