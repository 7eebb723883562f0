// Package provision makes, once, what lets a browser on this machine trust an edge that has no certificate of a public authority: an
// authority of this machine's own, and the edge's public certificate. They are made rather than configured, so that nobody starts with
// an example key, and they live in files that only their owner can read. The link between edge and connectors has nothing to do with
// them: its own authority is package enrol's.
//
// # What it assumes has failed
//
// The process, at any moment: it may be killed between any two writes, and started twice at once. The umask. Whoever copied
// the directory with open permissions.
//
// # What it stops
//
// A private key that others on the machine can read: it is refused, by the file's name. A half-written file: each appears
// whole or not at all, and a key with its certificate is one file. The authority signing for the world: its certificate
// carries critical name constraints (RFC 5280 section 4.2.1.10) to the local names and the hosts that were asked for.
//
// # What it does not stop
//
// Whoever runs as the same user, or as root, reads everything here.
//
// # How it is knocked out in a drill
//
// Keys are files: the drill opens a file's permissions, or replaces a key, and expects the start to be refused.
//
// # Example
//
//	keys, err := provision.Open("/var/lib/redoubt/perimeter", []string{"app.internal"})
//	if err != nil {
//		return err
//	}
//	fmt.Println("trust this once:", keys.CAFile)
package provision

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Lives of what is made.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	ServerLife    = 90 * 24 * time.Hour
	RenewBefore   = 30 * 24 * time.Hour // of a server certificate's end
)

// The files in the directory. All but AuthorityFile hold private keys.
const (
	AuthorityFile    = "ca.pem"     // the authority's certificate: what a browser is asked to trust
	authorityKeyFile = "ca-key.pem" // its key
	serverFile       = "server.pem" // the public certificate and its key, in one file, so that they are replaced together
)

// Keys is what is in the directory.
type Keys struct {
	CAFile string // path of the authority's certificate, to be trusted by browsers

	dir       directory
	hosts     []string
	authority *authority
	server    atomic.Pointer[tls.Certificate]
	renewing  sync.Mutex
	tried     time.Time // the last attempt to renew, so that a full disk is not asked at every handshake
}

// Open reads the keys in dir, and makes those that are missing. hosts are names or addresses of the public side, besides
// localhost, 127.0.0.1 and ::1. The server certificate is issued again when it ends within RenewBefore or when hosts changed;
// while the process runs, GetCertificate does the former by itself. If hosts go beyond what the authority may sign for, the
// authority's certificate is issued again too, with the same key: then it must be trusted again. SYSTEM P2.
func Open(dir string, hosts []string) (*Keys, error) {
	hosts, err := allHosts(hosts)
	if err != nil {
		return nil, fmt.Errorf("provisioning: %w", err)
	}
	d, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("provisioning: %w", err)
	}
	k := &Keys{CAFile: filepath.Join(string(d), AuthorityFile), dir: d, hosts: hosts}
	for _, step := range []func() error{k.openAuthority, k.openServer} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("provisioning: %w", err)
		}
	}
	return k, nil
}

// allHosts checks hosts and adds the local ones, sorted and once each.
func allHosts(hosts []string) ([]string, error) {
	all := []string{"localhost", "127.0.0.1", "::1"}
	var problems []error
	for _, h := range hosts {
		h = strings.ToLower(h)
		if !isHost(h) {
			problems = append(problems, fmt.Errorf("%q is neither a host name nor an address", h))
		}
		all = append(all, h)
	}
	slices.Sort(all)
	return slices.Compact(all), errors.Join(problems...)
}

func isHost(h string) bool {
	if net.ParseIP(h) != nil {
		return true
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' {
			return false
		}
	}
	return len(h) <= 253
}

func (k *Keys) openAuthority() (err error) {
	k.authority, err = openAuthority(k.dir, k.hosts)
	return err
}

func (k *Keys) openServer() error {
	issue := func() ([]byte, error) { return k.authority.issue(k.hosts) }
	pair, err := k.dir.pair(serverFile, issue)
	if err != nil {
		return err
	}
	if !k.current(pair.Leaf) {
		if pair, err = k.reissue(); err != nil {
			return err
		}
	}
	k.server.Store(pair)
	return nil
}

// current reports whether the server certificate may stay in use.
func (k *Keys) current(leaf *x509.Certificate) bool {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return time.Until(leaf.NotAfter) >= RenewBefore && slices.Equal(names, k.hosts) && leaf.CheckSignatureFrom(k.authority.cert) == nil
}

func (k *Keys) reissue() (*tls.Certificate, error) {
	content, err := k.authority.issue(k.hosts)
	if err != nil {
		return nil, err
	}
	if err := k.dir.replace(serverFile, content, 0o600); err != nil {
		return nil, err
	}
	return parsePair(content)
}

// Expires is when the public certificate ends, unless it is renewed before.
func (k *Keys) Expires() time.Time { return k.server.Load().Leaf.NotAfter }

// GetCertificate gives the public certificate, for a tls.Config. It renews the certificate of a process that runs for months. If that does not succeed it tries again after an
// hour, and the old certificate serves on.
func (k *Keys) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair := k.server.Load()
	if time.Until(pair.Leaf.NotAfter) >= RenewBefore || !k.renewing.TryLock() {
		return pair, nil
	}
	defer k.renewing.Unlock()
	if time.Since(k.tried) < time.Hour {
		return k.server.Load(), nil
	}
	k.tried = time.Now()
	if renewed, err := k.reissue(); err == nil {
		k.server.Store(renewed)
	}
	return k.server.Load(), nil
}
