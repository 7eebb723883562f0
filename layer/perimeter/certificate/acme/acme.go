// Package acme asks a certificate authority for the edge's public certificates, proves to it that the hosts are ours, and renews what
// it gave before it ends (RFC 8555). Nobody has to remember a date. Several edges of one deployment share a folder: one of them
// orders, any of them answers the authority's questions, and all of them serve what came of it.
//
// # What it assumes has failed
//
// The authority, which may be away for days, refuse, or answer nonsense. The process, between any two writes. The disk, which may be
// full. The other edges, which do the same thing at the same moment. Whoever asks for the certificate of a host that is not ours.
//
// # What it stops
//
//   - An edge without a certificate because of a date: renewal begins when a third of its life is left, or when the authority says so
//     (RFC 9773), and goes on until it succeeds (SYSTEM P2).
//   - Waiting: start and handshakes never do. Until a host has its first certificate, its handshakes are refused.
//   - Orders that exhaust an authority's patience: one edge orders for all; where nothing could be stored nothing is ordered; what was
//     refused is asked for again after minutes, then hours; only the configured hosts are ever asked for.
//   - Half a renewal: a certificate and its key are one entry, which appears whole or not at all.
//   - A false authority: it is spoken to by TLS alone, with the system's roots or the given ones. What it sends must belong to our
//     key, name our host and be valid now.
//   - Opening a port: the edge's own listeners answer the authority. Nothing here listens.
//
// # What it does not stop
//
// Whoever controls the hosts' names in the DNS, or the way between them and the authority, can have certificates for them too; the
// authority's CAA check and the transparency logs are there for that. Whoever reads the folder as the same user has every key. There is
// no stapling: authorities have given OCSP up, and RFC 9773 tells of a revocation sooner.
//
// # How it is knocked out in a drill
//
// The authority is taken away, or the folder is made unwritable: the certificates that are there must serve on.
//
// # Example
//
//	manager, err := acme.New(acme.Config{
//		Hosts: []string{"app.example"}, Email: "ops@app.example", Agreed: true, Folder: folder, TLSALPN01: true,
//	})
//	if err != nil {
//		return err
//	}
//	go manager.Run(ctx)
//	config.GetCertificate, config.NextProtos = manager.GetCertificate, append(protocols, manager.NextProtos()...)
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// LetsEncrypt is the directory of the authority that is asked unless another is named.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Limits.
const (
	MaxHosts      = 100              // of one Manager; each has a certificate of its own
	MaxAnswer     = 1 << 20          // bytes of one answer of the authority
	OrderTimeout  = 10 * time.Minute // for one order, from its first question to the certificate
	MaxOrders     = 4                // at once
	MinAge        = time.Hour        // of a certificate that is renewed because the authority says so, or a tenth of its life if that is less
	maxChallenges = 4 * MaxHosts     // open at once, of all edges
	maxStored     = 10 * MaxHosts    // certificates in the folder, of hosts that are no longer ours too
	challengeLife = time.Hour        // of an entry in the folder that answers the authority
)

// Config says for which hosts certificates are asked, whom, and how the authority is convinced.
type Config struct {
	// Hosts are the names that need certificates; "*.app.example" stands for all neighbours and needs DNS01. A client that names no host
	// gets the first one's. At least one is required, and MaxHosts are possible.
	Hosts []string
	// Directory is where the authority's ACME service begins; zero means LetsEncrypt. It must be an https address.
	Directory string
	// Email is whom the authority may write to; zero gives it no address.
	Email string
	// Agreed says that the operator has read and accepts the authority's terms, without which it gives no account. Required.
	Agreed bool
	// Binding connects the account to a contract with the authority, where it asks for that; zero means none (RFC 8555 section 7.3.4).
	Binding Binding
	// Folder keeps account, keys and certificates. Edges that share it work as one. Required.
	Folder *state.Folder
	// Roots vouch for the authority's own server; nil means the system's.
	Roots *x509.CertPool
	// HTTP01 answers on the plain port: HTTPHandler must be reachable as port 80 of every host (RFC 8555 section 8.3).
	HTTP01 bool
	// TLSALPN01 answers within a handshake: the edge must be reachable as port 443 of every host (RFC 8737).
	TLSALPN01 bool
	// DNS01 answers by a record in the hosts' DNS (RFC 8555 section 8.4); nil means that it is not possible. One of the three is required.
	DNS01 DNS
	// DNSWait is how long a new record may need until the authority can see it; zero means that DNS01 returns only when it is seen.
	DNSWait time.Duration
	// Log receives what was ordered, what came and what is wrong; nil discards it.
	Log *slog.Logger
}

// A Binding is what the authority has handed out for one contract.
type Binding struct {
	// ID names the contract; empty means that there is none.
	ID string
	// Key is its secret, in base64url as authorities hand it out.
	Key string
}

// A Manager keeps the certificates of some hosts.
type Manager struct {
	config       Config
	times        times
	log          *slog.Logger
	client       *acmez.Client
	certificates *state.Drawer
	challenges   *state.Drawer
	locks        locks
	hosts        map[string]*host
	orders       chan struct{} // one for each that may run at once
}

// times are gathered so that a test can meet them without waiting for a day.
type times struct {
	look               time.Duration // between two looks at a certificate and at the folder
	soon, soonMost     time.Duration // after an attempt that did not reach the authority
	later, laterMost   time.Duration // after one that the authority refused
	advise, adviseMost time.Duration // between two questions when to renew
	minAge             time.Duration
}

