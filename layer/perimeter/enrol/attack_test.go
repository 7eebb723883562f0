package enrol_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// SYSTEM P1 P3: whoever dials the edge directly is not linked, unless he is an enrolled connector.
func TestTheEdgeTakesEnrolledConnectorsOnly(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	own, now := c.Certificate(), time.Now()
	d, id := w.Deployment(), c.ID()
	key := enrol.KeyOf(own)
	elsewhere := newWorld(t)
	foreign := elsewhere.join()
	self := enrol.Stranger()
	thief := w.Thief()
	config := func(pair *tls.Certificate, protocols ...string) *tls.Config {
		t := &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
		if pair != nil {
			t.Certificates = []tls.Certificate{*pair}
		}
		return t
	}
	links := func(pair tls.Certificate) *tls.Config { return config(&pair, link.Protocol) }
	chain := own
	chain.Certificate = append([][]byte{own.Certificate[0]}, w.CA().Raw)

	for _, a := range []struct {
		name   string
		config *tls.Config
		taken  bool
	}{
		{"the enrolled connector itself", links(own), true},
		{"a client without a certificate", config(nil, link.Protocol), false},
		{"a connector of another deployment", links(foreign.Certificate()), false},
		{"a self-made certificate in the right name", links(self.Forge(key, d, "connector", id, now, time.Hour)), false},
		{"a stolen authority's certificate in the name of nobody", links(thief.Forge(nil, d, "connector", strings.Repeat("0", 32), now, time.Hour)), false},
		{"a stolen authority's certificate in the right name for another key", links(thief.Forge(nil, d, "connector", id, now, time.Hour)), false},
		{"a certificate of another deployment's name", links(thief.Forge(key, strings.Repeat("0", 32), "connector", id, now, time.Hour)), false},
		{"a certificate that ended", links(thief.Forge(key, d, "connector", id, now.Add(-2*time.Hour), time.Hour)), false},
		{"a certificate that is not yet in force", links(thief.Forge(key, d, "connector", id, now.Add(time.Hour), time.Hour)), false},
		{"the edge's own certificate", links(*w.EdgeCertificate()), false},
		{"a certificate for an edge with the connector's key", links(thief.Forge(key, d, "edge", id, now, time.Hour)), false},
		{"a certificate in a name with a further part", links(thief.Forge(key, d, "connector", id+"/x", now, time.Hour)), false},
		{"a certificate in a name that climbs", links(thief.Forge(key, d, "connector", "../connector/"+id, now, time.Hour)), false},
		{"a certificate without a name", links(thief.Forge(key, d, "connector", "", now, time.Hour)), false},
		{"a certificate for everything", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })), false},
		{"a certificate for both ends", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		})), false},
		{"a certificate that could sign others", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.IsCA = true })), false},
		{"a certificate with a host's name besides", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.DNSNames = []string{"x"} })), false},
		{"a certificate in two names", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) })), false},
		{"a certificate with a query in its name", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.URIs[0].RawQuery = "x" })), false},
		{"a certificate with a port in its name", links(thief.ForgeWith(key, d, "connector", id, func(c *x509.Certificate) { c.URIs[0].Host += ":1" })), false},
		{"the stolen authority's certificate for what the connector has", links(thief.ForgeWith(key, d, "connector", id, func(*x509.Certificate) {})), true},
		{"a connector that shows more than its certificate", links(chain), false},
		{"no protocol at all", config(&own), false},
		{"another protocol", config(&own, "h2"), false},
		{"TLS 1.2", func() *tls.Config { c := links(own); c.MaxVersion = tls.VersionTLS12; return c }(), false},
		{"a key exchange that is not offered", func() *tls.Config { c := links(own); c.CurvePreferences = []tls.CurveID{tls.CurveP384}; return c }(), false},
		{"a key exchange without the post-quantum part", func() *tls.Config { c := links(own); c.CurvePreferences = []tls.CurveID{tls.X25519}; return c }(), true},
		{"the right certificate with another key's signature", func() *tls.Config { p := own; p.PrivateKey = elsewhere.EdgeCertificate().PrivateKey; return links(p) }(), false},
	} {
		t.Run(a.name, func(t *testing.T) {
			conn, err := dial(w.addr, a.config)
			if (err == nil) != a.taken {
				t.Errorf("got %v, want it taken: %v", err, a.taken)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
	conn := w.mustLink(c)
	if got := conn.ConnectionState(); got.Version != tls.VersionTLS13 || got.CurveID != tls.X25519MLKEM768 || got.DidResume {
		t.Errorf("got TLS %x with %v, resumed: %v", got.Version, got.CurveID, got.DidResume)
	}
}

// SYSTEM P3: a session cannot be taken up again: each connection shows its certificate.
func TestNoSessionIsResumed(t *testing.T) {
	w := newWorld(t)
	config := w.join().TLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 3 {
		conn, err := dial(w.addr, config)
		if err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("a session was resumed")
		}
		conn.Close()
	}
}

// SYSTEM P3: a connector takes no other edge for its own, whatever certificate that one has.
func TestAConnectorTakesItsEdgesOnly(t *testing.T) {
	w := newWorld(t)
	c := w.join()
	d, now := w.Deployment(), time.Now()
	elsewhere, thief := newWorld(t), w.Thief()
	with := func(pair tls.Certificate, changes ...func(*tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{link.Protocol}, ClientAuth: tls.RequestClientCert}
		for _, change := range changes {
			change(c)
		}
		return c
	}
	edge := func(f enrol.Forger, deployment, part string, at time.Time) tls.Certificate {
		return f.Forge(nil, deployment, part, "edge-1", at, time.Hour)
	}
	bare := *w.EdgeCertificate()
	bare.Certificate = bare.Certificate[:1]
	connector := c.Certificate()
	connector.Certificate = append([][]byte{connector.Certificate[0]}, w.CA().Raw)
	lent := edge(enrol.Stranger(), d, "edge", now)
	lent.Certificate = [][]byte{lent.Certificate[0], w.CA().Raw}

	for _, a := range []struct {
		name   string
		config *tls.Config
		taken  bool
	}{
		{"the edge itself", with(*w.EdgeCertificate()), true},
		{"another edge of the deployment", with(edge(thief, d, "edge", now)), true},
		{"an edge of another deployment", with(*elsewhere.EdgeCertificate()), false},
		{"a self-made edge in the right name", with(edge(enrol.Stranger(), d, "edge", now)), false},
		{"a self-made edge that shows our authority", with(lent), false},
		{"an edge of our authority in another deployment's name", with(edge(thief, "x", "edge", now)), false},
		{"an edge whose certificate ended", with(edge(thief, d, "edge", now.Add(-3*time.Hour))), false},
		{"an edge whose certificate is not yet in force", with(edge(thief, d, "edge", now.Add(3*time.Hour))), false},
		{"an edge without its authority", with(bare), false},
		{"a connector that plays the edge", with(connector), false},
		{"an edge that speaks something else", with(*w.EdgeCertificate(), func(c *tls.Config) { c.NextProtos = []string{"h2"} }), false},
		{"an edge that names no protocol", with(*w.EdgeCertificate(), func(c *tls.Config) { c.NextProtos = nil }), false},
		{"an edge with TLS 1.2", with(*w.EdgeCertificate(), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), false},
	} {
		t.Run(a.name, func(t *testing.T) {
			addr := serveTLS(t, a.config)
			conn, err := tls.Dial("tcp", addr, c.TLS())
			if (err == nil) != a.taken {
				t.Errorf("got %v, want it taken: %v", err, a.taken)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}
