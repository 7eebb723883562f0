package certificate_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
)

// made is a certificate with its key, as files would hold them.
type made struct{ chain, key []byte }

// issue makes a certificate for hosts. Its serial number tells it from others.
func issue(t testing.TB, serial int64, change func(*x509.Certificate), hosts ...string) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueWith(t, key, serial, change, hosts...)
}

func issueRSA(t testing.TB, serial int64, hosts ...string) made {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return issueWith(t, key, serial, nil, hosts...)
}

func issueWith(t testing.TB, key crypto.Signer, serial int64, change func(*x509.Certificate), hosts ...string) made {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return made{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
}

func ended(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// A folder of pairs.
type folder struct {
	t   testing.TB
	dir string
	log logbook
}

func newFolder(t testing.TB) *folder { return &folder{t: t, dir: t.TempDir()} }

func (f *folder) pair(name string) certificate.Pair {
	return certificate.Pair{Certificate: filepath.Join(f.dir, name+".pem"), Key: filepath.Join(f.dir, name+"-key.pem")}
}

// put writes a pair as somebody careful does: the key first.
func (f *folder) put(name string, m made) certificate.Pair {
	f.t.Helper()
	p := f.pair(name)
	f.write(p.Key, m.key, 0o600)
	f.write(p.Certificate, m.chain, 0o644)
	return p
}

func (f *folder) write(path string, content []byte, mode os.FileMode) {
	f.t.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		f.t.Fatal(err)
	}
}

// serial is the number of the certificate that a client gets which asks for host.
func serial(t testing.TB, s certificate.Source, host string) int64 {
	t.Helper()
	return serialFor(t, s, &tls.ClientHelloInfo{ServerName: host})
}

func serialFor(t testing.TB, s certificate.Source, hello *tls.ClientHelloInfo) int64 {
	t.Helper()
	c, err := s.GetCertificate(hello)
	if err != nil {
		t.Fatalf("%s: %v", hello.ServerName, err)
	}
	if c == nil {
		return 0
	}
	return c.Leaf.SerialNumber.Int64()
}

// A logbook collects what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
