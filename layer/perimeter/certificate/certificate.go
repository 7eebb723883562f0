// Package certificate gives the edge the certificates that it shows the public: from files that somebody else renews, or, by its
// folder acme, from an authority that is asked for them. It is apart from the edge because a certificate's life ends on a date, not
// with a release: what renews it must work while everything else stays as it is.
//
// # What it assumes has failed
//
// Whoever writes the files, at any moment: a certificate without its key, a key without its certificate, half of either, last
// year's. Whoever copied them with open permissions.
//
// # What it stops
//
//   - An outage by a renewal that went wrong: what cannot be used is not, and what was in use before stays (SYSTEM P2).
//   - A private key that others on the machine can read or change: it is refused, by the file's name.
//   - A certificate that nobody notices to end: Expires is for a metric and an alarm.
//
// # What it does not stop
//
// A certificate that has ended and that nobody replaced is still shown: a browser says what is wrong better than a connection that
// fails. Whoever can write the files chooses what the public sees; without the authority's signature on it, browsers refuse it.
//
// # How it is knocked out in a drill
//
// Certificates are files: the drill replaces, breaks and opens them, and expects the edge to go on with those that it has.
//
// # Example
//
//	files, err := certificate.Open(certificate.Config{Pairs: []certificate.Pair{{
//		Certificate: "/etc/redoubt/app.example.pem", Key: "/etc/redoubt/app.example-key.pem",
//	}}})
//	if err != nil {
//		return err
//	}
//	go files.Run(ctx)
//	config.GetCertificate = files.GetCertificate
package certificate

import (
	"crypto/tls"
	"strings"
	"time"
)

// A Source gives certificates for handshakes. It may be used concurrently.
type Source interface {
	// GetCertificate is for a tls.Config. Neither a certificate nor an error means that the name is not this source's: the client is
	// then told so (RFC 6066 section 3).
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Expires is when the first of the certificates ends; zero while there is none.
	Expires() time.Time
}

// Sources asks several sources in turn, so that one host's certificate may be a file and another's be asked of an authority. Files
// belong at the end, because they have a certificate for every name.
type Sources []Source

// GetCertificate returns the first source's that knows the name.
func (s Sources) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for _, source := range s {
		if c, err := source.GetCertificate(hello); c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

// Expires is when the first certificate of any source ends; zero while there is none.
func (s Sources) Expires() time.Time {
	var first time.Time
	for _, source := range s {
		first = Earlier(first, source.Expires())
	}
	return first
}

// Earlier is the earlier of two times, of which a zero one does not count.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Name is the one spelling of a server name, as certificates are found by it: lower case, without the dot at the end that some
// clients send.
func Name(server string) string { return strings.TrimSuffix(strings.ToLower(server), ".") }

// Wildcard is the name with which a certificate may stand for name and its neighbours: "*.example" for "app.example"; empty if there
// is none. One label is replaced, never more (RFC 9525 section 6.3).
func Wildcard(name string) string {
	_, rest, ok := strings.Cut(name, ".")
	if !ok {
		return ""
	}
	return "*." + rest
}
