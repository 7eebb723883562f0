package acme

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// A host is one name that has a certificate, or is to have one. All but current and problem is its keeper's alone.
type host struct {
	name     string
	current  atomic.Pointer[held]
	problem  atomic.Pointer[string]
	failures int    // in a row
	unsaved  []byte // a certificate in use that the folder did not take
	advice   advice
}

// held is a certificate in use.
type held struct {
	cert     *tls.Certificate
	chain    string // PEM
	obtained time.Time
}

// entry is a certificate as the folder keeps it: all of it, or nothing.
type entry struct {
	Host     string    `json:"host"`
	Chain    string    `json:"chain"` // PEM
	Key      []byte    `json:"key"`   // PKCS #8
	Obtained time.Time `json:"obtained"`
}

// newEntry is what the authority sent, beside the key that it was sent for.
func newEntry(name string, chain []byte, key crypto.Signer) (entry, error) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return entry{}, fmt.Errorf("encoding the certificate's key: %w", err)
	}
	return entry{Host: name, Chain: string(chain), Key: private, Obtained: time.Now()}, nil
}

// open makes a certificate of an entry, if it is one for its host. Errors hold nothing of it.
func (e entry) open(now time.Time) (*held, error) {
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: e.Key})
	pair, err := tls.X509KeyPair([]byte(e.Chain), key)
	if err != nil {
		return nil, fmt.Errorf("the certificate does not fit its key: %w", err)
	}
	leaf := pair.Leaf
	if leaf.IsCA {
		return nil, errors.New("the certificate is an authority's")
	}
	// A wildcard is verified by one of the names that it stands for.
	if err := leaf.VerifyHostname(strings.Replace(e.Host, "*.", "any.", 1)); err != nil {
		return nil, errors.New("the certificate is for another host")
	}
	if !now.Before(leaf.NotAfter) || now.Add(24*time.Hour).Before(leaf.NotBefore) {
		return nil, errors.New("the certificate is not valid now")
	}
	return &held{&pair, e.Chain, e.Obtained}, nil
}

func (h *host) entryKey() string { return digest("host", h.name) }

// load takes the certificate that the folder has for h, if it is newer than the one in use: at the start, and whenever another edge may
// have renewed it.
func (m *Manager) load(h *host) {
	content, err := m.certificates.Get(h.entryKey())
	if err != nil {
		return // none, or a folder that cannot be read now: what is in use stays
	}
	var e entry
	if err := json.Unmarshal(content, &e); err != nil || e.Host != h.name {
		m.log.Warn("stored certificate not used", "host", h.name, "error", "its entry cannot be read")
		return
	}
	old := h.current.Load()
	if old != nil && e.Chain == old.chain {
		return
	}
	fresh, err := e.open(time.Now())
	if err != nil {
		m.log.Debug("stored certificate not used", "host", h.name, "error", err.Error())
		return
	}
	// By both dates, because the clock of the edge that obtained it may have been wrong.
	if old == nil || fresh.cert.Leaf.NotAfter.After(old.cert.Leaf.NotAfter) || fresh.obtained.After(old.obtained) {
		m.take(h, fresh, "stored")
	}
}

// take puts a certificate into use.
func (m *Manager) take(h *host, c *held, from string) {
	h.current.Store(c)
	m.log.Info("certificate in use", "host", h.name, "from", from, "expires", c.cert.Leaf.NotAfter)
}

// save gives the folder what is in use. If it is refused, the certificate serves all the same, and saving is tried again at each look.
func (m *Manager) save(h *host, e entry, until time.Time) error {
	content, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding the certificate: %w", err)
	}
	h.unsaved = content
	return m.saveAgain(h, until)
}

func (m *Manager) saveAgain(h *host, until time.Time) error {
	if h.unsaved == nil {
		return nil
	}
	if err := m.certificates.Put(h.entryKey(), h.unsaved, until); err != nil {
		return fmt.Errorf("keeping the certificate: %w", err)
	}
	h.unsaved = nil
	return nil
}

// open opens the drawers of this authority. Another authority has others, so that none is asked about a certificate of another's.
func (m *Manager) open() (err error) {
	authority := strings.TrimPrefix(digest("", m.config.Directory), "-")
	if m.certificates, err = m.config.Folder.Drawer("acme-"+authority, maxStored); err != nil {
		return err
	}
	if m.challenges, err = m.config.Folder.Drawer("acme-"+authority+"-questions", maxChallenges); err != nil {
		return err
	}
	m.locks, err = openLocks(m.config.Folder.Path(), "acme-"+authority+"-locks")
	return err
}

// probe writes as much as an order will, because a certificate that cannot be kept must not be ordered.
func (m *Manager) probe() error {
	if err := m.certificates.Put("probe", make([]byte, 16<<10), time.Now().Add(time.Minute)); err != nil {
		return fmt.Errorf("trying the folder: %w", err)
	}
	return m.certificates.Delete("probe")
}
