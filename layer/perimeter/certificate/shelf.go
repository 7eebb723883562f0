package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// A shelf finds certificates by name. It never changes: a handshake sees one state of the files, or the next.
type shelf struct {
	first   *tls.Certificate
	byName  map[string][]*tls.Certificate
	expires time.Time
}

func newShelf(all []held) *shelf {
	s := &shelf{first: all[0].cert, byName: map[string][]*tls.Certificate{}}
	for _, h := range all {
		for _, name := range names(h.cert.Leaf) {
			s.byName[name] = append(s.byName[name], h.cert)
		}
		s.expires = Earlier(s.expires, h.cert.Leaf.NotAfter)
	}
	return s
}

// names are those that a client can ask for; addresses are not sent in a handshake (RFC 6066 section 3).
func names(leaf *x509.Certificate) []string {
	all := make([]string, len(leaf.DNSNames))
	for i, n := range leaf.DNSNames {
		all[i] = Name(n)
	}
	return all
}

// choose returns the certificate for the name that the client asks for. Of several for one name, an elliptic one beside an RSA one,
// it is the first that the client can verify.
func (s *shelf) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := Name(hello.ServerName)
	fits := s.byName[name]
	if len(fits) == 0 {
		fits = s.byName[Wildcard(name)]
	}
	for _, c := range fits {
		if len(fits) == 1 || hello.SupportsCertificate(c) == nil {
			return c
		}
	}
	if len(fits) > 0 {
		return fits[0]
	}
	return s.first
}
