package enrol

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// base is what both ends have in common: TLS 1.3 with a key exchange that outlasts quantum computers where both can, and no session
// that could be resumed, so that every connection shows its certificate (SYSTEM P3).
func base(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		CurvePreferences:            []tls.CurveID{tls.X25519MLKEM768, tls.X25519},
		NextProtos:                  protocols,
		DynamicRecordSizingDisabled: true, // package link decides how much goes at once
		SessionTicketsDisabled:      true, // with neither tickets nor a cache there is no early data (RFC 8446 section 4.2.10)
	}
}

// TLS is the configuration for connections whose ALPN is link.Protocol or Protocol. It gets its certificates anew for each handshake.
func (a *Authority) TLS() *tls.Config {
	c := base(link.Protocol, Protocol)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate() }
	c.ClientAuth = tls.RequestClientCert // who must have one, and which, is accept's decision
	c.VerifyConnection = a.accept
	return c
}

// accept decides about a connector's handshake. Before an invitation there is nothing to show: Enrol asks for it.
func (a *Authority) accept(s tls.ConnectionState) error {
	switch s.NegotiatedProtocol {
	case link.Protocol:
		_, _, err := a.identify(s, 0)
		return err
	case Protocol:
		return nil
	}
	return errors.New("the peer speaks neither " + link.Protocol + " nor " + Protocol)
}

// Peer says who is at the other end of an accepted link. The link must not outlast Expires.
func (a *Authority) Peer(s tls.ConnectionState) (Peer, error) {
	if s.NegotiatedProtocol != link.Protocol {
		return Peer{}, errors.New("the connection is not a link")
	}
	p, found, err := a.identify(s, 0)
	if err != nil {
		return Peer{}, err
	}
	a.saw(p, found.key, found.issuer)
	return p, nil
}

// found is what is known of a peer besides.
type found struct {
	key    keyEntry
	issuer Pin // of the certificate that it showed
}

// identify finds out who the peer is: by the authority's signature, the dates, the purpose, the name, and the key on record for it.
// Each would do by itself if the others were sound; none is believed alone.
func (a *Authority) identify(s tls.ConnectionState, grace time.Duration) (Peer, found, error) {
	if s.Version != tls.VersionTLS13 || s.DidResume || len(s.PeerCertificates) != 1 {
		return Peer{}, found{}, errors.New("the peer shows no certificate, or more than one")
	}
	r, err := a.record()
	if err != nil {
		return Peer{}, found{}, err
	}
	leaf, now := s.PeerCertificates[0], a.now()
	if now.After(leaf.NotAfter) && !now.After(leaf.NotAfter.Add(grace)) {
		now = leaf.NotAfter
	}
	by := r.current
	deployment, id, err := holder(leaf, by.cert, connectorPart, now)
	if err != nil && r.next != nil {
		by = r.next
		deployment, id, err = holder(leaf, by.cert, connectorPart, now)
	}
	if err != nil {
		return Peer{}, found{}, err
	}
	if deployment != r.deployment || !isID(id) {
		return Peer{}, found{}, errors.New("the peer's certificate is not in a name of this deployment")
	}
	p := Peer{ID: id, Pin: PinOf(leaf), Expires: leaf.NotAfter}
	k, err := a.enrolled(&p)
	return p, found{k, by.pin}, err
}

var (
	errNotEnrolled = errors.New("the connector is not enrolled, or was revoked")
	errOtherKey    = errors.New("the connector's key is not one on record")
)

// enrolled looks the peer up, and completes it.
func (a *Authority) enrolled(p *Peer) (keyEntry, error) {
	c, err := a.connector(p.ID)
	if errors.Is(err, state.ErrNone) {
		return keyEntry{}, errNotEnrolled
	}
	if err != nil {
		return keyEntry{}, err
	}
	k, err := a.key(p.ID, p.Pin)
	if errors.Is(err, state.ErrNone) || err == nil && k.Pin != p.Pin {
		return keyEntry{}, errOtherKey
	}
	p.Application = c.Application
	return k, err
}

func isID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == 16 && hex.EncodeToString(b) == id
}

// certificate is this edge's own towards connectors. It lives in memory only, and is made again when half of its life is over, when
// the clock has been put back, and when the authority has changed: none of that needs the disk.
func (a *Authority) certificate() (*tls.Certificate, error) {
	r, err := a.record()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if l := a.leaf; l != nil && !now.Before(l.Leaf.NotBefore) && l.Leaf.NotAfter.Sub(now) > a.config.Life/2 && string(l.Certificate[1]) == string(r.current.cert.Raw) {
		return l, nil
	}
	if a.leaf, err = r.current.pair(r.deployment, a.config.Edge, now, a.config.Life); err != nil {
		return nil, err
	}
	return a.leaf, nil
}

// pair makes an edge's certificate, with the authority's after it: by that one's key a connector knows it.
func (s *signer) pair(deployment, edge string, now time.Time, life time.Duration) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := s.issue(key.Public(), deployment, edgePart, edge, now, life)
	if err != nil {
		return nil, err
	}
	return newPair(key, der, s.cert.Raw)
}

func pinned(pins []Pin, got Pin) bool {
	found := 0
	for _, p := range pins {
		found |= subtle.ConstantTimeCompare(p[:], got[:])
	}
	return found == 1
}

// edgeOf checks that the other end is an edge, and returns of which deployment: the authority's key is pinned, and the certificate is an
// edge's, of this deployment (of any, if that is empty).
func edgeOf(s tls.ConnectionState, protocol string, pins []Pin, deployment string, now time.Time) (string, error) {
	if s.Version != tls.VersionTLS13 || s.DidResume || s.NegotiatedProtocol != protocol {
		return "", errors.New("the other end does not speak " + protocol)
	}
	if len(s.PeerCertificates) != 2 || !pinned(pins, PinOf(s.PeerCertificates[1])) {
		return "", ErrStranger
	}
	whose, _, err := holder(s.PeerCertificates[0], s.PeerCertificates[1], edgePart, now)
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return "", fmt.Errorf("%w (%w)", ErrClock, err)
	}
	if err != nil {
		return "", err
	}
	if deployment != "" && whose != deployment {
		return "", ErrStranger
	}
	return whose, nil
}

// ErrStranger means that who answered at an edge's address is not an edge of this deployment.
var ErrStranger = errors.New("who answers there is not an edge of this deployment: somebody stands in between, or the address is another's")

// ErrClock means that the two ends do not agree on the time.
var ErrClock = errors.New("the edge's certificate is not in force: perhaps this machine's clock is wrong, or the edge's")
