package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// order obtains a certificate for h, unless another edge has done so meanwhile. One edge at a time orders for one host.
func (m *Manager) order(ctx context.Context, h *host) error {
	unlock, err := m.locks.lock(ctx, h.entryKey())
	if err != nil {
		return fmt.Errorf("waiting for the other edges: %w", err)
	}
	defer unlock()
	m.load(h)
	if c := h.current.Load(); c != nil && time.Now().Before(m.renewal(h, c)) {
		return nil
	}
	select {
	case m.orders <- struct{}{}:
		defer func() { <-m.orders }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, OrderTimeout)
	defer cancel()
	if err := m.probe(); err != nil {
		return err
	}
	return m.obtain(ctx, h)
}

// obtain orders with our account. If the authority has forgotten it, as a private one may that was set up anew, there is a new one.
func (m *Manager) obtain(ctx context.Context, h *host) error {
	account, err := m.account(ctx)
	if err != nil {
		return err
	}
	err = m.obtainAs(ctx, h, account)
	if problem := new(acme.Problem); !errors.As(err, problem) || problem.Type != acme.ProblemTypeAccountDoesNotExist {
		return err
	}
	m.log.Warn("the authority does not know our account any more")
	if err := m.certificates.Delete(m.accountKey()); err != nil {
		return err
	}
	if account, err = m.account(ctx); err != nil {
		return err
	}
	return m.obtainAs(ctx, h, account)
}

func (m *Manager) obtainAs(ctx context.Context, h *host, account acme.Account) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // a new one each time: an old one may be known
	if err != nil {
		return fmt.Errorf("making the certificate's key: %w", err)
	}
	params, err := m.params(ctx, h, account, key)
	if err != nil {
		return err
	}
	chains, err := m.client.ObtainCertificate(ctx, params)
	if err != nil {
		return fmt.Errorf("ordering: %w", err)
	}
	if len(chains) == 0 {
		return errors.New("ordering: the authority sent no certificate")
	}
	e, err := newEntry(h.name, chains[0].ChainPEM, key)
	if err != nil {
		return err
	}
	fresh, err := e.open(time.Now())
	if err != nil {
		return fmt.Errorf("looking at what the authority sent: %w", err)
	}
	m.take(h, fresh, "authority")
	return m.save(h, e, endOf(fresh))
}

func (m *Manager) params(ctx context.Context, h *host, account acme.Account, key *ecdsa.PrivateKey) (acmez.OrderParameters, error) {
	csr, err := acmez.NewCSR(key, []string{h.name})
	if err != nil {
		return acmez.OrderParameters{}, fmt.Errorf("making the request for a certificate: %w", err)
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return params, fmt.Errorf("making the order: %w", err)
	}
	params.Replaces, err = m.replaces(ctx, h)
	return params, err
}

// replaces names the certificate that an order renews, which spares it the authority's limits. Only those who give advice on renewal
// understand it (RFC 9773 section 5), and one that was set up anew does not know the certificate: what failed once is ordered plainly.
func (m *Manager) replaces(ctx context.Context, h *host) (*x509.Certificate, error) {
	old := h.current.Load()
	if old == nil || h.failures > 0 {
		return nil, nil
	}
	directory, err := m.client.GetDirectory(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the authority: %w", err)
	}
	if directory.RenewalInfo == "" || len(old.cert.Leaf.AuthorityKeyId) == 0 {
		return nil, nil
	}
	return old.cert.Leaf, nil
}