var usual = times{
	look: 30 * time.Second, soon: time.Second, soonMost: 30 * time.Second, later: 2 * time.Minute, laterMost: 6 * time.Hour,
	advise: 6 * time.Hour, adviseMost: 24 * time.Hour, minAge: MinAge,
}

// New checks the configuration, reports every problem at once, and loads the certificates that the folder has. It asks nobody: Run does.
func New(c Config) (*Manager, error) { return newManager(c, usual) }

func newManager(c Config, t times) (*Manager, error) {
	if problems := c.check(); len(problems) > 0 {
		return nil, fmt.Errorf("configuring ACME: %w", errors.Join(problems...))
	}
	if c.Directory == "" {
		c.Directory = LetsEncrypt
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{config: c, times: t, log: c.Log, hosts: map[string]*host{}, orders: make(chan struct{}, MaxOrders)}
	for _, name := range c.Hosts {
		m.hosts[name] = &host{name: name}
	}
	m.client = &acmez.Client{
		Client: &acme.Client{
			Directory: c.Directory, HTTPClient: newHTTPClient(c.Roots), UserAgent: "redoubt", Logger: c.Log, PollTimeout: OrderTimeout / 2,
		},
		ChallengeSolvers: m.solvers(),
	}
	if err := m.open(); err != nil {
		return nil, fmt.Errorf("configuring ACME: %w", err)
	}
	for _, h := range m.hosts {
		m.load(h)
	}
	return m, nil
}

func (c Config) check() (problems []error) {
	problem := func(bad bool, words string) {
		if bad {
			problems = append(problems, errors.New(words))
		}
	}
	problem(len(c.Hosts) == 0 || len(c.Hosts) > MaxHosts, fmt.Sprintf("between 1 and %d hosts are needed", MaxHosts))
	problem(!c.Agreed, "nobody has agreed to the authority's terms")
	problem(c.Folder == nil, "there is no folder to keep keys in")
	problem(!c.HTTP01 && !c.TLSALPN01 && c.DNS01 == nil, "there is no way to convince the authority: HTTP-01, TLS-ALPN-01 or DNS-01")
	problem(c.DNSWait < 0, "the wait for DNS records is negative")
	problem((c.Binding.ID == "") != (c.Binding.Key == ""), "the account's binding needs both its name and its key")
	problem(strings.ContainsAny(c.Email, " \r\n\t,?&") || c.Email != "" && !strings.Contains(c.Email, "@"), "the e-mail address is not one")
	if c.Directory != "" {
		u, err := url.Parse(c.Directory)
		problem(err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil, "the authority's directory is not an https address")
	}
	for i, h := range c.Hosts[:min(len(c.Hosts), MaxHosts)] {
		if !isHost(strings.TrimPrefix(h, "*.")) {
			problems = append(problems, fmt.Errorf("host %d is not a lower-case DNS name", i+1))
		} else if strings.HasPrefix(h, "*.") && c.DNS01 == nil {
			problems = append(problems, fmt.Errorf("%s needs DNS-01: authorities prove a wildcard in no other way", h))
		}
	}
	return problems
}

// isHost reports whether name is a DNS name of letters, digits and hyphens: no address, nothing that needs encoding.
func isHost(name string) bool {
	if len(name) == 0 || len(name) > 253 || net.ParseIP(name) != nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(c rune) bool { return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') }) {
			return false
		}
	}
	return true
}

// GetCertificate implements certificate.Source. It never waits: a host of ours that has no certificate yet gets an error.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h := m.find(hello.ServerName)
	if isQuestion(hello) {
		return m.answerTLS(h)
	}
	if h == nil {
		return nil, nil
	}
	if c := h.current.Load(); c != nil {
		return c.cert, nil
	}
	return nil, errNone
}

var errNone = errors.New("there is no certificate for this host yet")

// find returns the host of ours that server names, or whose wildcard it falls under.
func (m *Manager) find(server string) *host {
	name := certificate.Name(server)
	if name == "" {
		return m.hosts[m.config.Hosts[0]]
	}
	if h := m.hosts[name]; h != nil {
		return h
	}
	return m.hosts[certificate.Wildcard(name)]
}

// Expires implements certificate.Source.
func (m *Manager) Expires() time.Time {
	var first time.Time
	for _, h := range m.hosts {
		if c := h.current.Load(); c != nil {
			first = certificate.Earlier(first, c.cert.Leaf.NotAfter)
		}
	}
	return first
}

// A Status says how one host is doing.
type Status struct {
	Host    string
	Expires time.Time // zero: it has no certificate
	Problem string    // what stood in the way of the last attempt; empty if nothing did
}

// Status tells of every host, in the order of the configuration.
func (m *Manager) Status() []Status {
	all := make([]Status, 0, len(m.config.Hosts))
	for _, name := range m.config.Hosts {
		h, s := m.hosts[name], Status{Host: name}
		if c := h.current.Load(); c != nil {
			s.Expires = c.cert.Leaf.NotAfter
		}
		if p := h.problem.Load(); p != nil {
			s.Problem = *p
		}
		all = append(all, s)
	}
	return all
}

// Run orders what is missing and renews what ends, until ctx does. It returns when every order has been given up or is complete.
func (m *Manager) Run(ctx context.Context) {
	var keepers sync.WaitGroup
	for _, h := range m.hosts {
		keepers.Go(func() { m.keep(ctx, h) })
	}
	keepers.Wait()
}
