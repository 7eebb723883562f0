// Package trust puts the local authority's certificate among those that this machine's browsers trust, and takes it out again.
// It is apart from the perimeter so that no edge or application carries code that changes the machine's trust.
//
// # What it assumes has failed
//
// Whoever chose the file: it may hold any certificate in the world, or several, or none.
//
// # What it stops
//
// Trusting something other than Redoubt's own narrow authority. A certificate is refused unless it signs itself, may sign
// server certificates but no further authorities, is valid now (to be trusted), and is constrained, critically, to named hosts.
//
// # What it does not stop
//
// Whoever holds the authority's key can then pretend, on this machine, to be one of those hosts: keep it in its directory.
//
// # How it is knocked out in a drill
//
// It is not: the drill gives its own client the authority, and leaves the machine's trust alone.
//
// # Example
//
//	if err := trust.Trust(keys.CAFile); err != nil {
//		return err
//	}
package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/smallstep/truststore"
)

const maxFile = 64 << 10 // bytes of a certificate's file

// Trust installs the certificate in the stores of the system and of browsers that keep their own. The system may ask the person
// for a password.
func Trust(caFile string) error {
	cert, err := read(caFile)
	if err != nil {
		return fmt.Errorf("trusting certificate: %w", err)
	}
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return errors.New("trusting certificate: it is not valid now")
	}
	if err := truststore.Install(cert, truststore.WithFirefox()); err != nil {
		return fmt.Errorf("trusting certificate: %w", err)
	}
	return nil
}

// Untrust takes the certificate out of all stores that Trust puts it in.
func Untrust(caFile string) error {
	cert, err := read(caFile)
	if err != nil {
		return fmt.Errorf("ending trust in certificate: %w", err)
	}
	if err := truststore.Uninstall(cert, truststore.WithFirefox()); err != nil {
		return fmt.Errorf("ending trust in certificate: %w", err)
	}
	return nil
}

// read returns the one certificate in the file, if it is one that a local authority of Redoubt could have.
func read(file string) (*x509.Certificate, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, errors.New("the file is too large for a certificate")
	}
	return parse(content)
}

func parse(content []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("the file does not hold exactly one certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	switch {
	case !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("the certificate is not an authority's")
	case cert.CheckSignatureFrom(cert) != nil:
		return nil, errors.New("the certificate is not signed by itself")
	case !cert.MaxPathLenZero:
		return nil, errors.New("the authority could make further authorities")
	case !cert.PermittedDNSDomainsCritical || len(cert.PermittedDNSDomains) == 0 || len(cert.PermittedIPRanges) == 0:
		return nil, errors.New("the authority is not constrained to named hosts")
	}
	return cert, nil
}
