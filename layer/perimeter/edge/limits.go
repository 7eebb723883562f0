package edge

import "time"

// The limits of the edge (SYSTEM P6, T6). Those that an operator may need to move are fields of Config, and the constant here is
// what the zero field means. The link's own limits are package link's.
const (
	MaxHeaderBytes = 64 << 10 // of a request's head, request line included; one more is answered with 431
	MaxHeaderLines = 100      // of a request's head, Host included; one more is answered with 431
	MaxMethod      = 32       // bytes of a method's name
	MaxInformed    = 5        // interim answers (1xx) that are passed on to one request; further ones are dropped

	HandshakeTimeout = 5 * time.Second  // from accepting a connection to the end of its TLS handshake
	HeaderTimeout    = 10 * time.Second // from a request's first byte to the end of its head
	IdleTimeout      = 60 * time.Second // between two requests of one connection
	ProgressTimeout  = 30 * time.Second // of waiting for a client to send MinProgress, or to take what is written
	ResponseTimeout  = 60 * time.Second // for an application to begin its answer, if it says nothing else
	SilenceTimeout   = 5 * time.Minute  // of an upgraded connection on which neither side says anything

	MinProgress = 512 // bytes of a body that restart ProgressTimeout: a drip of single bytes does not

	DefaultMaxBody       = 64 << 20 // bytes of a request's body
	DefaultMaxConns      = 8192     // public connections at once; for one more, the one that has idled longest goes
	DefaultMaxPerAddress = 512      // of those, from one address (IPv6: one /64)
	DefaultMaxInFlight   = 512      // requests on one link at once
	MaxHandshakes        = 1024     // connections whose TLS handshake is not over; for one more, the one that has taken longest goes
	MaxStreams           = 128      // requests at once on one HTTP/2 connection
	DefaultBudget        = 64 << 20 // bytes of memory for what arrives from all applications
	MaxLinks             = 64       // live links of one application
	MaxEnrolments        = 16       // connections at once on which a connector is enrolled
	MaxPlain             = 128      // connections at once to the listener that only redirects
	MaxControls          = 4        // messages of one link that wait to be answered; with one more, the link ends
	MaxLimited           = 1 << 16  // client addresses whose rate is remembered; for one more, the one unseen for longest is forgotten
	MaxLines             = 4096     // access lines that wait to be written; further ones are dropped and counted

	LinkPatience = 2 * time.Second  // for which a request waits for a link when there is none
	LinkRecent   = 10 * time.Second // after a link's end, or the edge's start, in which it is worth waiting at all
	MaxKept      = 64 << 10         // bytes of a body that are kept for a second link, until there is an answer
	MaxWaiting   = 1024             // requests of one application that wait for a link at once
	MaxAttempts  = 3                // links that one request is sent down, where a further attempt can do no harm

	LastCall     = 500 * time.Millisecond // for HTTP/1 connections, when the edge stops, to ask once more: their request may be on its way
	Recheck      = time.Minute            // after which the gate is asked again about a request that still lasts
	DrainTimeout = 30 * time.Second       // for requests in flight when the edge stops
)

// timeouts are the limits in time, gathered so that a test can meet them without waiting a minute.
type timeouts struct {
	handshake, header, idle, progress, silence, drain, patience, recent, recheck time.Duration
	response, ping, pong                                                         time.Duration // zero: the application's, the link's own
}

var defaultTimeouts = timeouts{
	handshake: HandshakeTimeout, header: HeaderTimeout, idle: IdleTimeout, progress: ProgressTimeout, silence: SilenceTimeout,
	drain: DrainTimeout, patience: LinkPatience, recent: LinkRecent, recheck: Recheck,
}
