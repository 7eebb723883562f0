package provision

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// An authority signs the edge's public certificate, and nothing else: the link has its own (package enrol).
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// openAuthority reads the authority or makes it. Its key comes first: from the key alone, a lost certificate can be made again.
func openAuthority(d directory, hosts []string) (*authority, error) {
	if d.exists(AuthorityFile) && !d.exists(authorityKeyFile) {
		return nil, fmt.Errorf("%s is missing beside %s: restore it, or remove both and trust a new authority",
			d.path(authorityKeyFile), d.path(AuthorityFile))
	}
	content, err := d.secret(authorityKeyFile, newECKey)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.path(authorityKeyFile), err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading %s: it is not an ECDSA key", d.path(authorityKeyFile))
	}
	a := &authority{key: ec}
	return a, a.certify(d, hosts)
}

// certify reads the authority's certificate, or issues it: for the first time, or because it does not reach far enough.
func (a *authority) certify(d directory, hosts []string) error {
	content, err := d.public(AuthorityFile, func() ([]byte, error) { return a.own(hosts) })
	if err != nil {
		return err
	}
	cert, err := parseCertificate(content)
	if err != nil {
		return fmt.Errorf("reading %s: %w", d.path(AuthorityFile), err)
	}
	if a.covers(cert, hosts) {
		a.cert = cert
		return nil
	}
	if content, err = a.own(hosts); err != nil {
		return err
	}
	if err := d.replace(AuthorityFile, content, 0o644); err != nil {
		return err
	}
	a.cert, err = parseCertificate(content)
	return err
}

// covers reports whether cert is this authority's, outlives a server certificate, and may sign for every host.
func (a *authority) covers(cert *x509.Certificate, hosts []string) bool {
	if !a.key.PublicKey.Equal(cert.PublicKey) || time.Until(cert.NotAfter) < ServerLife {
		return false
	}
	names, ips := split(hosts)
	for _, n := range names {
		if !slices.Contains(cert.PermittedDNSDomains, n) {
			return false
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(cert.PermittedIPRanges, func(r *net.IPNet) bool { return r.Contains(ip) }) {
			return false
		}
	}
	return true
}

func (a *authority) own(hosts []string) ([]byte, error) {
	names, ips := split(hosts)
	t, err := template("Redoubt local authority", AuthorityLife)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	t.PermittedDNSDomainsCritical, t.PermittedDNSDomains = true, names
	for _, ip := range ips {
		t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing the authority's certificate: %w", err)
	}
	return pemBlock("CERTIFICATE", der), nil
}

// issue makes a server certificate with a new key.
func (a *authority) issue(hosts []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a server key: %w", err)
	}
	t, err := template("Redoubt edge", ServerLife)
	if err != nil {
		return nil, err
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames, t.IPAddresses = split(hosts)
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a server certificate: %w", err)
	}
	return withKey(der, key)
}

func newECKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	return marshalKey(key)
}

func template(name string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // for a client whose clock is behind
		NotAfter:     now.Add(life),
	}, nil
}

func split(hosts []string) (names []string, ips []net.IP) {
	for _, h := range hosts {
		ip := net.ParseIP(h)
		if ip == nil {
			names = append(names, h)
			continue
		}
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		ips = append(ips, ip)
	}
	return names, ips
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func marshalKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pemBlock("PRIVATE KEY", der), nil
}

func withKey(cert []byte, key crypto.PrivateKey) ([]byte, error) {
	private, err := marshalKey(key)
	return slices.Concat(pemBlock("CERTIFICATE", cert), private), err
}

func parseKey(content []byte) (crypto.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("it does not hold a private key")
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

func parseCertificate(content []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it does not hold one certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parsePair(content []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, errors.New("it does not hold a certificate and its key")
	}
	return &pair, nil // with Leaf set (Go 1.23)
}
