// Package http3 serves the edge's public handler over HTTP/3 (RFC 9114): the same requests, by QUIC instead of TCP. It is apart from
// the edge because it is a choice. QUIC is a second implementation of everything that faces the public, TLS apart, and whoever does
// not turn it on does not run it.
//
// # What it assumes has failed
//
// The network and everybody on it: packets with false addresses, streams that never get to the point, streams that are taken back as
// soon as they are opened, handshakes by the thousand. It assumes that the library beneath reads frames rightly; that the requests
// made of them mean one thing only is for the edge's handler to check, as it does for HTTP/2.
//
// # What it stops
//
//   - Heads that arrive slowly or never: each has HeaderTimeout (SYSTEM P6).
//   - Work without end for one client: streams, connections per address, connections altogether, handshakes and receive windows are
//     bounded, and a stream that was taken back counts until its handler has ended.
//   - False addresses under load: from RetryAbove handshakes on, a client must first show that it receives what is sent to its address
//     (RFC 9000 section 8.1.2).
//   - Replays: nothing is taken before the handshake is complete; 0-RTT is off (RFC 8446 section 8).
//   - A GET whose body nobody expects: whether there is one is known before the handler runs, as with HTTP/2.
//
// # What it does not stop
//
// Clients are not told by GOAWAY that the edge stops: the library sends one only to those who give it heads without a bound in time. A
// connection is served until it is quiet for a moment, and closed then; the rest ends with DrainTimeout. WebSockets do not come this
// way (RFC 9220): CONNECT is refused, and browsers use TCP for them. A client that ends its stream properly in the middle of a frame, and
// has not said how long its body is, gets it taken for complete: the library does not look (RFC 9114 section 7.1 wants it to). Whoever has
// more bandwidth than the edge has wins, as everywhere.
//
// On Linux, QUIC wants receive buffers larger than the usual: net.core.rmem_max of 7500000 or more. Below that it works, slower, and
// the library says so once on standard error.
//
// # How it is knocked out in a drill
//
// It is not started: browsers go on by TCP, as the address in Alt-Svc is only advice.
//
// # Example
//
//	server, err := http3.New(http3.Config{Handler: edge.Handler(), GetCertificate: keys.Edge.GetCertificate})
//	if err != nil {
//		return err
//	}
//	udp, err := net.ListenPacket("udp", ":443")
//	go server.Serve(ctx, udp)
//	edgeConfig.AltSvc = http3.AltSvc(443)
package http3

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// The limits. Those that an operator may need to move are fields of a Config, and the constant here is what the zero field means.
const (
	DefaultMaxHeaderBytes = 64 << 10 // of a request's head, counted as RFC 9114 section 4.2.2 does; more is answered with 431
	DefaultMaxConns       = 1024     // connections at once
	DefaultMaxPerAddress  = 128      // of them from one IPv4 address or IPv6 network of 64 bits: many people may share one
	DefaultMaxStreams     = 128      // requests of one connection at once, taken back ones included

	HandshakeTimeout = 5 * time.Second  // without a packet until the handshake is complete; twice that altogether
	HeaderTimeout    = 10 * time.Second // from a stream's beginning to the end of its head
	IdleTimeout      = 60 * time.Second // between two requests of one connection
	DeadAfter        = 30 * time.Second // without any packet, not even in answer to ours
	DrainTimeout     = 30 * time.Second // for requests in flight when we stop
	Linger           = time.Second      // after a response, in which its last packets may have to be sent again

	MaxHandshakes = 256 // at once; further ones are refused
	RetryAbove    = 64  // handshakes at once, from which addresses are validated first

	keepAlive      = 10 * time.Second // between two packets that keep the way of a quiet stream of events open
	maxUniStreams  = 8                // of a client: control, the two of QPACK, and some to grow
	firstWindow    = 256 << 10        // bytes in flight to us on a new connection
	firstStream    = 128 << 10        // and on one stream of it
	greatestWindow = 8 << 20          // to which a connection's window grows,
	greatestStream = 4 << 20          // and a stream's,
	WindowBudget   = 64 << 20         // while all of them together have grown by less than this
	maxAge         = 24 * time.Hour   // for which browsers remember that we are here
	resetPurpose   = "redoubt http/3 stateless reset"
	tokenPurpose   = "redoubt http/3 address validation"
)

// Config says what is served, and how much of it.
type Config struct {
	// Handler is the edge's. Required.
	Handler http.Handler
	// GetCertificate gives the public certificate, for each handshake anew. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Secret makes clients of a process that was killed notice at once when the next one is there, and lets edges of one name trust each
	// other's validations of addresses. It has 32 bytes or more; zero means that both last as long as the process.
	Secret []byte
	// MaxHeaderBytes bounds a request's head; zero means DefaultMaxHeaderBytes.
	MaxHeaderBytes int
	// MaxConns bounds connections at once; zero means DefaultMaxConns.
	MaxConns int
	// MaxPerAddress bounds those from one address; zero means DefaultMaxPerAddress.
	MaxPerAddress int
	// MaxStreams bounds requests of one connection at once; zero means DefaultMaxStreams.
	MaxStreams int
	// Log receives complaints about clients, at its lowest level, because anyone can cause them; nil discards it.
	Log *slog.Logger
}

