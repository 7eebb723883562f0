package link_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// An asker sends a request and returns the answer's body.
type asker func(method, target string, body io.Reader, length int64) (io.ReadCloser, error)

// An ender is either protocol, as the benchmarks ask it.
type ender struct {
	name string
	make func(b *testing.B, h http.Handler, oneWay time.Duration) asker
}

var token = strings.Repeat("t", 700)

var enders = []ender{
	{"link", func(b *testing.B, h http.Handler, oneWay time.Duration) asker {
		edge, app := path(b, oneWay, true)
		w := join(b, edge, app, exported(b, edge), exported(b, app), h, link.Config{}, link.Config{})
		return func(method, target string, body io.Reader, length int64) (io.ReadCloser, error) {
			r := get(target)
			r.Method, r.Body, r.ContentLength = method, body, length
			r.Token = token
			resp, err := w.edge.RoundTrip(b.Context(), r)
			if err != nil {
				return nil, err
			}
			return resp.Body, nil
		}
	}},
	{"http2", func(b *testing.B, h http.Handler, oneWay time.Duration) asker {
		edge, app := path(b, oneWay, false)
		client := inverse(b, edge, app, h)
		return func(method, target string, body io.Reader, length int64) (io.ReadCloser, error) {
			r, err := http.NewRequestWithContext(b.Context(), method, "http://app.example"+target, body)
			if err != nil {
				return nil, err
			}
			r.ContentLength = length
			r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"test"}, "Redoubt-Assertion": {token}}
			resp, err := client.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			return resp.Body, nil
		}
	}},
}

func path(b *testing.B, oneWay time.Duration, corked bool) (edge, app *tls.Conn) {
	if oneWay == 0 {
		return tlsPair(b, corked)
	}
	return relayed(b, oneWay, corked)
}

func fetch(b *testing.B, ask asker, target string) {
	body, err := ask("GET", target, nil, 0)
	if err != nil {
		b.Error(err)
		return
	}
	defer body.Close()
	if _, err := io.Copy(io.Discard, body); err != nil {
		b.Error(err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "forty bytes of answer, as in the notes..")
	})
	for _, parallel := range []int{1, 50} {
		for _, e := range enders {
			b.Run(e.name+"/"+strconv.Itoa(parallel), func(b *testing.B) {
				ask := e.make(b, h, 0)
				b.ReportAllocs()
				b.ResetTimer()
				if parallel == 1 {
					for b.Loop() {
						fetch(b, ask, "/")
					}
					return
				}
				b.SetParallelism(parallel / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						fetch(b, ask, "/")
					}
				})
			})
		}
	}
}

func BenchmarkDown100MB(b *testing.B) { down(b, 100<<20, 0) }

// With 50 ms there and back it is the windows that decide.
func BenchmarkDown300MBFarAway(b *testing.B) { down(b, 300<<20, 25*time.Millisecond) }

func down(b *testing.B, size int, oneWay time.Duration) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		buf := make([]byte, 64<<10)
		for range size / len(buf) {
			w.Write(buf)
		}
	})
	for _, e := range enders {
		b.Run(e.name, func(b *testing.B) {
			ask := e.make(b, h, oneWay)
			b.SetBytes(int64(size))
			b.ResetTimer()
			for b.Loop() {
				fetch(b, ask, "/")
			}
		})
	}
}

func BenchmarkUp100MB(b *testing.B) { up(b, 100<<20, 0) }

func BenchmarkUp300MBFarAway(b *testing.B) { up(b, 300<<20, 25*time.Millisecond) }

func up(b *testing.B, size int64, oneWay time.Duration) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	for _, e := range enders {
		b.Run(e.name, func(b *testing.B) {
			ask := e.make(b, h, oneWay)
			b.SetBytes(size)
			b.ResetTimer()
			for b.Loop() {
				resp, err := ask("POST", "/", struct{ io.Reader }{io.LimitReader(zeros{}, size)}, size)
				if err != nil {
					b.Fatal(err)
				}
				resp.Close()
			}
		})
	}
}
