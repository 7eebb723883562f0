package attack

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

func requestsByAFalseConnector() Attack {
	return Attack{
		Name: "requests-by-a-false-connector", Threat: "T46", Group: "perimeter", Destroys: true,
		Title:  "A stranger opens a link to the edge with a certificate that he made, and is given Bob's requests with his cookie",
		Expect: []string{"perimeter/certificate", "perimeter/enrolled"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			var caught atomic.Bool
			ctx, end := context.WithCancel(ctx)
			defer end()
			up, err := s.falseConnector(ctx, func(r *http.Request) {
				if strings.Contains(r.Header.Get("Cookie"), session(bob)) {
					caught.Store(true)
				}
			})
			if err != nil || !up {
				return false, err
			}
			for range 8 { // the edge has the honest link as well, and takes turns
				if _, err := bob.Get(ctx, "/"); err != nil {
					return false, err
				}
			}
			return caught.Load(), nil
		},
	}
}

// falseConnector opens a link and serves what comes down it, until ctx ends; false if the edge refuses it.
func (s *Scene) falseConnector(ctx context.Context, see func(*http.Request)) (up bool, err error) {
	at, err := url.Parse(s.Origin)
	if err != nil {
		return false, err
	}
	deployment, err := s.deployment(ctx, at.Port())
	if err != nil || deployment == "" {
		return false, err
	}
	pair, err := selfMade(deployment)
	if err != nil {
		return false, err
	}
	conn, err := s.dialLink(ctx, at.Port(), pair)
	if err != nil {
		s.Note("a stranger", "a link with a certificate of his own", err.Error())
		return false, nil
	}
	key, err := link.ExportKey(conn.ConnectionState())
	if err != nil {
		return false, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		link.Serve(ctx, conn, key, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			see(r)
			io.WriteString(w, "ok")
		}), 0, link.Config{}, nil)
	}()
	select { // TLS 1.3 tells a client only afterwards that its certificate was refused
	case <-over:
		s.Note("a stranger", "a link with a certificate of his own", "it is closed")
		return false, nil
	case <-time.After(300 * time.Millisecond):
		s.Note("a stranger", "a link with a certificate of his own", "it stands")
		return true, nil
	}
}

// dialLink does not ask who the edge is: the attacker knows whom he attacks.
func (s *Scene) dialLink(ctx context.Context, port string, certificates ...tls.Certificate) (*tls.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(target.Outside)}, Timeout: 5 * time.Second}
	raw, err := dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(link.Cork(raw), &tls.Config{NextProtos: []string{link.Protocol}, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, Certificates: certificates})
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// deployment is the name in the certificate that the edge shows to whoever speaks the link's protocol; "" if it shows none.
func (s *Scene) deployment(ctx context.Context, port string) (string, error) {
	conn, err := s.dialLink(ctx, port)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	for _, name := range conn.ConnectionState().PeerCertificates[0].URIs {
		return name.Host, nil
	}
	return "", nil
}

// selfMade is a connector's certificate in that deployment's name, signed by nobody but its holder.
func selfMade(deployment string) (tls.Certificate, error) {
	var id [16]byte
	_, random := rand.Read(id[:])
	public, private, err := ed25519.GenerateKey(nil)
	if err := errors.Join(random, err); err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
		URIs: []*url.URL{{Scheme: "redoubt", Host: deployment, Path: "/connector/" + hex.EncodeToString(id[:])}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
