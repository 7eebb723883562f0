package enrol

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// A record is what the edges of a deployment share about themselves. It is never changed: a change is the next generation, a further
// entry of the folder, which one process alone can create. So each change happens wholly or not at all, and none is lost to another.
type record struct {
	generation uint64
	deployment string
	current    *signer
	next       *signer // from Rotate to FinishRotation; else nil
	signing    assertion.SigningKey
	signNext   assertion.SigningKey // as next
	former     []former
	edges      []string // said by Announce; empty leaves each connector those of its invitation
	marks      []string // of the changes that led here, the last ones
}

const maxMarks = 128

// A former key signed assertions until a moment ago, of which some are under way.
type former struct {
	ID     string    `json:"id"`
	Public []byte    `json:"public"`
	Until  time.Time `json:"until"`
}

// pins are the authorities' keys that connectors are told of.
func (r *record) pins() []Pin {
	pins := []Pin{r.current.pin}
	if r.next != nil {
		pins = append(pins, r.next.pin)
	}
	return pins
}

// issuer signs connectors' certificates: the next authority already, while there is one, so that those certificates outlast the change.
func (r *record) issuer() *signer {
	if r.next != nil {
		return r.next
	}
	return r.current
}

// keys are those for assertions that are to be believed.
func (r *record) keys(now time.Time) []assertion.VerifyKey {
	keys := []assertion.VerifyKey{r.signing.Public()}
	if r.next != nil {
		keys = append(keys, r.signNext.Public())
	}
	for _, f := range r.former {
		if now.Before(f.Until) {
			keys = append(keys, assertion.VerifyKey{ID: f.ID, Public: f.Public})
		}
	}
	return keys
}

// The record as it lies in the folder. Keys are PKCS #8.
type storedRecord struct {
	Deployment string        `json:"deployment"`
	Current    storedSigner  `json:"current"`
	Next       *storedSigner `json:"next,omitempty"`
	Signing    []byte        `json:"signing"`
	SignNext   []byte        `json:"sign_next,omitempty"`
	Former     []former      `json:"former,omitempty"`
	Edges      []string      `json:"edges,omitempty"`
	Marks      []string      `json:"marks"`
}

type storedSigner struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

func (r *record) encode() ([]byte, error) {
	s := storedRecord{Deployment: r.deployment, Former: r.former, Edges: r.edges, Marks: r.marks}
	var errs [4]error
	s.Current, errs[0] = r.current.encode()
	s.Signing, errs[1] = x509.MarshalPKCS8PrivateKey(r.signing.Private)
	if r.next != nil {
		next, err := r.next.encode()
		s.Next, errs[2] = &next, err
		s.SignNext, errs[3] = x509.MarshalPKCS8PrivateKey(r.signNext.Private)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("encoding the authority: %w", err)
	}
	return json.Marshal(s)
}

func (s *signer) encode() (storedSigner, error) {
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	return storedSigner{s.cert.Raw, key}, err
}

func (s storedSigner) decode() (*signer, error) {
	cert, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(s.Key)
	key, is := parsed.(*ecdsa.PrivateKey)
	if err != nil || !is || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("its key cannot be read, or belongs to another certificate")
	}
	return &signer{key, cert, PinOf(cert)}, nil
}

func decodeSigning(der []byte) (assertion.SigningKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, is := parsed.(ed25519.PrivateKey)
	if err != nil || !is {
		return assertion.SigningKey{}, errors.New("its key for assertions cannot be read")
	}
	return assertion.NewSigningKey(key), nil
}

func decodeRecord(generation uint64, content []byte) (*record, error) {
	var s storedRecord
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, errors.New("it cannot be read")
	}
	r := &record{generation: generation, deployment: s.Deployment, former: s.Former, edges: s.Edges, marks: s.Marks}
	var errs [4]error
	r.current, errs[0] = s.Current.decode()
	r.signing, errs[1] = decodeSigning(s.Signing)
	if s.Next != nil {
		r.next, errs[2] = s.Next.decode()
		r.signNext, errs[3] = decodeSigning(s.SignNext)
	}
	if s.Deployment == "" {
		errs[0] = errors.New("it has no name")
	}
	return r, errors.Join(errs[:]...)
}

// newRecord makes a deployment.
func newRecord() (*record, error) {
	var id [16]byte
	rand.Read(id[:])
	r := &record{deployment: hex.EncodeToString(id[:])}
	var err error
	if r.current, err = newSigner(); err != nil {
		return nil, err
	}
	r.signing, err = newSigning()
	return r, err
}

func newSigning() (assertion.SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return assertion.SigningKey{}, fmt.Errorf("making a key for assertions: %w", err)
	}
	return assertion.NewSigningKey(private), nil
}

func generationKey(n uint64) string { return fmt.Sprintf("%020d", n) }

// readRecord returns the last generation, or nil if there is none.
func readRecord(d *state.Drawer) (*record, error) {
	last, err := lastEntry(d)
	if err != nil || last.Key == "" {
		return nil, err
	}
	var n uint64
	if _, err := fmt.Sscanf(last.Key, "%020d", &n); err != nil {
		return nil, errors.New("reading the authority: its folder holds something else")
	}
	r, err := decodeRecord(n, last.Content)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	return r, nil
}

// lastEntry finds the entry of the last generation. A folder is not listed in one moment: one that is listed may be gone before it is
// read, and one that has just taken another's place may be missed together with it. So it is looked at again until both looks agree.
func lastEntry(d *state.Drawer) (last state.Entry, err error) {
	for range 100 {
		all, err := d.List()
		if err != nil {
			return state.Entry{}, err
		}
		if last = (state.Entry{}); len(all) > 0 {
			last = slices.MaxFunc(all, func(a, b state.Entry) int { return cmp.Compare(a.Key, b.Key) })
		}
		keys, err := d.Keys()
		if err != nil {
			return state.Entry{}, err
		}
		if len(keys) == 0 && last.Key == "" || len(keys) > 0 && slices.Max(keys) == last.Key {
			return last, nil
		}
	}
	return last, errBehind
}

// errBehind means that another process was first.
var errBehind = errors.New("another process has changed the authority at the same moment: try again")

// writeRecord makes r the next generation after its own. Afterwards it looks whether that counts. If another process has gone further
// meanwhile, either it has built upon this change, whose mark it then holds, or it had removed the generation whose number this one
// found free, and this one has never counted.
func writeRecord(d *state.Drawer, r *record) error {
	mark := rand.Text()
	r.marks = append(slices.Clone(r.marks[max(0, len(r.marks)-maxMarks+1):]), mark)
	content, err := r.encode()
	if err != nil {
		return err
	}
	mine := generationKey(r.generation + 1)
	if err := d.Create(mine, content, time.Time{}); errors.Is(err, state.ErrExists) {
		return errBehind
	} else if err != nil {
		return err
	}
	last, err := readRecord(d)
	if err != nil {
		return err
	}
	if last == nil || !slices.Contains(last.marks, mark) {
		return errors.Join(errBehind, d.Delete(mine))
	}
	*r = *last
	return clean(d, last.generation)
}

// clean removes the generations before one, which hold keys that are not used any more.
func clean(d *state.Drawer, before uint64) error {
	all, err := d.List()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Key < generationKey(before) {
			if err := d.Delete(e.Key); err != nil {
				return fmt.Errorf("removing the authority's former keys: %w", err)
			}
		}
	}
	return nil
}
