package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// maxFile bounds a file of certificates or of a key, in bytes: a chain has four certificates at the most, of 2 KiB each.
const maxFile = 256 << 10

// A Pair says where a certificate and its key lie, both in PEM.
type Pair struct {
	// Certificate is the file of the certificate and the chain above it, the server's first. Required.
	Certificate string
	// Key is the file of its private key; empty means that it is in the same file. Others may neither read nor change it; a group
	// may read it, as ssl-cert does on Debian.
	Key string
}

func (p Pair) key() string {
	if p.Key == "" {
		return p.Certificate
	}
	return p.Key
}

// content is what both files hold at one moment.
type content struct{ chain, key string }

// read reads both files. Between the two, somebody may replace them: parse finds out.
func (p Pair) read() (content, error) {
	chain, err := readFile(p.Certificate, false)
	if err != nil {
		return content{}, err
	}
	key, err := readFile(p.key(), true)
	return content{chain, key}, err
}

func readFile(path string, secret bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("opening certificate file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%s is not a file of at most %d KiB", path, maxFile>>10)
	}
	// Owner may do anything and a group may read; everything else means that the key may be known already, which only a person can rule out.
	if mode := info.Mode().Perm(); secret && runtime.GOOS != "windows" && mode&0o037 != 0 {
		return "", fmt.Errorf("%s has mode %04o, so that others may have read or changed the key: replace it, or run chmod 0600 on it if you are sure that nobody did",
			path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return string(b), nil
}

// parse makes a certificate of the two files' content. Its errors hold nothing of it.
func parse(c content) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(c.chain), []byte(c.key))
	if err != nil {
		return nil, fmt.Errorf("it does not hold a certificate and the key that belongs to it: %w", err)
	}
	if len(pair.Leaf.DNSNames)+len(pair.Leaf.IPAddresses) == 0 {
		return nil, errors.New("its first certificate is for no host") // a common name counts no longer (RFC 9525 section 2)
	}
	if pair.Leaf.IsCA {
		return nil, errors.New("its first certificate is an authority's, not a server's")
	}
	return &pair, nil
}

// usable says why c must not replace a certificate that is in use.
func usable(c *tls.Certificate, now time.Time) error {
	if !now.Before(c.Leaf.NotAfter) {
		return errors.New("it has ended already")
	}
	if now.Before(c.Leaf.NotBefore) {
		return errors.New("it is not valid yet")
	}
	return nil
}
