package perimeter

import "time"

// The limits of the edge and of the link (SYSTEM P6, T6). Those that an operator may need to move are fields of a Config, and
// the constant here is what the zero field means.
const (
	MaxHeaderBytes = 64 << 10 // of a request's head, request line included; one more is answered with 431
	MaxHeaderLines = 100      // of a request's head, Host included; one more is answered with 431
	MaxMethod      = 32       // bytes of a method's name

	HandshakeTimeout      = 5 * time.Second  // from accepting a connection to the end of its TLS handshake
	HeaderTimeout         = 10 * time.Second // from a request's first byte to the end of its head
	IdleTimeout           = 60 * time.Second // between two requests of one connection
	ProgressTimeout       = 30 * time.Second // of waiting for a client to send MinProgress, or to take what is written
	ResponseHeaderTimeout = 60 * time.Second // for the application to begin its answer

	MinProgress = 512 // bytes of a body that restart ProgressTimeout: a drip of single bytes does not

	DefaultMaxBody     = 64 << 20 // bytes of a request's body
	DefaultMaxConns    = 1024     // public connections at once
	DefaultMaxInFlight = 512      // requests on one link at once
	MaxHandshakes      = 256      // TLS handshakes at once; further connections wait in the kernel's queue
	MaxLinks           = 64       // live links to one edge
	MaxPlain           = 128      // connections at once to the listener that only redirects

	PingAfter    = 15 * time.Second // of silence on a link, after which its peer is asked for a sign of life
	PingTimeout  = 15 * time.Second // for that sign; then the link is dead
	DrainTimeout = 30 * time.Second // for requests in flight when either side stops

	DefaultLinks = 2                      // that a connector keeps
	MinBackoff   = 100 * time.Millisecond // before the first attempt to connect again, at most
	MaxBackoff   = 20 * time.Second       // before any later one, at most
	SteadyAfter  = 10 * time.Second       // of life, after which a link's loss starts again at MinBackoff

	MaxAssertion   = 2 << 10          // bytes of an assertion
	AssertionLife  = 30 * time.Second // from its issue
	AssertionSkew  = 5 * time.Second  // by which the clocks of edge and application may differ
	DefaultReplays = 1 << 18          // assertions remembered at once: 6500 requests a second, sustained
)

// timeouts are the limits in time, gathered so that a test can meet them without waiting a minute.
type timeouts struct {
	handshake, header, idle, progress, response, drain, ping, pong time.Duration
}

var defaultTimeouts = timeouts{
	handshake: HandshakeTimeout, header: HeaderTimeout, idle: IdleTimeout, progress: ProgressTimeout,
	response: ResponseHeaderTimeout, drain: DrainTimeout, ping: PingAfter, pong: PingTimeout,
}
