package rls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrUnverified means that a database would be talked to over a network without knowing that it is the one.
var ErrUnverified = errors.New("the database's certificate would not be verified")

// Verified refuses a connection on which somebody in between could read credentials, or pose as the database (SYSTEM T7): over a network
// its certificate has to be verified, by authority and by name, as with sslmode=verify-full. A Unix socket and the loopback
// interface need no TLS. Every address that would be tried is looked at.
func Verified(cfg *pgx.ConnConfig) error {
	faults := []error{verified(cfg.Host, cfg.TLSConfig)}
	for _, f := range cfg.Fallbacks {
		faults = append(faults, verified(f.Host, f.TLSConfig))
	}
	return errors.Join(faults...)
}

func verified(host string, t *tls.Config) error {
	address, err := netip.ParseAddr(host)
	switch {
	case strings.HasPrefix(host, "/"), host == "localhost", err == nil && address.IsLoopback():
		return nil
	case t != nil && !t.InsecureSkipVerify && t.ServerName != "":
		return nil
	}
	return fmt.Errorf("%w: %s: use sslmode=verify-full, with sslrootcert for an authority of your own", ErrUnverified, host)
}
