package http3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// greeted is the key of the function that ends a handshake's place, in a connection's context.
type greeted struct{}

var errBusy = errors.New("too many handshakes")

// admit takes a place for a handshake. It is called before anything is computed for the client, whose address may be false.
func (s *Server) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if s.handshakes.Add(1) > s.times.handshakes {
		s.handshakes.Add(-1)
		return nil, errBusy
	}
	done := sync.OnceFunc(func() { s.handshakes.Add(-1) })
	context.AfterFunc(ctx, done) // the handshake failed, or the connection is over
	return context.WithValue(ctx, greeted{}, done), nil
}

// accept takes connections until ctx ends or the socket is gone, and returns when all of them have ended.
func (s *Server) accept(ctx context.Context, l *quic.Listener) error {
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	var conns sync.WaitGroup
	var err error
	for {
		var c *quic.Conn
		if c, err = l.Accept(stopping); err != nil {
			break
		}
		if done, ok := c.Context().Value(greeted{}).(func()); ok {
			done()
		}
		conns.Go(func() { s.welcome(stopping, c) })
	}
	l.Close()
	failed := ctx.Err() == nil
	stop()
	s.await(&conns)
	if failed {
		return fmt.Errorf("serving HTTP/3: %w", err)
	}
	return nil
}

// await waits for connections to end, which they do by themselves with the time to drain; a handler that does not notice is left alone.
func (s *Server) await(conns *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() { conns.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(s.times.drain + s.times.linger + time.Second):
		s.log.Warn("handlers still run after their connections have ended")
	}
}

// welcome serves one connection, if there is a place for it.
func (s *Server) welcome(stopping context.Context, c *quic.Conn) {
	leave, ok := s.crowd.enter(c.RemoteAddr())
	if !ok {
		s.log.Debug("too many connections", "client", c.RemoteAddr().String())
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "") // browsers go on by TCP
		return
	}
	defer leave()
	defer s.windows.open(c)()
	raw, err := s.http3.NewRawServerConn(c)
	if err != nil {
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "")
		return
	}
	v := &visit{server: s, conn: c, raw: raw, places: make(chan struct{}, s.config.MaxStreams)}
	v.ended.Store(time.Now().Add(-s.times.linger).UnixNano())
	v.serve(stopping)
}

// A visit is one client's connection.
type visit struct {
	server  *Server
	conn    *quic.Conn
	raw     *http3.RawServerConn
	places  chan struct{} // one for each handler
	running sync.WaitGroup
	active  atomic.Int64
	ended   atomic.Int64 // when the last handler did
}

// serve hands streams to the handler until the connection is over.
func (v *visit) serve(stopping context.Context) {
	v.running.Go(v.others)
	stop := context.AfterFunc(stopping, func() { v.drain() })
	defer stop()
	for {
		str, err := v.conn.AcceptStream(v.conn.Context())
		if err != nil {
			break
		}
		select {
		case v.places <- struct{}{}:
		case <-v.conn.Context().Done():
		}
		if v.conn.Context().Err() != nil {
			break
		}
		v.active.Add(1)
		str.SetReadDeadline(time.Now().Add(v.server.times.header)) // until Server.serve, which runs when the head is complete
		v.running.Go(func() { v.handle(str) })
	}
	v.running.Wait()
}

func (v *visit) handle(str *quic.Stream) {
	defer func() {
		v.ended.Store(time.Now().UnixNano())
		v.active.Add(-1)
		<-v.places
	}()
	v.raw.HandleRequestStream(str)
}

// others takes the streams that carry no requests. A client may have maxUniStreams of them.
func (v *visit) others() {
	for {
		str, err := v.conn.AcceptUniStream(v.conn.Context())
		if err != nil {
			return
		}
		v.running.Go(func() { v.raw.HandleUnidirectionalStream(str) })
	}
}

// drain closes the connection as soon as it is quiet, and in any case when its time is over. What has been answered a moment ago may
// have to be sent again, so that quiet means more than that no handler runs.
func (v *visit) drain() {
	over := time.NewTimer(v.server.times.drain)
	defer over.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-v.conn.Context().Done():
			return
		case <-over.C:
			v.close()
			return
		case <-look.C:
			if v.active.Load() == 0 && time.Since(time.Unix(0, v.ended.Load())) >= v.server.times.linger {
				v.close()
				return
			}
		}
	}
}

func (v *visit) close() { v.raw.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") }

// serve makes of a request what the handler knows from HTTP/2, and calls it. The head is complete: from here on, how long things may
// take is the handler's to say.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		// It would be a tunnel, or a WebSocket in a form that the edge does not speak (RFC 9220).
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	if !s.settle(w, r) {
		w.WriteHeader(http.StatusRequestTimeout)
		return
	}
	s.config.Handler.ServeHTTP(w, r)
}
