package perimeter

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// LinkProtocol is the ALPN name (RFC 7301) by which a connector's connection is told from a browser's on the same port.
const LinkProtocol = "redoubt-link/1"

// A Pin is the SHA-256 of a certificate's SubjectPublicKeyInfo. The ends of a link know each other by it alone: no name, date
// or authority in the certificate is believed (SYSTEM P3).
type Pin [sha256.Size]byte

// PinOf returns the pin of the key in a certificate.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String returns the pin in the form used by RFC 7469: it is not a secret.
func (p Pin) String() string { return "sha256/" + base64.StdEncoding.EncodeToString(p[:]) }

var errPin = errors.New("the peer's key is not one of the pinned keys")

// pinned returns a tls.Config.VerifyConnection that accepts a peer only for holding one of the pinned keys: two at a time while
// one replaces the other. Unlike VerifyPeerCertificate, it also runs when a session is resumed.
func pinned(pins []Pin) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if s.NegotiatedProtocol != LinkProtocol {
			return errors.New("the peer does not speak " + LinkProtocol)
		}
		if len(s.PeerCertificates) == 0 {
			return errors.New("the peer has no certificate")
		}
		got, known := PinOf(s.PeerCertificates[0]), 0
		for _, want := range pins {
			known |= subtle.ConstantTimeCompare(got[:], want[:])
		}
		if known != 1 {
			return errPin
		}
		return nil
	}
}

// linkTLS is what both ends of a link share: TLS 1.3, no session tickets, the peer's key pinned.
func linkTLS(own tls.Certificate, peers []Pin) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{own},
		NextProtos:             []string{LinkProtocol},
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAnyClientCert, // which one is VerifyConnection's decision
		InsecureSkipVerify:     true,                     // no authority is asked; VerifyConnection compares the key
		VerifyConnection:       pinned(peers),
	}
}

// checkLink reports what is missing for either end of a link.
func checkLink(own tls.Certificate, peers []Pin) (problems []error) {
	if len(own.Certificate) == 0 || own.PrivateKey == nil {
		problems = append(problems, errors.New("the link's certificate is missing or has no key"))
	}
	if len(peers) == 0 {
		problems = append(problems, errors.New("no peer's key is pinned: nobody could link"))
	}
	for _, p := range peers {
		if p == (Pin{}) {
			problems = append(problems, fmt.Errorf("a pinned key is empty"))
		}
	}
	return problems
}
