package enrol

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

const (
	invitationPrefix  = "redoubt-invite-"
	invitationVersion = 1
	secretSize        = 32
	checkSize         = 4 // bytes of a hash, for a token that was cut or mistyped on its way
)

// An invitation is what a token says. The pins are what a connector goes by: it says the secret to nobody else.
type invitation struct {
	secret      [secretSize]byte
	pins        []Pin
	application string
	edges       []string
}

// key is under what the invitation lies in the folder: who reads that cannot use it.
func (i *invitation) key() string {
	hash := sha256.Sum256(i.secret[:])
	return hex.EncodeToString(hash[:])
}

func newInvitation(pins []Pin, application string, edges []string) (*invitation, error) {
	if err := errors.Join(checkApplication(application), checkEdges(edges)); err != nil {
		return nil, err
	}
	i := &invitation{pins: pins, application: application, edges: edges}
	rand.Read(i.secret[:])
	return i, nil
}

// String keeps the secret out of logs; Token has it.
func (i *invitation) String() string { return "invitation to " + i.application }

func (i *invitation) token() string {
	b := append([]byte{invitationVersion}, i.secret[:]...)
	b = append(b, byte(len(i.pins)))
	for _, p := range i.pins {
		b = append(b, p[:]...)
	}
	b = appendText(b, i.application)
	b = append(b, byte(len(i.edges)))
	for _, e := range i.edges {
		b = appendText(b, e)
	}
	sum := sha256.Sum256(b)
	return invitationPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:checkSize]...))
}

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

var errToken = errors.New("this is not a whole invitation: copy all of it, from " + invitationPrefix + " to its end")

// parseToken reads what token wrote, in its one spelling.
func parseToken(token string) (*invitation, error) {
	text, prefixed := strings.CutPrefix(strings.TrimSpace(token), invitationPrefix)
	if !prefixed || len(token) > MaxToken {
		return nil, errToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < checkSize || base64.RawURLEncoding.EncodeToString(b) != text {
		return nil, errToken
	}
	content, check := b[:len(b)-checkSize], b[len(b)-checkSize:]
	if sum := sha256.Sum256(content); subtle.ConstantTimeCompare(sum[:checkSize], check) != 1 {
		return nil, errToken
	}
	r := reader{content, false}
	if r.byte() != invitationVersion {
		return nil, errors.New("this invitation is of another version of Redoubt")
	}
	i := &invitation{}
	copy(i.secret[:], r.next(secretSize))
	for range r.count(2) {
		i.pins = append(i.pins, Pin(r.next(len(Pin{}))))
	}
	i.application = r.text()
	for range r.count(MaxEdges) {
		i.edges = append(i.edges, r.text())
	}
	if r.bad || len(r.b) > 0 || len(i.pins) == 0 {
		return nil, errToken
	}
	if err := errors.Join(checkApplication(i.application), checkEdges(i.edges)); err != nil {
		return nil, errToken // what it says may hold anything
	}
	return i, nil
}

// A reader takes bytes off the front; once there were too few, everything is zero and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) next(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte   { return r.next(1)[0] }
func (r *reader) text() string { return string(r.next(int(r.byte()))) }

func (r *reader) count(limit int) int {
	n := int(r.byte())
	if n > limit {
		r.bad = true
		return 0
	}
	return n
}

func checkApplication(name string) error {
	if name == "" || len(name) > MaxApplication || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the application's name is not 1 to %d visible ASCII letters", MaxApplication)
	}
	return nil
}

func checkEdges(edges []string) error {
	if len(edges) == 0 || len(edges) > MaxEdges {
		return fmt.Errorf("there are not 1 to %d addresses of edges", MaxEdges)
	}
	for i, e := range edges {
		if err := CheckAddress(e); err != nil {
			return err
		}
		if slices.Contains(edges[:i], e) {
			return errors.New("an edge's address is there twice")
		}
	}
	return nil
}

// CheckAddress reports what is wrong with an edge's address, "host:port".
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	odd := strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '@' })
	if err != nil || host == "" || notNumber != nil || number == 0 || odd || len(address) > MaxAddress {
		return errors.New("an edge's address is not of the form host:port")
	}
	return nil
}
