package perimeter

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// host is the name of the application, at every contender.
const host = "app.example"

// A pair is a certificate and its key, as they travel to a server's process.
type pair struct {
	Certificate []byte `json:"certificate"` // DER
	Key         []byte `json:"key"`         // PKCS #8
}

// newPair makes a certificate that signs itself, for the length of a run.
func newPair() (p pair, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if p.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		return p, fmt.Errorf("making a certificate: %w", err)
	}
	if p.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return p, fmt.Errorf("encoding a key: %w", err)
	}
	return p, nil
}

func (p pair) load() (tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(p.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading a key: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{p.Certificate}, PrivateKey: key}, nil
}

// server is how every public side speaks TLS, and both hops of the inverted HTTP/2.
func (p pair) server(protocols ...string) (*tls.Config, error) {
	c, err := p.load()
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS13, NextProtos: protocols}, nil
}

// client believes this certificate and no other.
func (p pair) client(protocols ...string) (*tls.Config, error) {
	c, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS13, NextProtos: protocols}, nil
}
