package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// accountEntry is the account as the folder keeps it.
type accountEntry struct {
	Location string `json:"location"`
	Key      []byte `json:"key"` // PKCS #8
}

// accountKey is the name of the account's entry. Another address, or another contract, is another account.
func (m *Manager) accountKey() string {
	return digest("account", m.config.Email, m.config.Binding.ID)
}

// digest names an entry of the folder by what it is about.
func digest(kind string, about ...string) string {
	h := sha256.New()
	for _, a := range about {
		fmt.Fprintf(h, "%d %s", len(a), a)
	}
	return kind + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// account returns our account at the authority, and makes it the first time. One edge makes it for all.
func (m *Manager) account(ctx context.Context) (acme.Account, error) {
	if a, err := m.loadAccount(); !errors.Is(err, state.ErrNone) {
		return a, err
	}
	unlock, err := m.locks.lock(ctx, m.accountKey())
	if err != nil {
		return acme.Account{}, fmt.Errorf("opening the account: %w", err)
	}
	defer unlock()
	if a, err := m.loadAccount(); !errors.Is(err, state.ErrNone) {
		return a, err
	}
	return m.register(ctx)
}

func (m *Manager) loadAccount() (acme.Account, error) {
	content, err := m.certificates.Get(m.accountKey())
	if err != nil {
		return acme.Account{}, fmt.Errorf("opening the account: %w", err)
	}
	var e accountEntry
	if err := json.Unmarshal(content, &e); err != nil {
		return acme.Account{}, errors.New("opening the account: its entry cannot be read")
	}
	key, err := x509.ParsePKCS8PrivateKey(e.Key)
	ec, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return acme.Account{}, errors.New("opening the account: its key cannot be read")
	}
	return acme.Account{Status: acme.StatusValid, Location: e.Location, PrivateKey: ec}, nil
}

// register makes the account. The folder is tried first: an account whose key is lost is of no use to anybody.
func (m *Manager) register(ctx context.Context) (acme.Account, error) {
	if err := m.probe(); err != nil {
		return acme.Account{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, fmt.Errorf("making the account's key: %w", err)
	}
	a := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key} // Agreed is required
	if m.config.Email != "" {
		a.Contact = []string{"mailto:" + m.config.Email}
	}
	if b := m.config.Binding; b.ID != "" {
		if err := a.SetExternalAccountBinding(ctx, m.client.Client, acme.EAB{KeyID: b.ID, MACKey: b.Key}); err != nil {
			return acme.Account{}, fmt.Errorf("binding the account: %w", err)
		}
	}
	if a, err = m.client.NewAccount(ctx, a); err != nil {
		return acme.Account{}, fmt.Errorf("registering the account: %w", err)
	}
	if a.Status != acme.StatusValid {
		return acme.Account{}, errors.New("registering the account: the authority does not call it valid")
	}
	return a, m.saveAccount(a, key)
}

func (m *Manager) saveAccount(a acme.Account, key *ecdsa.PrivateKey) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("keeping the account: %w", err)
	}
	content, err := json.Marshal(accountEntry{a.Location, private})
	if err != nil {
		return fmt.Errorf("keeping the account: %w", err)
	}
	if err := m.certificates.Put(m.accountKey(), content, time.Time{}); err != nil {
		return fmt.Errorf("keeping the account: %w", err)
	}
	m.log.Info("account registered", "authority", m.config.Directory)
	return nil
}
