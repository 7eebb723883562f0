package perimeter

import (
	"net/http"
	"time"
)

// What tests of the outside may touch of the inside.
var (
	CheckTarget = checkTarget
	IsClaim     = isClaim
	TargetClaim = targetClaim
)

// Times are the limits in time that a test shortens; zero leaves one as it is.
type Times struct{ Handshake, Header, Idle, Progress, Response, Drain, Ping time.Duration }

func (t Times) apply() timeouts {
	d := defaultTimeouts
	for _, x := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&d.handshake, t.Handshake}, {&d.header, t.Header}, {&d.idle, t.Idle}, {&d.progress, t.Progress}, {&d.response, t.Response}, {&d.drain, t.Drain}, {&d.ping, t.Ping}, {&d.pong, t.Ping}} {
		if x.from != 0 {
			*x.to = x.from
		}
	}
	return d
}

// NewEdgeIn is NewEdge with other limits in time.
func NewEdgeIn(c EdgeConfig, t Times) (*Edge, error) { return newEdge(c, t.apply()) }

// NewConnectorIn is NewConnector with other limits in time.
func NewConnectorIn(c ConnectorConfig, t Times) (*Connector, error) {
	return newConnector(c, t.apply())
}

// Links is how many links the edge has.
func (e *Edge) Links() int { return e.pool.count() }

// Judge runs a guard over b and reports how many bytes pass and why the rest does not.
func Judge(b []byte) (good int, reason string, betweenRequests bool) {
	g := &guard{refused: func(r string) { reason = r }}
	good = g.follow(b)
	return good, reason, g.state == inRequestLine && len(g.line) == 0
}

// Sign returns the signing of assertions alone, for measuring.
func Sign(k SigningKey, audience string) (func(r *http.Request, id, client string) (string, error), error) {
	s, err := newSigner(k, audience)
	if err != nil {
		return nil, err
	}
	return s.sign, nil
}

// Open returns the verification of assertions without their being used up, for measuring.
func Open(c VerifierConfig) (func(token string) error, error) {
	v, err := NewVerifier(c)
	if err != nil {
		return nil, err
	}
	return func(token string) error {
		_, err := v.open(token)
		return err
	}, nil
}
