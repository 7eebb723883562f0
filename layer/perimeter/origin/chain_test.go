package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

// A chain is the way from a client to an application: an edge's end without its checks, a link, the Verifier and an Origin.
type chain struct {
	*httptest.Server
	t       testing.TB
	office  *office
	link    *link.Conn
	ids     atomic.Int64
	refused atomic.Int64 // by the Verifier
}

func newChain(t testing.TB, o *office, target string, changes ...func(*origin.Config)) *chain {
	t.Helper()
	c := &chain{t: t, office: o}
	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{
		Keys: o.published, Audience: "shop", Foreign: true,
		Refuse: func(w http.ResponseWriter, _ *http.Request, why *layer.Refusal) {
			c.refused.Add(1)
			http.Error(w, why.Public, http.StatusUnauthorized)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	forward := newOrigin(t, target, append(changes, func(c *origin.Config) {
		c.Visitor = func(ctx context.Context) (origin.Visitor, bool) {
			v, ok := perimeter.From(ctx)
			return origin.Visitor{Client: v.ClientIP, Scheme: v.Scheme, Host: v.Host, ID: v.RequestID}, ok
		}
	})...)
	outside, inside := pair(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		link.Serve(ctx, inside, link.Key{1}, verifier.Handler(forward), time.Second, link.Config{}, nil)
	}()
	c.link = link.Accept(outside, link.Key{1}, link.Config{})
	c.Server = httptest.NewServer(http.HandlerFunc(c.forward))
	t.Cleanup(func() { c.Server.Close(); c.link.Close(); stop(); <-served })
	return c
}

func pair(t testing.TB) (outside, inside net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if inside, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if outside, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return outside, inside
}

// request is r as the edge sends it down the link.
func (c *chain) request(w http.ResponseWriter, r *http.Request) (*link.Request, error) {
	id := fmt.Sprintf("request-%d", c.ids.Add(1))
	facts := assertion.RequestFacts{Method: r.Method, Host: "app.test", Target: r.RequestURI, ID: id, Client: netip.MustParseAddr("192.0.2.1")}
	header, err := c.office.Header("shop", facts, alice)
	if err != nil {
		return nil, err
	}
	token, err := c.office.Token("shop", c.link.ID(), alice)
	if err != nil {
		return nil, err
	}
	h := r.Header.Clone()
	h.Set(assertion.HeaderName, header)
	for name := range r.Trailer { // net/http has taken them out
		h.Add("Trailer", name)
	}
	return &link.Request{
		Method: r.Method, Scheme: "https", Host: "app.test", Target: r.RequestURI, Header: h, ContentLength: r.ContentLength, Body: r.Body,
		Trailer: func() http.Header { return r.Trailer }, Upgrade: r.Header.Get("Upgrade"), Client: facts.Client, ID: id, Token: token,
		Informed: func(status int, h http.Header) {
			maps.Copy(w.Header(), h)
			w.WriteHeader(status)
			clear(w.Header())
		},
	}, nil
}

func (c *chain) forward(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	request, err := c.request(w, r)
	if err != nil {
		c.t.Error(err)
		return
	}
	answer, err := c.link.RoundTrip(r.Context(), request)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			c.t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	if answer.Status == http.StatusSwitchingProtocols {
		c.upgrade(w, answer)
		return
	}
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.Status)
	for part := make([]byte, 32<<10); ; {
		n, err := answer.Body.Read(part)
		w.Write(part[:n])
		http.NewResponseController(w).Flush()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if answer.Trailer != nil {
		for name, values := range answer.Trailer() {
			w.Header()[http.TrailerPrefix+name] = values
		}
	}
}

func (c *chain) upgrade(w http.ResponseWriter, answer *link.Response) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n")
	h := answer.Header.Clone()
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Write(conn)
	fmt.Fprint(conn, "\r\n")
	duplex := answer.Body.(interface {
		io.ReadWriteCloser
		CloseWrite() error
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		read, _ := buffered.Peek(buffered.Reader.Buffered())
		io.Copy(duplex, io.MultiReader(bytes.NewReader(read), conn)) // not through net/http, whose context would end with this direction
		duplex.CloseWrite()
	}()
	io.Copy(conn, duplex)
	conn.(*net.TCPConn).CloseWrite()
	<-done
}
