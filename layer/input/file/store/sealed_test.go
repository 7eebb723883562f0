package store_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/input/file/store/storetest"
)

// A sealed shows that the seam for encryption holds: a Store that wraps a Store, with a key per organization, in chunks, so that a
// range is opened without the whole. It is the shape that a sealing layer will have, and no more than that.
//
// Each object has a key of its own, from its organization's key and its name. A name is used once, so that the chunk's number is
// nonce enough; the last chunk is marked in it, so that an object cannot be cut short (the STREAM construction of Hoang, Reyhanitabar,
// Rogaway and Vizár, 2015).
type sealed struct {
	store.Store
	keys map[layer.OrgID][]byte
}

const (
	chunk    = 64 << 10
	overhead = 16
)

var errNoKey = errors.New("the organization's key has been destroyed")

func (s sealed) aead(key store.Key) (cipher.AEAD, error) {
	secret, ok := s.keys[key.Organization]
	if !ok {
		return nil, errNoKey
	}
	own, err := hkdf.Key(sha256.New, secret, nil, key.Name, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func chunks(size int64) int64 { return max(1, (size+chunk-1)/chunk) }

func nonce(i, of int64) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[3:], uint64(i))
	if i == of-1 {
		n[11] = 1
	}
	return n
}

// Put implements Store.
func (s sealed) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	aead, err := s.aead(key)
	if err != nil || size < 0 || size > store.Largest/2 {
		return errors.Join(err, s.Store.Put(ctx, key, bytes.NewReader(nil), -1)) // whatever is wrong, the inner Store says it
	}
	return s.Store.Put(ctx, key, &sealing{r: store.Exactly(ctx, r, size), aead: aead, of: chunks(size), left: size}, size+chunks(size)*overhead)
}

// sealing is read as what it seals.
type sealing struct {
	r     io.Reader
	aead  cipher.AEAD
	i, of int64
	left  int64
	plain [chunk + overhead]byte
	out   []byte
}

func (s *sealing) Read(p []byte) (int, error) {
	if len(s.out) == 0 {
		if s.i == s.of {
			return 0, io.EOF
		}
		if err := s.seal(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *sealing) seal() error {
	plain := s.plain[:min(s.left, chunk)]
	if _, err := io.ReadFull(s.r, plain); err != nil {
		return err
	}
	if s.left -= int64(len(plain)); s.left == 0 {
		if _, err := s.r.Read(make([]byte, 1)); err != io.EOF { // of an empty content, the first look
			return err
		}
	}
	s.out = s.aead.Seal(plain[:0], nonce(s.i, s.of), plain, nil)
	s.i++
	return nil
}

// Open implements Store.
func (s sealed) Open(ctx context.Context, key store.Key) (*store.Content, error) {
	inner, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	aead, err := s.aead(key)
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	of := max(1, (inner.Size+chunk+overhead-1)/(chunk+overhead))
	size := inner.Size - of*overhead
	return &store.Content{ReadSeekCloser: &opening{inner: inner, aead: aead, of: of, size: size, held: -1}, Size: size}, nil
}

type opening struct {
	inner *store.Content
	aead  cipher.AEAD
	of    int64
	size  int64
	at    int64
	held  int64 // the number of the chunk in plain; -1 for none
	plain []byte
	box   [chunk + overhead]byte
	ended error // that it is closed
}

func (o *opening) Read(p []byte) (int, error) {
	if o.ended != nil {
		return 0, o.ended
	}
	i := min(o.at/chunk, o.of-1) // an object of nothing has a chunk too
	if i != o.held {
		if err := o.unseal(i); err != nil {
			return 0, err
		}
	}
	if o.at >= o.size {
		return 0, io.EOF
	}
	n := copy(p, o.plain[o.at-i*chunk:])
	o.at += int64(n)
	return n, nil
}

func (o *opening) unseal(i int64) (err error) {
	o.held = -1
	if _, err := o.inner.Seek(i*(chunk+overhead), io.SeekStart); err != nil {
		return err
	}
	box := o.box[:min(chunk+overhead, o.inner.Size-i*(chunk+overhead))]
	if _, err := io.ReadFull(o.inner, box); err != nil {
		return err
	}
	if o.plain, err = o.aead.Open(box[:0], nonce(i, o.of), box, nil); err == nil {
		o.held = i
	}
	return err
}

func (o *opening) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	o.at = offset
	return offset, nil
}

func (o *opening) Close() error {
	o.ended = errors.New("the content is closed")
	return o.inner.Close()
}

func TestAStoreCanBeSealed(t *testing.T) { // SYSTEM N2, S5
	path := filepath.Join(t.TempDir(), "objects")
	s := sealed{folder(t, path), map[layer.OrgID][]byte{storetest.Acme: storetest.Random(32), storetest.Globex: storetest.Random(32)}}
	key, content := storetest.NewKey(t), bytes.Repeat([]byte("nobody's business "), 10_000)
	storetest.Put(t, s, key, content)
	kept, err := storetest.Read(t.Context(), s.Store, key)
	if err != nil || bytes.Contains(kept, []byte("business")) {
		t.Errorf("what is kept can be read, or not at all: %v", err)
	}
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	part := make([]byte, 100)
	if _, err := c.Seek(chunk-50, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, part); err != nil || !bytes.Equal(part, content[chunk-50:chunk+50]) {
		t.Errorf("a range over two chunks: %q, %v", part, err)
	}
	delete(s.keys, key.Organization)
	if _, err := storetest.Read(t.Context(), s, key); !errors.Is(err, errNoKey) {
		t.Errorf("without the organization's key: got %v", err)
	}
	s.keys[key.Organization] = storetest.Random(32)
	spoil(t, path)
	if got, err := storetest.Read(t.Context(), s, key); err == nil {
		t.Errorf("with another key: got %d bytes", len(got))
	}
}

func TestASealedStoreIsAStore(t *testing.T) { // SYSTEM N2, S5
	storetest.Run(t, func(t *testing.T) store.Store {
		return sealed{folder(t, filepath.Join(t.TempDir(), "objects")), map[layer.OrgID][]byte{storetest.Acme: storetest.Random(32), storetest.Globex: storetest.Random(32)}}
	})
}
