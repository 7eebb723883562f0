package access

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

const (
	keyPeriod = 24 * time.Hour   // after which new values are sealed with a new key
	keyReread = 10 * time.Second // after which a key is looked for again, so that removing it ends what it sealed
	maxKeys   = 64
	keySize   = 32
	maxSealed = 12 << 10 // bytes of a sealed value; beyond, it is not even decoded
)

// What a value is sealed for. One of them is never taken for another.
const (
	forSession = "session"
	forSignOn  = "sign-on"
	forMail    = "mail"
	forForm    = "form"
)

var errSealed = errors.New("the sealed value is not ours, not for this host, or too old")

// A box seals what browsers keep for us. Its keys lie in the folder that the edges share, one for each day, which whoever needs it
// first makes. A sealed value names its day, and counts for one purpose and one host: those are authenticated with it.
type box struct {
	drawer *state.Drawer
	now    func() time.Time

	mu   sync.Mutex
	keys map[uint32]*dayKey
}

type dayKey struct {
	secret  []byte
	read    time.Time
	ciphers map[string]cipher.AEAD
}

func newBox(d *state.Drawer, now func() time.Time) *box {
	return &box{drawer: d, now: now, keys: map[uint32]*dayKey{}}
}

func (b *box) today() uint32 { return uint32(b.now().Unix() / int64(keyPeriod.Seconds())) }

func (b *box) seal(purpose, host string, content []byte) (string, error) {
	day := b.today()
	c, err := b.cipher(day, purpose, true)
	if err != nil {
		return "", fmt.Errorf("sealing for a browser: %w", err)
	}
	head := binary.BigEndian.AppendUint32(nil, day)
	return base64.RawURLEncoding.EncodeToString(c.Seal(head, nil, content, about(head, purpose, host))), nil
}

func (b *box) open(purpose, host, sealed string) ([]byte, error) {
	if len(sealed) > maxSealed || strings.ContainsAny(sealed, "\r\n") { // which package base64 passes over
		return nil, errSealed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) < 4 {
		return nil, errSealed
	}
	day := binary.BigEndian.Uint32(raw)
	if today := b.today(); day > today+1 || day+uint32(MaxSessionLife/keyPeriod)+1 < today {
		return nil, errSealed // no file is looked for
	}
	c, err := b.cipher(day, purpose, false)
	if err != nil {
		return nil, err
	}
	content, err := c.Open(nil, nil, raw[4:], about(raw[:4], purpose, host))
	if err != nil {
		return nil, errSealed
	}
	return content, nil
}

func about(head []byte, purpose, host string) []byte {
	return append(append(bytes.Clone(head), purpose+"\x00"...), host...)
}

// cipher is of one day and purpose. A key that is gone from the folder is gone; one that cannot be read stays as it was known, so that
// trouble with the disk does not sign everybody out.
func (b *box) cipher(day uint32, purpose string, create bool) (cipher.AEAD, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.keys[day]
	if k == nil || b.now().Sub(k.read).Abs() >= keyReread {
		secret, err := b.secret(day, create)
		switch {
		case err == nil && k != nil && bytes.Equal(secret, k.secret), k != nil && !errors.Is(err, state.ErrNone) && err != nil:
			k.read = b.now()
		case err != nil:
			delete(b.keys, day)
			return nil, fmt.Errorf("%w: %w", errSealed, err)
		default:
			k = &dayKey{secret, b.now(), map[string]cipher.AEAD{}}
			b.remember(day, k)
		}
	}
	if c := k.ciphers[purpose]; c != nil {
		return c, nil
	}
	c, err := newCipher(k.secret, purpose)
	if err == nil {
		k.ciphers[purpose] = c
	}
	return c, err
}

func (b *box) remember(day uint32, k *dayKey) {
	for other := range b.keys {
		if other+uint32(MaxSessionLife/keyPeriod)+1 < b.today() {
			delete(b.keys, other)
		}
	}
	b.keys[day] = k
}

// secret reads a day's key, or makes it. Of several edges that make it at once, one wins, and all use what it made.
func (b *box) secret(day uint32, create bool) ([]byte, error) {
	name := "day-" + strconv.FormatUint(uint64(day), 10)
	secret, err := b.drawer.Get(name)
	if errors.Is(err, state.ErrNone) && create {
		fresh := make([]byte, keySize)
		rand.Read(fresh) // never fails (crypto/rand)
		err = b.drawer.Create(name, fresh, time.Now().Add(2*keyPeriod+MaxSessionLife))
		if err == nil || errors.Is(err, state.ErrExists) {
			secret, err = b.drawer.Get(name)
		}
	}
	if err == nil && len(secret) != keySize {
		err = errors.New("a key of sessions in the edge's folder is broken: remove it")
	}
	return secret, err
}

// newCipher is AES-256-GCM with nonces of its own. A day's key seals fewer values than the 2^32 that random nonces allow
// (NIST SP 800-38D section 8.3).
func newCipher(secret []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "redoubt edge "+purpose, keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