// A Server serves HTTP/3. It serves once.
type Server struct {
	config     Config
	times      times
	log        *slog.Logger
	http3      *http3.Server
	crowd      *crowd
	windows    *budget
	handshakes atomic.Int64
	served     atomic.Bool
}

// times are the limits in time, and the number of handshakes, gathered so that a test can meet them.
type times struct {
	handshake, header, idle, dead, drain, linger time.Duration
	handshakes, retry                            int64
}

var usual = times{
	handshake: HandshakeTimeout, header: HeaderTimeout, idle: IdleTimeout, dead: DeadAfter, drain: DrainTimeout, linger: Linger,
	handshakes: MaxHandshakes, retry: RetryAbove,
}

// New checks the configuration and reports every problem at once.
func New(c Config) (*Server, error) { return newServer(c, usual) }

func newServer(c Config, t times) (*Server, error) {
	if problems := c.check(); len(problems) > 0 {
		return nil, fmt.Errorf("configuring HTTP/3: %w", errors.Join(problems...))
	}
	c = c.withDefaults()
	s := &Server{config: c, times: t, log: c.Log, crowd: newCrowd(c.MaxConns, c.MaxPerAddress), windows: newBudget(WindowBudget)}
	s.http3 = &http3.Server{
		Handler:        http.HandlerFunc(s.serve),
		MaxHeaderBytes: c.MaxHeaderBytes,
		IdleTimeout:    t.idle,
		Logger:         slog.New(loud{c.Log.Handler()}),
	}
	return s, nil
}

func (c Config) check() (problems []error) {
	if c.Handler == nil {
		problems = append(problems, errors.New("no handler is given"))
	}
	if c.GetCertificate == nil {
		problems = append(problems, errors.New("no public certificate is given"))
	}
	if len(c.Secret) != 0 && len(c.Secret) < 32 {
		problems = append(problems, errors.New("the secret has fewer than 32 bytes"))
	}
	if c.MaxHeaderBytes < 0 || c.MaxConns < 0 || c.MaxPerAddress < 0 || c.MaxStreams < 0 {
		problems = append(problems, errors.New("a limit is negative"))
	}
	return problems
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.MaxHeaderBytes, DefaultMaxHeaderBytes}, {&c.MaxConns, DefaultMaxConns}, {&c.MaxPerAddress, DefaultMaxPerAddress}, {&c.MaxStreams, DefaultMaxStreams},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// AltSvc is the value of the header by which responses over TCP say that HTTP/3 is served on this port (RFC 7838).
func AltSvc(port int) string {
	return fmt.Sprintf(`h3=":%d"; ma=%d`, port, int(maxAge.Seconds()))
}

// Serve serves on conn, a UDP socket, until ctx ends; then it waits for requests in flight, and returns nil. It closes conn.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	if s.served.Swap(true) {
		return errors.New("serving HTTP/3: it serves once")
	}
	transport, err := s.transport(conn)
	if err != nil {
		return err
	}
	defer transport.Close()
	listener, err := transport.Listen(s.tlsConfig(), s.quicConfig())
	if err != nil {
		return fmt.Errorf("serving HTTP/3: %w", err)
	}
	return s.accept(ctx, listener)
}

func (s *Server) transport(conn net.PacketConn) (*quic.Transport, error) {
	t := &quic.Transport{
		Conn:                conn,
		VerifySourceAddress: func(net.Addr) bool { return s.handshakes.Load() >= s.times.retry },
		ConnContext:         s.admit,
	}
	if len(s.config.Secret) == 0 {
		return t, nil
	}
	t.StatelessResetKey, t.TokenGeneratorKey = new(quic.StatelessResetKey), new(quic.TokenGeneratorKey)
	for purpose, key := range map[string][]byte{resetPurpose: t.StatelessResetKey[:], tokenPurpose: t.TokenGeneratorKey[:]} {
		derived, err := hkdf.Key(sha256.New, s.config.Secret, nil, purpose, len(key))
		if err != nil {
			return nil, fmt.Errorf("serving HTTP/3: %w", err)
		}
		copy(key, derived)
	}
	return t, nil
}

func (s *Server) tlsConfig() *tls.Config {
	return http3.ConfigureTLSConfig(&tls.Config{
		MinVersion:     tls.VersionTLS13, // QUIC has no other (RFC 9001 section 4.2)
		GetCertificate: s.config.GetCertificate,
	})
}

func (s *Server) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           s.times.handshake,
		MaxIdleTimeout:                 s.times.dead,
		KeepAlivePeriod:                min(keepAlive, s.times.dead/3),
		MaxIncomingStreams:             int64(s.config.MaxStreams),
		MaxIncomingUniStreams:          maxUniStreams,
		RequireStreamCreditRelease:     true, // a stream that was taken back counts until its turn has come
		InitialConnectionReceiveWindow: firstWindow,
		InitialStreamReceiveWindow:     firstStream,
		MaxConnectionReceiveWindow:     greatestWindow,
		MaxStreamReceiveWindow:         greatestStream,
		AllowConnectionWindowIncrease:  s.windows.take,
		Allow0RTT:                      false,
	}
}
