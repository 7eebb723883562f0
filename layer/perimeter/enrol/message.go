package enrol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// What a connector asks for.
const (
	askJoin  = "join"  // to be enrolled, with an invitation's secret
	askRenew = "renew" // for a certificate for its next key
	askNews  = "news"  // which keys and addresses hold at present
)

// What an edge answers. A refusal never says why: whoever asks with a wrong, a used or an old secret learns nothing.
const (
	isDone    = "done"
	isRefused = "refused"
	isLater   = "later"
)

// A request is what a connector sends, on a connection of Protocol or over its link.
type request struct {
	Ask    string `json:"ask"`
	Secret []byte `json:"secret,omitempty"` // of the invitation
	Key    []byte `json:"key,omitempty"`    // SubjectPublicKeyInfo of the key to certify
	Proof  []byte `json:"proof,omitempty"`  // its signature over this use of it
}

// An answer tells a connector all that it goes by. Certificate is missing if none was asked for.
type answer struct {
	Is          string      `json:"is"`
	Application string      `json:"application,omitempty"`
	Certificate []byte      `json:"certificate,omitempty"`
	Authorities []Pin       `json:"authorities,omitempty"` // current and next
	Keys        []publicKey `json:"keys,omitempty"`        // for assertions: current, next, former
	Edges       []string    `json:"edges,omitempty"`
	Renew       bool        `json:"renew,omitempty"` // the connector should ask for a certificate now
}

// A publicKey is an assertion.VerifyKey as it is written down.
type publicKey struct {
	ID     string `json:"id"`
	Public []byte `json:"public"`
}

const (
	maxFormer = 2             // keys for assertions that were replaced a moment ago
	maxKeys   = 2 + maxFormer // with the current and the next one
)

func toPublic(keys []assertion.VerifyKey) []publicKey {
	var out []publicKey
	for _, k := range keys {
		out = append(out, publicKey{k.ID, k.Public})
	}
	return out
}

func fromPublic(keys []publicKey) []assertion.VerifyKey {
	var out []assertion.VerifyKey
	for _, k := range keys {
		out = append(out, assertion.VerifyKey{ID: k.ID, Public: ed25519.PublicKey(k.Public)})
	}
	return out
}

// checkTrust holds what a connector goes by against its bounds.
func checkTrust(authorities []Pin, keys []publicKey, edges []string) error {
	if len(authorities) < 1 || len(authorities) > 2 || len(keys) < 1 || len(keys) > maxKeys {
		return errors.New("there are too few or too many keys")
	}
	for _, k := range keys {
		if k.ID == "" || len(k.ID) > 64 || len(k.Public) != ed25519.PublicKeySize {
			return errors.New("a key for assertions is not whole")
		}
	}
	return checkEdges(edges)
}

func parseRequest(b []byte) (r request, err error) {
	if err := strict(b, &r); err != nil {
		return request{}, err
	}
	whole := len(r.Key) > 0 && len(r.Key) <= 128 && len(r.Proof) > 0 && len(r.Proof) <= 128
	switch {
	case r.Ask == askJoin && whole && len(r.Secret) == secretSize:
	case r.Ask == askRenew && whole && r.Secret == nil:
	case r.Ask == askNews && r.Key == nil && r.Proof == nil && r.Secret == nil:
	default:
		return request{}, errors.New("the message asks for nothing that there is")
	}
	return r, nil
}

func parseAnswer(b []byte) (a answer, err error) {
	if err := strict(b, &a); err != nil {
		return answer{}, err
	}
	switch a.Is {
	case isRefused, isLater:
		return answer{Is: a.Is}, nil
	case isDone:
	default:
		return answer{}, errors.New("the message is not an answer")
	}
	return a, errors.Join(checkApplication(a.Application), checkTrust(a.Authorities, a.Keys, a.Edges))
}

// strict reads one JSON value with known members only. What is wrong with it is not said: the decoder's words quote it.
func strict(b []byte, into any) error {
	if len(b) > MaxMessage {
		return errors.New("the message is too large")
	}
	return strictly(b, into)
}

func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("the message cannot be read")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the message goes on after its end")
	}
	return nil
}

// send and receive frame a message by its length, on a connection of Protocol.
func send(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil || len(b) > MaxMessage {
		return errors.New("writing a message: it is too large")
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return nil
}

func receive(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	n := binary.BigEndian.Uint16(head[:])
	if n > MaxMessage {
		return nil, errors.New("reading a message: it is too large")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	return b, nil
}
