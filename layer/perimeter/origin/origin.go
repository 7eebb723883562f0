// Package origin is the way from a link to an application that speaks HTTP/1.1 on this machine and knows nothing of Redoubt: it
// forwards each verified request to that application and its answer back. `redoubt connect` puts it behind the Verifier, so that any
// program in any language has no port that the world can reach (SYSTEM P7).
//
// # What it assumes has failed
//
// The application: it answers late, never, too much, or what can be read in two ways; it closes connections when it likes. The edge's
// checks: what would split a request, or name a client that the edge does not know, is refused or dropped here again.
//
// # What it stops
//
//   - Forwarding headers of a client's: it says itself who asks, in names that applications know (SYSTEM P5).
//   - One request or answer read as two: framing is made anew, and a connection that carried a body, or on which anything is left
//     over, is not used again.
//   - Sending a request twice that may not be: only a safe one without a body is tried again, and only if a kept connection was gone.
//   - An application that takes too long, or more requests at once than it may get: 504 and 503 (SYSTEM T6).
//   - Becoming a way into the network: an address that is not this machine's is refused when it is configured and when it is dialled.
//
// # What it does not stop
//
// Other programs on this machine may ask the application directly, if its port is open to them: an application that must know who
// asks verifies the assertion, or listens on a Unix socket that the connector alone may open. Who may ask for what was for the edge
// to decide.
//
// It is a client of its own, and not httputil.ReverseProxy over http.Transport, which is measured beside it (BenchmarkForward): of a
// small request it takes about half the time, because no goroutines hand it over. Messages are read by net/http.
//
// # How it is knocked out in a drill
//
// It decides about nobody. Without the Verifier before it, it has no visitor, and refuses.
//
// # Example
//
//	target, err := url.Parse("http://127.0.0.1:3000")
//	forward, err := origin.New(origin.Config{Target: target, Visitor: func(ctx context.Context) (origin.Visitor, bool) {
//		v, ok := perimeter.From(ctx)
//		return origin.Visitor{Client: v.ClientIP, Scheme: v.Scheme, Host: v.Host, ID: v.RequestID}, ok
//	}})
//	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: c, Handler: verifier.Handler(forward)})
package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The limits, and what the zero fields of Config mean (SYSTEM T6).
const (
	DefaultMaxConns = 1024             // requests and WebSockets at the application at once
	DefaultResponse = 60 * time.Second // for the application to begin its answer, once it has the whole request
	DefaultIdle     = 10 * time.Minute // of silence in the middle of an answer or in a WebSocket

	MaxIdleConns    = 256              // connections kept for the next request
	MaxHead         = 256 << 10        // bytes of an answer's head
	MaxInformed     = 16               // interim answers (1xx) to one request
	DialTimeout     = 5 * time.Second  // for a connection to the application
	SlotTimeout     = 5 * time.Second  // for a place among MaxConns
	KeepIdle        = 30 * time.Second // that a connection is kept without a request
	lastWords       = 50 * time.Millisecond
	bufferSize      = 32 << 10
	headBuffer      = 4 << 10
	maxDeclaredKeep = 3600 // seconds; what an application says beyond is not believed
)

// A Visitor is what the edge knows about a request, once verified.
type Visitor struct {
	Client netip.Addr // of the client's connection to the edge
	Scheme string     // by which the client reached the edge
	Host   string     // that the client asked for
	ID     string     // in the edge's log
}

// Config says where the application is.
type Config struct {
	// Target is the application: http://127.0.0.1:3000, http://localhost:3000 or unix:///run/app.sock, without a path. Required.
	Target *url.URL
	// Visitor gives the verified facts about the request that a context belongs to; a request without is refused. Required.
	Visitor func(context.Context) (Visitor, bool)
	// Host is sent to the application instead of the host that the client asked for; empty keeps the client's.
	Host string
	// InsecureRemote permits a target on another machine. The way there is neither encrypted nor authenticated: whoever is on it reads
	// and writes every request. False refuses such a target.
	InsecureRemote bool
	// MaxConns is how many requests the application gets at once; zero means DefaultMaxConns. Further ones wait for SlotTimeout.
	MaxConns int
	// Response bounds how long the application may take to begin its answer; zero means DefaultResponse.
	Response time.Duration
	// Idle bounds silence in the middle of an answer; zero means DefaultIdle.
	Idle time.Duration
	// Log receives why requests failed; nil discards it.
	Log *slog.Logger
}

// An Origin forwards to one application. It may be used concurrently.
type Origin struct {
	config Config
	pool   *pool
}

// New checks the configuration and reports every problem at once. The application need not be there yet.
func New(c Config) (*Origin, error) {
	network, address, problems := place(c.Target, c.InsecureRemote)
	if c.Visitor == nil {
		problems = append(problems, errors.New("nothing is given that knows the visitor"))
	}
	if c.Host != "" && !visible(c.Host) {
		problems = append(problems, errors.New("the host to send is not one"))
	}
	if c.MaxConns < 0 || c.Response < 0 || c.Idle < 0 {
		problems = append(problems, errors.New("a limit is negative"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("configuring origin: %w", errors.Join(problems...))
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.Response == 0 {
		c.Response = DefaultResponse
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Origin{config: c, pool: newPool(network, address, c)}, nil
}

// Close ends the connections that are kept. Requests under way go on; those that come still are served.
func (o *Origin) Close() error {
	o.pool.drop()
	return nil
}

// place says where the target is, and what is wrong with it.
func place(target *url.URL, remote bool) (network, address string, problems []error) {
	if target == nil {
		return "", "", []error{errors.New("the target is missing")}
	}
	if target.User != nil || target.RawQuery != "" || target.Fragment != "" {
		problems = append(problems, errors.New("the target has more than an address"))
	}
	switch target.Scheme {
	case "unix":
		if target.Host != "" || !strings.HasPrefix(target.Path, "/") || len(target.Path) > 100 {
			problems = append(problems, errors.New("the target is not of the form unix:///path, of at most 100 bytes"))
		}
		return "unix", target.Path, problems
	case "http":
		if target.Path != "" && target.Path != "/" {
			problems = append(problems, errors.New("the target has a path: paths are forwarded as they come"))
		}
		ip, err := netip.ParseAddr(target.Hostname())
		local := err == nil && ip.IsLoopback() || target.Hostname() == "localhost"
		switch {
		case target.Hostname() == "":
			problems = append(problems, errors.New("the target has no host"))
		case !local && !remote:
			problems = append(problems, errors.New("the target is not on this machine: the way there would be neither encrypted nor authenticated"))
		}
		port := target.Port()
		if port == "" {
			port = "80"
		}
		return "tcp", net.JoinHostPort(target.Hostname(), port), problems
	}
	return "", "", append(problems, errors.New("the target is neither http://host:port nor unix:///path"))
}
