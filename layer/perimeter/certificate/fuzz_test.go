package certificate_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
)

// Whatever two files hold: there is a complete certificate or an error.
func FuzzPair(f *testing.F) {
	m := issue(f, 1, nil, "a.example", "*.b.example")
	f.Add(string(m.chain), string(m.key))
	f.Add(string(m.key), string(m.chain))
	f.Add(string(m.chain)+string(m.chain), string(m.key))
	f.Add("", "")
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", string(m.key))
	f.Fuzz(func(t *testing.T, chain, key string) {
		c, err := certificate.Parse(chain, key)
		if err == nil && (c.Leaf == nil || c.PrivateKey == nil || len(c.Leaf.DNSNames)+len(c.Leaf.IPAddresses) == 0) {
			t.Errorf("got half a certificate of %q and %q", chain, key)
		}
	})
}
