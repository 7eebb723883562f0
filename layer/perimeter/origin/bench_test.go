package origin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// BenchmarkForward measures a small request and a small answer through this package and through httputil.ReverseProxy over a
// Transport that is tuned for it. Both ends' work and the application's own are in each figure.
func BenchmarkForward(b *testing.B) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "forty bytes of an answer, and not more..")
	}))
	defer app.Close()
	target, _ := url.Parse(app.URL)
	own, err := origin.New(origin.Config{Target: target, Visitor: func(context.Context) (origin.Visitor, bool) {
		return origin.Visitor{Client: netip.MustParseAddr("192.0.2.1"), Scheme: "https", Host: "app.test", ID: "id"}, true
	}})
	if err != nil {
		b.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		BufferPool: &pooled{},
		Rewrite:    func(p *httputil.ProxyRequest) { p.SetURL(target); p.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute,
			DisableCompression: true, WriteBufferSize: 4 << 10, ReadBufferSize: 4 << 10},
	}
	for name, h := range map[string]http.Handler{"own": own, "ReverseProxy": proxy} {
		for _, at := range []int{1, 25} {
			b.Run(name+"/"+map[int]string{1: "in turn", 25: "at once"}[at], func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(at)
				one := func() {
					r := httptest.NewRequest("GET", "/a/b?c=d", nil)
					r.Host = "app.test"
					for _, name := range []string{"Accept", "User-Agent", "Accept-Language", "Cookie"} {
						r.Header.Set(name, "a value of the usual length")
					}
					w := &discard{h: http.Header{}}
					h.ServeHTTP(w, r)
					if w.status != 200 {
						b.Errorf("status %d", w.status)
					}
				}
				before := spent(b)
				if at == 1 {
					for b.Loop() {
						one()
					}
				} else {
					b.RunParallel(func(p *testing.PB) {
						for p.Next() {
							one()
						}
					})
				}
				b.ReportMetric(float64((spent(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

// spent is this process's time on all cores: unlike the clock it does not count who else uses the machine.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type pooled struct{ sync.Pool }

func (p *pooled) Get() []byte {
	if b, ok := p.Pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *pooled) Put(b []byte) { p.Pool.Put(&b) }

type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
