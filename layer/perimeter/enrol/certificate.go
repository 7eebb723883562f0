package enrol

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The parts that a certificate can be for, as they stand in its one name: redoubt://<deployment>/<part>/<name>.
const (
	edgePart      = "edge"
	connectorPart = "connector"
)

// RFC 5280 section 4.1.2.5: these stand for no date. An authority is ended by a rotation; a date would end it while nobody looks, and
// one made under a wrong clock would be of no use under a right one.
var (
	always = time.Unix(0, 0)
	never  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// A signer is an authority's key with its certificate.
type signer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pin  Pin
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func newSigner() (*signer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Redoubt deployment authority"},
		NotBefore: always, NotAfter: never,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making an authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making an authority: %w", err)
	}
	return &signer{key, cert, PinOf(cert)}, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	return serial, nil
}

func name(deployment, part, id string) *url.URL {
	return &url.URL{Scheme: "redoubt", Host: deployment, Path: "/" + part + "/" + id}
}

// issue makes a certificate for one part, which is good as that part and as nothing else.
func (s *signer) issue(public crypto.PublicKey, deployment, part, id string, now time.Time, life time.Duration) ([]byte, error) {
	t, err := template(deployment, part, id, now, life)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, s.cert, public, s.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return der, nil
}

func template(deployment, part, id string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Redoubt " + part},
		NotBefore: now.Add(-ClockSkew), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage(part)},
		URIs: []*url.URL{name(deployment, part, id)}, BasicConstraintsValid: true,
	}, nil
}

func usage(part string) x509.ExtKeyUsage {
	if part == edgePart {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

// holder checks that leaf is the authority's certificate for a part, in force at the time, and returns in whose name it is.
func holder(leaf, authority *x509.Certificate, part string, at time.Time) (deployment, id string, err error) {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage(part)}}); err != nil {
		return "", "", fmt.Errorf("reading the peer's certificate: %w", err)
	}
	if leaf.IsCA || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{usage(part)}) || len(leaf.UnknownExtKeyUsage) > 0 {
		return "", "", errors.New("the peer's certificate is for more than this")
	}
	if len(leaf.URIs) != 1 || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 {
		return "", "", errors.New("the peer's certificate has another number of names than one")
	}
	u := leaf.URIs[0]
	id, is := strings.CutPrefix(u.Path, "/"+part+"/")
	if !is || id == "" || strings.Contains(id, "/") || u.Host == "" || u.String() != name(u.Host, part, id).String() {
		return "", "", fmt.Errorf("the peer's certificate is not in the name of the deployment's %s", part)
	}
	return u.Host, id, nil
}

// spki is the public key as it is sent and pinned.
func spki(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return der, nil
}

// parseSPKI takes the one kind of key that connectors make.
func parseSPKI(der []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("the key cannot be read")
	}
	public, is := parsed.(*ecdsa.PublicKey)
	if !is || public.Curve != elliptic.P256() {
		return nil, errors.New("the key is of another kind")
	}
	if again, err := spki(public); err != nil || !slices.Equal(again, der) {
		return nil, errors.New("the key is written in another way")
	}
	return public, nil
}

// proof is what the new key signs: that it is meant for this use, and for no other connection or connector.
func proof(use string, parts ...[]byte) []byte {
	h := sha256.New()
	io.WriteString(h, "redoubt enrolment 1\x00"+use)
	for _, p := range parts {
		binary.Write(h, binary.BigEndian, uint32(len(p)))
		h.Write(p)
	}
	return h.Sum(nil)
}
