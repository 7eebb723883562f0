package perimeter

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"
)

// The servers, by name.
const (
	directServer = "direct"         // the application, in TLS
	originServer = "origin"         // the application, without TLS, for those who forward to it
	proxyServer  = "reverse-proxy"  // httputil.ReverseProxy
	outerServer  = "inverted-outer" // httputil.ReverseProxy over a connection that was dialled from within
	innerServer  = "inverted-inner" // the application, which dials that connection
	edgeServer   = "edge"
	appServer    = "application" // the application as the link's end
	joinServer   = "connector"   // forwards from the link to the origin
	relayServer  = "relay"       // a long line
)

// A task is what a server's process is told on its standard input. Each question that follows is answered with its usage.
type task struct {
	Server  string        `json:"server"`
	Profile string        `json:"profile"` // file for a CPU profile; empty for none
	Public  pair          `json:"public"`
	Listen  string        `json:"listen"` // an address to have again; empty for any
	To      string        `json:"to"`     // where it forwards, or dials
	Delay   time.Duration `json:"delay"`  // of a relay
	redoubt
}

// ready is what the process says when it can be asked.
type ready struct {
	Address string `json:"address"`
	Hop     string `json:"hop"`
}

// A question asks for the usage. There is only one.
type question struct{}

const maxTask = 4 << 20 // bytes of standard input: a task, and the questions

// Serve is the life of one server under measurement. Run starts it, and its standard input ends it.
func Serve(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	orders := json.NewDecoder(io.LimitReader(stdin, maxTask))
	var t task
	if err := orders.Decode(&t); err != nil {
		return errors.New("the task on standard input is not readable: `redoubt bench perimeter` starts this command")
	}
	said, stop, err := t.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if t.Profile != "" {
		end, err := profile(t.Profile)
		if err != nil {
			return err
		}
		defer end()
	}
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(said); err != nil {
		return err
	}
	asked := make(chan struct{})
	go func() { answer(orders, answers); close(asked) }()
	select {
	case <-asked:
	case <-ctx.Done():
	}
	return nil
}

// answer ends with the questions.
func answer(questions *json.Decoder, answers *json.Encoder) {
	for {
		var q question
		if questions.Decode(&q) != nil {
			return
		}
		answers.Encode(ownUsage()) // nobody there to read it: then standard input ends too
	}
}

func profile(path string) (end func(), err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("making a profile: %w", err), file.Close())
	}
	return func() { pprof.StopCPUProfile(); file.Close() }, nil
}

func (t task) serve(ctx context.Context) (ready, func(), error) {
	switch t.Server {
	case directServer:
		return t.public(application())
	case originServer:
		return t.plain(application())
	case proxyServer:
		return t.public(reverseProxy(t.To, pooled()))
	case outerServer:
		return t.outer()
	case innerServer:
		return t.inner(ctx)
	case edgeServer:
		return t.edge(ctx)
	case appServer:
		return t.within(ctx)
	case joinServer:
		return t.joined(ctx)
	case relayServer:
		return t.relay()
	}
	return ready{}, nil, fmt.Errorf("there is no server %q", t.Server)
}

// listen opens the port of a server, the same again if it is restarted.
func (t task) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", or(t.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// plain serves within this machine.
func (t task) plain(h http.Handler) (ready, func(), error) {
	l, err := t.listen()
	if err != nil {
		return ready{}, nil, err
	}
	s := newServer(h)
	go s.Serve(l)
	return ready{Address: l.Addr().String()}, func() { s.Close() }, nil
}

// public serves HTTP/1.1 in TLS 1.3, as every contender's outside does.
func (t task) public(h http.Handler) (ready, func(), error) {
	secure, err := t.Public.server("http/1.1")
	if err != nil {
		return ready{}, nil, err
	}
	l, err := t.listen()
	if err != nil {
		return ready{}, nil, err
	}
	s := newServer(h)
	go s.Serve(tls.NewListener(l, secure))
	return ready{Address: l.Addr().String()}, func() { s.Close() }, nil
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
}

func (t task) relay() (ready, func(), error) {
	l, err := t.listen()
	if err != nil {
		return ready{}, nil, err
	}
	go relay{to: t.To, delay: t.Delay}.serve(l)
	return ready{Address: l.Addr().String()}, func() { l.Close() }, nil
}
