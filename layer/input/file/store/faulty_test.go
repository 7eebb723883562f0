package store_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/reals3"
)

// A faulty stands before a server and is at fault in one way at a time.
type faulty struct {
	*httptest.Server
	ask    atomic.Pointer[func(w http.ResponseWriter, r *http.Request) (answered bool)]
	answer atomic.Pointer[func(r *http.Response)]
	mu     sync.Mutex
	seen   []*http.Request
}

func newFaulty(t testing.TB, at *reals3.Server, start func(http.Handler) *httptest.Server) *faulty {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: at.Endpoint}
	f := &faulty{}
	f.good()
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ModifyResponse: func(r *http.Response) error {
			(*f.answer.Load())(r)
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.seen = append(f.seen, r.Clone(r.Context()))
		f.mu.Unlock()
		if !(*f.ask.Load())(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// asks and answers install a fault; good takes it out.
func (f *faulty) asks(ask func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	f.forget()
	f.ask.Store(&ask)
}

func (f *faulty) answers(answer func(r *http.Response)) {
	f.forget()
	f.answer.Store(&answer)
}

func (f *faulty) good() {
	f.asks(func(http.ResponseWriter, *http.Request) bool { return false })
	f.answers(func(*http.Response) {})
}

func (f *faulty) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = nil
}

// count is how often a method was asked for since the last fault was put in.
func (f *faulty) count(method string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.seen {
		if r.Method == method {
			n++
		}
	}
	return n
}
