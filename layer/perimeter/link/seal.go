package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// Protocol is the ALPN name (RFC 7301) by which a connector's connection is told from a browser's on the same port.
const Protocol = "redoubt-link/1"

// A Key is known to the two ends of one TLS connection and to nobody else (RFC 8446 section 7.5).
type Key [32]byte

// ExportKey derives the link's key from its TLS session. Only TLS 1.3 has one that is of this session alone. SYSTEM P3
func ExportKey(s tls.ConnectionState) (Key, error) {
	if s.Version != tls.VersionTLS13 || !s.HandshakeComplete {
		return Key{}, errors.New("exporting the link's key: this is no finished TLS 1.3 session")
	}
	b, err := s.ExportKeyingMaterial("EXPORTER-redoubt-link-v1", nil, len(Key{}))
	if err != nil {
		return Key{}, fmt.Errorf("exporting the link's key: %w", err)
	}
	return Key(b), nil
}

// derive makes a key for one purpose, so that what is sealed in one direction opens in that direction alone.
func (k Key) derive(purpose string) []byte {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte(Protocol + " " + purpose))
	return m.Sum(nil)
}

func (k Key) name() string { return hex.EncodeToString(k.derive("name")[:8]) }

// A sealer authenticates heads: this record, with this token, on this stream, in this direction of this connection. It is not
// for concurrent use.
type sealer struct {
	mac   hash.Hash
	front [4]byte
	sum   [sha256.Size]byte
}

func newSealer(k Key, purpose string) *sealer {
	return &sealer{mac: hmac.New(sha256.New, k.derive(purpose))}
}

func (s *sealer) seal(stream uint32, token *[32]byte, record []byte) []byte {
	s.mac.Reset()
	binary.BigEndian.PutUint32(s.front[:], stream)
	s.mac.Write(s.front[:])
	s.mac.Write(token[:])
	s.mac.Write(record)
	return s.mac.Sum(s.sum[:0])
}

// opens reports, in constant time, whether that is the record's seal.
func (s *sealer) opens(seal []byte, stream uint32, token *[32]byte, record []byte) bool {
	return hmac.Equal(seal, s.seal(stream, token, record))
}

// appendHead makes a HEAD frame.
func (s *sealer) appendHead(dst []byte, stream uint32, index uint16, token *[32]byte, record []byte) []byte {
	dst = appendHeader(dst, frameHead, stream, sealSize+len(record))
	dst = binary.BigEndian.AppendUint16(dst, index)
	dst = append(dst, s.seal(stream, token, record)...)
	return append(dst, record...)
}
