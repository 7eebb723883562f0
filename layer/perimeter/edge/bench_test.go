package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

// A sink is a client that costs nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
func (s *sink) FlushError() error           { return nil }

// BenchmarkForward is what the edge and one link cost for a small request, without the public connection: policy, token, link and back.
func BenchmarkForward(b *testing.B) {
	for name, parallel := range map[string]int{"alone": 1, "50 at once": 25} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, edge.Times{}, func(c *edge.Config) { c.Access = io.Discard })
			w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "hello, and forty bytes of an answer here")
			}),
				func(c *connector) { c.links = 2 })
			h := w.edge.Handler()
			b.ReportAllocs()
			b.SetParallelism(parallel)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest("GET", "/a/b?c=d", nil)
					r.Host = w.host
					h.ServeHTTP(&sink{http.Header{}}, r)
				}
			})
		})
	}
}

// BenchmarkRequest is the same with the public connection, over HTTP/1.1 and TLS.
func BenchmarkRequest(b *testing.B) {
	w := newWorld(b, edge.Times{}, func(c *edge.Config) { c.Access = io.Discard })
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello, and forty bytes of an answer here")
	}),
		func(c *connector) { c.links = 2 })
	b.ReportAllocs()
	b.SetParallelism(25)
	b.RunParallel(func(pb *testing.PB) {
		c := w.client(false)
		for pb.Next() {
			w.get(c, "/a/b?c=d")
		}
	})
}

// BenchmarkDownload is a large answer through edge and link, without the public connection.
func BenchmarkDownload(b *testing.B) {
	const size = 100 << 20
	w := newWorld(b, edge.Times{})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 64<<10)
		for range size / len(piece) {
			w.Write(piece)
		}
	}))
	h := w.edge.Handler()
	b.SetBytes(size)
	for b.Loop() {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = w.host
		h.ServeHTTP(&sink{http.Header{}}, r)
	}
}
