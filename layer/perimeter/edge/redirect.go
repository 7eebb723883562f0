package edge

import (
	"net"
	"net/http"
	"sync"

	"github.com/redoubt-dev/redoubt/layer"
)

// plainServer answers on the port without TLS. It only ever names configured origins: a Host header is a claim like any
// other, and a redirect to it would be an open one. SYSTEM P2.
func (e *Edge) plainServer() *http.Server {
	var h http.Handler = http.HandlerFunc(e.redirect)
	if e.config.PlainHandler != nil {
		h = e.config.PlainHandler(h)
	}
	return &http.Server{
		Handler:           h,
		MaxHeaderBytes:    MaxHeaderBytes - 4096,
		ReadHeaderTimeout: e.times.header,
		ReadTimeout:       e.times.header,
		WriteTimeout:      e.times.header,
		IdleTimeout:       e.times.idle,
		ErrorLog:          quiet(e.log),
	}
}

// redirect sends readers on. Who has already sent data in the clear is told so, not helped to do it again.
func (e *Edge) redirect(w http.ResponseWriter, r *http.Request) {
	v := &visit{id: newID()}
	v.answer.ResponseWriter = w
	d := deny(http.StatusForbidden, layer.Forbidden, "plain", "This address must be reached by HTTPS.")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if why := checkTarget(r.RequestURI); why != "" {
			d = malformed("target", why)
		} else {
			d.status, d.move = http.StatusPermanentRedirect, e.originFor(r.Host)+r.RequestURI
		}
	}
	e.render(r, v, d)
}

// originFor is the origin whose host was asked for, whatever its port, or else the first.
func (e *Edge) originFor(host string) string {
	name := withoutPort(bareHost(host))
	for _, a := range e.config.Applications {
		for _, origin := range append([]string{a.Origin}, a.Aliases...) {
			if known, _ := originHost(origin); withoutPort(known) == name {
				return e.sites[known].origin
			}
		}
	}
	return e.first.origin
}

// A crowd is a listener with a limit on connections at once; more of them wait in the kernel's queue.
type crowd struct {
	net.Listener
	places chan struct{}
}

func newCrowd(l net.Listener, limit int) *crowd {
	return &crowd{l, make(chan struct{}, limit)}
}

func (c *crowd) Accept() (net.Conn, error) {
	c.places <- struct{}{}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.places
		return nil, err
	}
	return &crowdConn{Conn: conn, leave: sync.OnceFunc(func() { <-c.places })}, nil
}

type crowdConn struct {
	net.Conn
	leave func()
}

func (c *crowdConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
