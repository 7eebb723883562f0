package perimeter

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// A visitor is what the edge keeps about one request while it passes.
type visitor struct {
	id     string
	client string // address of the connection's other end
	body   *upload
	denied *denial // why the edge answered by itself, if it did
}

type visitorKey struct{}

func visitOf(r *http.Request) *visitor { return r.Context().Value(visitorKey{}).(*visitor) }

// serve handles one public request: check, forward, log.
func (e *Edge) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	v := &visitor{id: rand.Text(), client: clientIP(r.RemoteAddr)}
	answer := &answer{ResponseWriter: w, progress: e.times.progress, streams: r.ProtoMajor > 1}
	defer func() { e.logRequest(r, v, answer, time.Since(began)) }() // also when the proxy aborts by panic
	if d := e.check(r); d != nil {
		v.denied = d
		render(answer, r, v)
		return
	}
	if r.Body != nil && r.ContentLength != 0 {
		v.body = newUpload(w, r, e.config.MaxBody, e.times.progress)
		r.Body = v.body
		defer v.body.end()
	}
	e.proxy.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
}

func clientIP(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	host, _, _ = strings.Cut(host, "%") // a link-local address's zone means nothing elsewhere
	return host
}

// newProxy forwards through the pool. It flushes at once whatever has no length, and server-sent events.
func (e *Edge) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:    e.pool,
		Rewrite:      rewrite,
		ErrorHandler: e.failed,
		ErrorLog:     quiet(e.log),
		BufferPool:   &buffers{},
	}
}

// rewrite runs after hop-by-hop headers are gone, those that Connection names included, so that a client cannot name one that
// is added later.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = "http", p.In.Host // names of the link; nothing is dialled
	p.Out.URL.RawQuery = p.In.URL.RawQuery               // as it came, unparsable parts included: the assertion covers it
	p.Out.Host = p.In.Host
	p.Out.Trailer = nil
	p.Out.Header.Del("Host")
	p.Out.Header.Del("Expect") // answered by the edge, when it reads the body
	dropClaims(p.Out.Header)
}

// failed answers a request that brought no response. Nobody is told more than that.
func (e *Edge) failed(w http.ResponseWriter, r *http.Request, err error) {
	v := visitOf(r)
	v.denied = e.diagnose(v, r, err)
	v.denied.Cause = err
	render(w, r, v)
}

func (e *Edge) diagnose(v *visitor, r *http.Request, err error) *denial {
	var timeout net.Error
	switch bodyErr := v.body.failure(r.Context()); {
	case errors.Is(bodyErr, errBodyTooLarge):
		return tooLarge()
	case errors.Is(bodyErr, os.ErrDeadlineExceeded):
		return deny(http.StatusRequestTimeout, layer.Limited, "slow body", "The request's body came too slowly.")
	case errors.Is(bodyErr, errFraming):
		return malformed("framing", "The request's framing is ambiguous.")
	case r.Context().Err() != nil:
		return deny(statusClientGone, layer.Unavailable, "client gone", "The client went away.")
	case bodyErr != nil:
		return malformed("body", "The request's body could not be read.")
	case errors.Is(err, errNoLink):
		return deny(http.StatusServiceUnavailable, layer.Unavailable, "no link", "The application is not connected; try again shortly.")
	case errors.Is(err, errLinkBusy):
		return deny(http.StatusServiceUnavailable, layer.Unavailable, "links busy", "Too many requests at once; try again shortly.")
	case errors.As(err, &timeout) && timeout.Timeout():
		return deny(http.StatusGatewayTimeout, layer.Unavailable, "slow application", "The application did not answer in time.")
	}
	return deny(http.StatusBadGateway, layer.Unavailable, "link failed", "The connection to the application broke; what was asked may or may not have been done.")
}

var errBodyTooLarge = errors.New("the request's body is too large")

// An upload is a request's body with two limits: its length, and how long the client may let the edge wait. Only time spent
// waiting for the client counts; an application that reads slowly is not the client's fault. SYSTEM T6.
type upload struct {
	body     io.ReadCloser
	control  *http.ResponseController
	left     int64
	patience time.Duration

	reading sync.Mutex    // held during Read
	waited  time.Duration // since MinProgress bytes came
	fresh   int           // bytes since then

	mu    sync.Mutex
	ended bool // the handler has returned: its ResponseWriter must not be touched
	err   error
	rest  bool // HTTP/1: net/http reads on after the handler, for the sake of the next request
}

func newUpload(w http.ResponseWriter, r *http.Request, limit int64, patience time.Duration) *upload {
	u := &upload{body: r.Body, control: http.NewResponseController(w), left: limit, patience: patience, rest: r.ProtoMajor == 1}
	if u.rest {
		u.control.EnableFullDuplex() // or net/http would swallow the body, unbounded in time, before the first byte of an answer
	}
	return u
}

func (u *upload) Read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	if !u.deadline(time.Now().Add(u.patience - u.waited)) {
		return 0, http.ErrBodyReadAfterClose
	}
	began := time.Now()
	n, err := u.body.Read(p)
	u.deadline(time.Time{})
	u.waited += time.Since(began)
	if u.fresh += n; u.fresh >= MinProgress {
		u.waited, u.fresh = 0, 0
	}
	if u.left -= int64(n); u.left < 0 {
		n, err = 0, errBodyTooLarge
	}
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.err = err
	}
	return n, err
}

// deadline bounds the next Read; the zero time lifts the bound, because HTTP/2 would otherwise apply it to a stream that the
// application has paused. It reports false once the handler has returned.
func (u *upload) deadline(t time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return false
	}
	u.control.SetReadDeadline(t) // both protocols have one
	return true
}

func (u *upload) Close() error { return u.body.Close() }

// end is called before the handler returns: the link may still be reading in another goroutine. What net/http reads of an
// unfinished body afterwards is bounded too, and after a failure it is nothing.
func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	switch {
	case !u.rest || u.err == io.EOF:
	case u.err != nil:
		u.control.SetReadDeadline(time.Unix(1, 0))
	default:
		u.control.SetReadDeadline(time.Now().Add(u.patience))
	}
}

// failure is why the body could not be read, or nil. It accepts a nil upload: a request without a body. net/http ends the
// request's context because of a failed read before it returns from that read, so that a Read under way is waited for then;
// it ends at once, or with its deadline.
func (u *upload) failure(ctx context.Context) error {
	if u == nil {
		return nil
	}
	if ctx.Err() != nil {
		u.reading.Lock()
		defer u.reading.Unlock()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == io.EOF {
		return nil
	}
	return u.err
}

// An answer counts what goes out, and ends an HTTP/2 stream whose client does not take it. For HTTP/1, steadyConn does.
type answer struct {
	http.ResponseWriter
	progress time.Duration
	streams  bool
	status   int
	bytes    int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	defer a.bound()()
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// FlushError is what http.ResponseController looks for.
func (a *answer) FlushError() error {
	defer a.bound()()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a *answer) bound() (lift func()) {
	if !a.streams {
		return func() {}
	}
	c := http.NewResponseController(a.ResponseWriter)
	c.SetWriteDeadline(time.Now().Add(a.progress))
	return func() { c.SetWriteDeadline(time.Time{}) }
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// buffers keeps the proxy's copying buffers.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
