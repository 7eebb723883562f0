package enrol

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// A Pin is the SHA-256 of a certificate's SubjectPublicKeyInfo, by which a key is known whatever is written around it (SYSTEM P3).
type Pin [sha256.Size]byte

// PinOf returns the pin of the key in a certificate.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

const pinPrefix = "sha256/"

// String returns the pin in the form used by RFC 7469: it is not a secret.
func (p Pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// MarshalText is String.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String wrote, and nothing else.
func (p *Pin) UnmarshalText(text []byte) error {
	content, prefixed := strings.CutPrefix(string(text), pinPrefix)
	b, err := base64.StdEncoding.Strict().DecodeString(content)
	if !prefixed || err != nil || len(b) != len(p) || base64.StdEncoding.EncodeToString(b) != content {
		return errors.New("it is not the pin of a key")
	}
	copy(p[:], b)
	return nil
}

// short names the key in an entry of the folder; the entry holds the whole pin.
func (p Pin) short() string { return hex.EncodeToString(p[:16]) }
