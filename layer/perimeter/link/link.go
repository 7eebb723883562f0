// Package link carries requests inwards on a connection that was dialled outwards, so that an application needs no port. The edge
// and the application each hold one end of a TLS 1.3 connection and speak frames on it: many requests at once, each a stream with
// its own credit, each head authenticated with a key that only these two ends of this connection have. It exists because what
// there was does not do it: HTTP/1.1 carries one request at a time and can be read in two ways, HTTP/2 stalls all streams when one
// fills the connection's window and spends most of its time in small writes, and neither binds who is asking to what is asked.
//
// # What it assumes has failed
//
// The network, and whatever TLS ends at that is not the other end of the link: somebody may hold certificates that both ends
// accept and carry bytes between them. One of the two ends may be in wrong hands: then the other must come to no harm beyond the
// requests that the bad one had to do with anyway. Clients do with streams whatever the public protocols let them.
//
// # What it stops
//
//   - Carrying a head to another connection, stream, direction or token: it is sealed with HMAC-SHA256 under a key exported
//     from the TLS session (RFC 8446 section 7.5), and judged before anything in it is read (SYSTEM P3, P5).
//   - Smuggling between edge and application: a head is one length-prefixed record with one reading, without a line ending in it.
//     Lengths, hosts and connection-specific lines have one place each, and cannot be among the lines (SYSTEM P6).
//   - Slow readers that fill the memory or hold up others: windows are per stream, grow with the bandwidth and the delay of the
//     path, and only within one budget of the process; there is no window of the connection that could run dry (SYSTEM T6).
//   - Floods: of streams, resets, pings, tokens, control messages, 1xx answers, crumbs of credit, and of anything that makes
//     this end write what the other does not read. Each has a limit in limits.go, and ends the link (SYSTEM T6).
//   - Requests lost in a restart: a link that drains says which requests nobody has looked at, finishes the others and lets the
//     edge close, so that nothing that is on its way is destroyed (SYSTEM P6).
//
// What a client does is never a fault of the link: one that goes away resets its stream and nothing else, however many do.
//
// # What it does not stop
//
// It does not know who may open a link: certificates and pins are package enrol's. It does not verify a token, which it carries
// and binds to its request: package assertion does. It believes its edge about the client's address, and that a request is well
// formed public HTTP: package edge refuses the rest. Bodies are protected by TLS alone. An edge in wrong hands can ask for
// anything in its own name, and an application in wrong hands can answer anything.
//
// # How it is knocked out in a drill
//
// The application is served without a link, its handler given requests that bear no Arrival: then there is no token to verify,
// and package perimeter's Verifier must refuse. Or the edge's seal is left out of an otherwise honest link: the first head ends it.
//
// # Example
//
//	// The application dials. Cork, beneath TLS, makes fewer system calls of what the link writes.
//	inside := tls.Client(link.Cork(conn), config)
//	err := inside.HandshakeContext(ctx)
//	key, err := link.ExportKey(inside.ConnectionState())
//	err = link.Serve(ctx, inside, key, handler, 30*time.Second, link.Config{Budget: budget}, nil)
//
//	// The edge has accepted, and asks.
//	l := link.Accept(inside, key, link.Config{Budget: budget})
//	resp, err := l.RoundTrip(r.Context(), &link.Request{Method: "GET", Scheme: "https", Host: r.Host, Target: r.RequestURI})
package link

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Config is for either end; the zero value is usable.
type Config struct {
	Budget      *Budget       // memory for what arrives, shared by the links of a process; nil means one of its own of DefaultBudget
	MaxStreams  int           // requests at once on this link; zero means DefaultMaxStreams
	PingAfter   time.Duration // zero means the constant, here and below
	PingTimeout time.Duration
	Patience    time.Duration // for the peer to take what is written
	Response    time.Duration // edge: for the application to begin its answer
	// Control is told each message that the peer sent by Conn.Control, in order; nil ends a link that carries one.
	Control func(c *Conn, message []byte)
	// Closed is told once, when the link is dead.
	Closed func(c *Conn, why error)
	Log    *slog.Logger
}

// A Request is what travels inwards.
type Request struct {
	Method, Scheme, Host string
	Target               string // path and query exactly as they came
	Header               http.Header
	ContentLength        int64              // -1: unknown
	Body                 io.Reader          // nil: none
	Trailer              func() http.Header // asked once Body has ended; may be nil
	Upgrade              string             // the protocol that the client asks to change to; empty for none
	Client               netip.Addr
	ID                   string                          // the edge's name for this request, at most MaxID bytes
	Token                string                          // who the edge let in; sent once per link
	Informed             func(status int, h http.Header) // told of each 1xx but 100 before the answer; may be nil
}

// A Response is what comes back. Body is never nil, and must be closed; after status 101 it is an io.ReadWriteCloser (which also
// has CloseWrite() error).
type Response struct {
	Status        int
	Header        http.Header
	ContentLength int64 // -1: unknown
	Body          io.ReadCloser
	Trailer       func() http.Header // valid once Body has ended
}
