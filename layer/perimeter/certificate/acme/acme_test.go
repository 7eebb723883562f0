package acme_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
)

func TestEveryWayOfProofGivesACertificate(t *testing.T) { // SYSTEM P2
	t.Parallel()
	for name, c := range map[string]struct {
		hosts  []string
		change func(*world, *acme.Config)
	}{
		"HTTP-01":            {[]string{"app.example"}, func(_ *world, c *acme.Config) { c.HTTP01 = true }},
		"TLS-ALPN-01":        {[]string{"app.example"}, func(_ *world, c *acme.Config) { c.TLSALPN01 = true }},
		"either":             {[]string{"app.example"}, func(_ *world, c *acme.Config) { c.HTTP01, c.TLSALPN01 = true, true }},
		"DNS-01, a wildcard": {[]string{"app.example", "*.app.example"}, func(w *world, c *acme.Config) { c.DNS01 = w.names }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.config(c.hosts...)
			c.change(w, &config)
			m, _ := w.run(config, quick)
			for _, h := range c.hosts {
				w.eventually(h+" has a certificate", func() bool { return leaf(m, acmeName(h)) != nil })
				w.trusted(m, acmeName(h))
			}
			if got := m.Expires(); got.Before(time.Now().Add(24 * time.Hour)) {
				t.Errorf("the first certificate ends %v", got)
			}
			for _, s := range m.Status() {
				if s.Problem != "" || s.Expires.IsZero() {
					t.Errorf("got %+v", s)
				}
			}
			if got := w.orders.Load(); got != int64(len(c.hosts)) {
				t.Errorf("%d orders for %d hosts", got, len(c.hosts))
			}
			if now, ever := w.names.records(); now != 0 || (ever != 0) != (config.DNS01 != nil) {
				t.Errorf("%d of %d DNS records are left", now, ever)
			}
		})
	}
}

// acmeName is a name that a client asks for under host.
func acmeName(host string) string {
	if host[0] == '*' {
		return "tenant" + host[1:]
	}
	return host
}

func TestAWildcardStandsForOneLabel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("*.app.example")
	config.DNS01 = w.names
	m, _ := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(m, "a.app.example") != nil })
	for name, want := range map[string]bool{"a.app.example": true, "B.App.Example.": true, "a.b.app.example": false, "app.example": false, "example": false} {
		if got := leaf(m, name) != nil; got != want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// The start waits for nobody: until there is a certificate, a handshake of ours is refused, and a stranger's is told that it has the
// wrong server.
func TestUntilThereIsACertificateHandshakesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example", "www.app.example")
	config.TLSALPN01 = true
	begun := time.Now()
	m, err := acme.New(config)
	if err != nil || time.Since(begun) > time.Second {
		t.Fatalf("%v after %v", err, time.Since(begun))
	}
	hello := func(name string) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"h2"}}
	}
	for _, name := range []string{"app.example", "www.app.example", ""} {
		if c, err := m.GetCertificate(hello(name)); err == nil || c != nil {
			t.Errorf("%q: got %v, %v", name, c, err)
		}
	}
	for _, name := range []string{"evil.example", "example", "x.app.example"} {
		if c, err := m.GetCertificate(hello(name)); err != nil || c != nil {
			t.Errorf("%q: got %v, %v", name, c, err)
		}
	}
	if !m.Expires().IsZero() {
		t.Error("something expires")
	}
	if w.orders.Load() != 0 {
		t.Error("something was ordered before it ran")
	}
}

// SYSTEM P2: nobody can make us ask for a name that is not in the configuration, however often they connect with it.
func TestOnlyConfiguredHostsAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.TLSALPN01 = true
	m, _ := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	for _, name := range []string{"evil.example", "x.app.example", "127.0.0.1", "*", "*.example", "../../x", "app.example.evil.example"} {
		for _, protocols := range [][]string{{"h2"}, {"acme-tls/1"}, {"acme-tls/1", "h2"}, nil} {
			c, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: protocols})
			if c != nil || err != nil {
				t.Errorf("%s %v: got %v, %v", name, protocols, c, err)
			}
		}
	}
	// A question that no authority has asked gets no answer for our own host either.
	if c, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: "app.example", SupportedProtos: []string{"acme-tls/1"}}); c != nil || err == nil {
		t.Errorf("an answer without a question: %v, %v", c, err)
	}
	if got := w.orders.Load(); got != 1 {
		t.Errorf("%d orders, want 1", got)
	}
}

func TestARestartOrdersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example", "www.app.example")
	config.HTTP01 = true
	m, stop := w.run(config, quick)
	w.eventually("there are certificates", func() bool { return leaf(m, "app.example") != nil && leaf(m, "www.app.example") != nil })
	stop()
	again, err := acme.NewIn(config, quick)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range config.Hosts { // before Run: the first handshake after a restart succeeds
		if leaf(again, h) == nil || !leaf(again, h).Equal(leaf(m, h)) {
			t.Errorf("%s: another certificate than before", h)
		}
	}
	third, _ := w.run(config, quick)
	time.Sleep(200 * time.Millisecond)
	w.trusted(third, "app.example")
	if got := w.orders.Load(); got != 2 {
		t.Errorf("%d orders, want 2", got)
	}
}

// SYSTEM P6: edges that share a folder make one order, and whichever is asked answers the authority.
func TestSeveralEdgesMakeOneOrder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*acme.Config){
		"HTTP-01":     func(c *acme.Config) { c.HTTP01 = true },
		"TLS-ALPN-01": func(c *acme.Config) { c.TLSALPN01 = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.config("app.example")
			change(&config)
			var edges []*acme.Manager
			for range 3 {
				m, _ := w.run(config, quick)
				edges = append(edges, m)
			}
			for _, m := range edges {
				w.eventually("every edge has a certificate", func() bool { return leaf(m, "app.example") != nil })
				if !leaf(m, "app.example").Equal(leaf(edges[0], "app.example")) {
					t.Error("two edges have different certificates")
				}
			}
			if got := w.orders.Load(); got != 1 {
				t.Errorf("%d orders, want 1", got)
			}
		})
	}
}

func TestACertificateIsRenewedBeforeItEnds(t *testing.T) { // SYSTEM P2
	t.Parallel()
	w := newWorld(t, func(w *world) { w.life, w.alter = 6, withoutAdvice })
	config := w.config("app.example")
	config.TLSALPN01 = true
	one, _ := w.run(config, quick)
	two, _ := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(one, "app.example") != nil && leaf(two, "app.example") != nil })
	seen := map[string]bool{}
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range []*acme.Manager{one, two} {
			c := leaf(m, "app.example")
			if c == nil || !time.Now().Before(c.NotAfter) {
				t.Fatal("a client was shown a certificate that has ended")
			}
			seen[c.SerialNumber.String()] = true
		}
	}
	if len(seen) < 3 || w.orders.Load() > 4 {
		t.Errorf("%d certificates of %d orders in a life and a half of 6 s, want 3 or 4", len(seen), w.orders.Load())
	}
}

// RFC 9773: the authority may want its certificate back earlier than we would renew it; and may not make us order without end.
func TestTheAuthoritySaysWhenToRenew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01 = true
	times := quick
	times.Advise, times.MinAge = 50*time.Millisecond, 500*time.Millisecond
	m, _ := w.run(config, times)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	first := leaf(m, "app.example")
	time.Sleep(200 * time.Millisecond)
	if got := w.orders.Load(); got != 1 {
		t.Fatalf("%d orders before the authority said anything", got)
	}
	w.advise(first, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	w.eventually("it is renewed", func() bool { return !leaf(m, "app.example").Equal(first) })
	w.trusted(m, "app.example")
	if got := w.orders.Load(); got != 2 {
		t.Errorf("%d orders, want 2", got)
	}
}

func TestAnAuthorityThatAlwaysSaysNowIsAskedOncePerAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.life = 10 })
	config := w.config("app.example")
	config.HTTP01 = true
	m, _ := w.run(config, acme.Times{Look: 10 * time.Millisecond, Soon: 10 * time.Millisecond, Advise: 10 * time.Millisecond})
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		w.advise(leaf(m, "app.example"), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	}
	// A tenth of a life is a second.
	if got := w.orders.Load(); got < 2 || got > 4 {
		t.Errorf("%d orders in 2.5 s, want one each second", got)
	}
}

func TestAnAccountMayBeBoundToAContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.binding = true })
	config := w.config("app.example")
	config.HTTP01 = true
	refused, stop := w.run(config, quick)
	w.eventually("it is refused without the contract", func() bool { return refused.Status()[0].Problem != "" })
	stop()
	config.Binding = acme.Binding{ID: "contract-1", Key: bindingKey}
	m, _ := w.run(config, quick)
	w.eventually("there is a certificate", func() bool { return leaf(m, "app.example") != nil })
}
