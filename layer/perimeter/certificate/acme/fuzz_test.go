package acme_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
)

// Whatever an authority sends, or the folder holds: there is a complete certificate for the host, or an error.
func FuzzCertificate(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if ok, err := acme.Open("a.example", chain, private); !ok || err != nil {
		f.Fatalf("an honest one: %t, %v", ok, err)
	}
	f.Add("a.example", chain, private)
	f.Add("*.example", chain, private)
	f.Add("", "", []byte{})
	f.Add("a.example", chain+chain, private)
	f.Fuzz(func(t *testing.T, host, chain string, key []byte) {
		if ok, err := acme.Open(host, chain, key); ok != (err == nil) {
			t.Errorf("got %t and %v", ok, err)
		}
	})
}
